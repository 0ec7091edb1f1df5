package door

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httputil"
	"strings"
	"sync"

	"github.com/fakeentra/fakeentra/internal/edge"
	"github.com/fakeentra/fakeentra/internal/pki"
)

// A Proxy is a forward proxy that answers for the emulated hosts, as if every
// client were one emulated host. It serves requests for whole http URLs, and it
// answers CONNECT to any port of an emulated host itself, in TLS or in plain
// HTTP as the client likes: Node.js, for one, asks for 169.254.169.254 through
// CONNECT. Loopback addresses are forwarded for real, since not every client
// knows to bypass a proxy for them. No other host is ever reached.
//
// It adds no X-Forwarded-For, which the Instance Metadata Service refuses, and
// no Via.
//
// Router and Authority must be set; fields must not be changed once Serve was
// called. Methods may be called from several goroutines.
type Proxy struct {
	Router    *Router
	Authority *pki.Authority
	Host      string // the emulated host that calls
	// NoMetadata makes 169.254.169.254 unreachable, as on a laptop.
	NoMetadata bool
	// Log gets complaints about connections, one line each, from several
	// goroutines. Nil discards them.
	Log func(string)

	once      sync.Once
	base      context.Context // of every request; it ends when the proxy is closed
	cancel    context.CancelFunc
	front     *http.Server  // speaks to clients as a proxy
	inside    *http.Server  // speaks to clients as the host that they asked CONNECT for
	insiders  *queue        // connections for inside
	served    chan struct{} // closed when inside has taken its last connection
	tunnels   tunnels
	loopback  *http.Transport
	forwarder *httputil.ReverseProxy
}

// Serve answers on l until the Proxy is closed, and then returns nil. It also
// returns when l fails. It may be called for several listeners.
func (p *Proxy) Serve(l net.Listener) error {
	p.once.Do(p.start)
	if err := p.front.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

func (p *Proxy) start() {
	p.base, p.cancel = context.WithCancel(context.Background())
	p.front = newServer(http.HandlerFunc(p.answer), p.Log)
	p.front.BaseContext = func(net.Listener) context.Context { return p.base }
	p.inside = newServer(p.emulated(), p.Log)
	p.inside.BaseContext = p.front.BaseContext
	p.insiders, p.served = newQueue(), make(chan struct{})
	p.loopback = &http.Transport{DialContext: dialLoopback, DisableCompression: true}
	p.forwarder = &httputil.ReverseProxy{
		Rewrite:      leaveForwarded,
		Transport:    p.loopback,
		ErrorLog:     p.front.ErrorLog,
		ErrorHandler: unreachable,
	}
	go func() {
		defer close(p.served)
		_ = p.inside.Serve(p.insiders)
	}()
}

func (p *Proxy) emulated() handler {
	return handler{router: p.Router, host: p.Host, noMetadata: p.NoMetadata}
}

// Close closes listeners and connections at once, also those with requests in
// flight.
func (p *Proxy) Close() error {
	p.once.Do(p.start)
	p.cancel()
	err := p.front.Close()
	p.lastInsider()
	_ = p.inside.Close()
	p.tunnels.close()
	p.loopback.CloseIdleConnections()
	return err
}

// lastInsider stops handing connections to the server inside. Every one that it
// has taken is one that it knows how to close.
func (p *Proxy) lastInsider() {
	_ = p.insiders.Close()
	<-p.served
}

// Shutdown closes listeners, waits for requests in flight until ctx is done,
// and closes all connections. Tunnels to loopback addresses have no end that
// it could wait for. It returns the error of ctx if it had to cut requests off.
func (p *Proxy) Shutdown(ctx context.Context) error {
	p.once.Do(p.start)
	err := p.front.Shutdown(ctx)
	p.lastInsider()
	if inner := p.inside.Shutdown(ctx); err == nil {
		err = inner
	}
	_ = p.Close()
	return err
}

// answer serves a request to the proxy.
func (p *Proxy) answer(w http.ResponseWriter, in *http.Request) {
	in.Header.Del("Proxy-Connection")    // these are for the proxy,
	in.Header.Del("Proxy-Authorization") // and not for the host
	if in.Method == http.MethodConnect {
		p.connect(w, in)
		return
	}
	paced, slow, finish := pace(w, in)
	defer finish()
	switch {
	case in.URL.Host == "":
		proxyOnly.json(in.RequestURI, localAddr(in)).Write(paced, slow)
	case in.URL.Scheme != "http" && in.URL.Scheme != "https":
		badScheme.json(in.RequestURI).Write(paced, slow)
	case edge.Loopback(canonical(in.URL.Hostname())):
		p.forwarder.ServeHTTP(w, in) // at the pace that the two of them like
	default:
		p.emulated().answer(paced, slow)
	}
}

// localAddr is the address that a client reached the proxy at.
func localAddr(in *http.Request) string {
	if a, ok := in.Context().Value(http.LocalAddrContextKey).(net.Addr); ok {
		return a.String()
	}
	return in.Host
}

// leaveForwarded sends a request on as it came. ReverseProxy has removed what
// other proxies said about the way of the request, which is not ours to remove.
func leaveForwarded(r *httputil.ProxyRequest) {
	for _, name := range []string{"Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto"} {
		if values := r.In.Header[name]; values != nil {
			r.Out.Header[name] = values
		}
	}
}

func unreachable(w http.ResponseWriter, in *http.Request, err error) {
	loopbackFailure.json(in.URL.Host, err).Write(w, in)
}

// dialLoopback connects to a loopback address. Resolvers need not know the
// names below localhost (RFC 6761 section 6.3).
func dialLoopback(ctx context.Context, network, address string) (net.Conn, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	if strings.HasSuffix(canonical(host), ".localhost") {
		host = "localhost"
	}
	d := net.Dialer{Timeout: patience}
	return d.DialContext(ctx, network, net.JoinHostPort(host, port))
}
