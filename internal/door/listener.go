package door

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"time"

	"github.com/fakeentra/fakeentra/internal/pki"
)

// grace is how long requests in flight may take when a listener stops.
const grace = 5 * time.Second

// ServeTLS answers https on l until ctx is done, with certificates by SNI, over
// HTTP/2 and HTTP/1.1, as if every client were the emulated host with a name.
//
// Requests that call the listener by its own address, such as
// https://localhost:8443/{tenant}/oauth2/v2.0/token, are answered by the
// service for the first name in fallback. Their URL stays as it is, so that
// documents point back to the listener.
//
// When ctx is done it stops accepting, waits up to five seconds for requests in
// flight, closes l and all connections, and returns nil. It also returns when l
// fails.
func ServeTLS(ctx context.Context, l net.Listener, r *Router, a *pki.Authority, host string, fallback ...string) error {
	h := handler{router: r, host: host}
	if len(fallback) > 0 {
		h.fallback = fallback[0]
	}
	return serve(ctx, tls.NewListener(l, a.TLSConfig(h.fallback)), h)
}

// ServeHTTP answers plain http on l until ctx is done, as [ServeTLS] does.
// Requests that call the listener by its own address, such as
// http://127.0.0.1:8080/metadata/identity/oauth2/token, are for the Instance
// Metadata Service.
func ServeHTTP(ctx context.Context, l net.Listener, r *Router, host string) error {
	return serve(ctx, l, handler{router: r, host: host, fallback: metadata})
}

func serve(ctx context.Context, l net.Listener, h http.Handler) error {
	srv := newServer(h, nil)
	stopped := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(stopped)
		limit, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
		defer cancel()
		_ = srv.Shutdown(limit)
		_ = srv.Close()
	})
	err := srv.Serve(l)
	if !stop() {
		<-stopped
		return nil
	}
	_ = srv.Close()
	return err
}
