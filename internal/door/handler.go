package door

import (
	"errors"
	"net"
	"net/http"
	"net/url"

	"github.com/fakeentra/fakeentra/internal/edge"
)

// metadata is where the Instance Metadata Service of a virtual machine answers.
const metadata = "169.254.169.254"

// Handler returns a handler that serves requests as if they came from the
// emulated host with a name. It takes the host that the client calls from the
// request target if that is a whole URL, and from the Host header if not (RFC
// 9112 section 3.3).
//
// When the edge closes a connection, the handler aborts with
// [http.ErrAbortHandler], so it must be run by an [http.Server].
func (r *Router) Handler(host string) http.Handler { return handler{router: r, host: host} }

type handler struct {
	router     *Router
	host       string // the emulated host that calls
	fallback   string // who answers for requests that call the listener by its own address
	noMetadata bool   // nothing answers at 169.254.169.254
}

func (h handler) ServeHTTP(w http.ResponseWriter, in *http.Request) {
	w, in, finish := pace(w, in)
	defer finish()
	h.answer(w, in)
}

func (h handler) answer(w http.ResponseWriter, in *http.Request) {
	target := absolute(in)
	in = in.WithContext(in.Context())
	in.URL = target
	caller := edge.Caller{Host: h.host, TLS: target.Scheme == "https"}
	if in.TLS != nil && len(in.TLS.PeerCertificates) > 0 {
		caller.Certificate = in.TLS.PeerCertificates[0]
	}
	resp, err := h.serve(caller, in)
	if h.noMetadata && canonical(target.Hostname()) == metadata {
		err = edge.ErrHangup // the attempt is on record; any answer would look like a metadata service
	}
	switch {
	case err == nil:
		resp.Write(w, in)
	case errors.Is(err, edge.ErrReset):
		reset(w)
	case errors.Is(err, edge.ErrHangup) || in.Context().Err() != nil:
		panic(http.ErrAbortHandler)
	default:
		w.Header().Set("Connection", "close")
		unreadable.json(err).Write(w, in)
	}
}

// reset breaks the connection of a request. In HTTP/2 that ends the stream alone.
func reset(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	defer func() { _ = conn.Close() }()
	for inner := conn; ; {
		outer, wraps := inner.(interface{ NetConn() net.Conn })
		if !wraps {
			abort(inner)
			return
		}
		inner = outer.NetConn()
	}
}

// abort makes a TCP connection end in a reset rather than in order (RFC 9293
// section 3.10.5).
func abort(conn net.Conn) {
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = conn.Close()
}

// serve has the service answer that the connection or the URL names.
func (h handler) serve(caller edge.Caller, in *http.Request) (edge.Response, error) {
	if s := h.router.behind(in.TLS); s != nil {
		return h.router.edge.Serve(s, caller, in)
	}
	return h.router.serve(h.answerer(in.URL.Hostname()), caller, in)
}

// answerer returns the host name whose service answers a request for hostname.
func (h handler) answerer(hostname string) string {
	if h.fallback != "" && ownAddress(hostname) && !h.router.Knows(hostname) {
		return h.fallback
	}
	return hostname
}

// ownAddress reports whether a host name can only be the address of the
// listener: a service is called by its name.
func ownAddress(hostname string) bool {
	return hostname == "" || edge.Loopback(hostname) || net.ParseIP(hostname) != nil
}

// absolute returns the URL that the client meant.
func absolute(in *http.Request) *url.URL {
	u := *in.URL
	if u.IsAbs() && u.Host != "" {
		return &u
	}
	u.Scheme, u.Host = "http", in.Host
	if in.TLS != nil {
		u.Scheme = "https"
	}
	return &u
}
