package reference

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// networkKnobs change what the client does about networks and TLS (NET).
type networkKnobs struct {
	network []func(*http.Transport) // changes to the way to the login host and to resources
}

// onNetwork changes the way to the login host and to resources.
func (k *knobs) onNetwork(change func(*http.Transport)) { k.network = append(k.network, change) }

func networkBugs() []*Bug {
	return []*Bug{
		{
			Check: "NET-01", What: "looks at the name and the dates of a certificate, but not at who issued it", Also: []string{"NET-13"},
			Break: func(k *knobs) {
				k.onNetwork(verifying(func(_ *x509.CertPool, chain []*x509.Certificate, name string) error {
					itself := x509.NewCertPool()
					itself.AddCert(chain[0])
					_, err := chain[0].Verify(x509.VerifyOptions{Roots: itself, DNSName: name})
					return err
				}))
			},
		},
		{
			Check: "NET-02", What: "looks at who issued a certificate and when, but not at whom it is for",
			Break: func(k *knobs) {
				k.onNetwork(verifying(func(roots *x509.CertPool, chain []*x509.Certificate, _ string) error {
					_, err := chain[0].Verify(x509.VerifyOptions{Roots: roots})
					return err
				}))
			},
		},
		{
			Check: "NET-03", What: "takes certificates of any time",
			Break: func(k *knobs) {
				k.onNetwork(verifying(func(roots *x509.CertPool, chain []*x509.Certificate, name string) error {
					now := time.Now()
					if now.Before(chain[0].NotBefore) || now.After(chain[0].NotAfter) {
						// As if it were the certificate of the authority that counts.
						return chain[0].VerifyHostname(name)
					}
					_, err := chain[0].Verify(x509.VerifyOptions{Roots: roots, DNSName: name})
					return err
				}))
			},
		},
		{
			Check: "NET-04", What: "still does TLS 1.0",
			Break: func(k *knobs) {
				k.onNetwork(func(t *http.Transport) { t.TLSClientConfig.MinVersion = tls.VersionTLS10 })
			},
		},
		{
			Check: "NET-05", What: "was set to TLS 1.2 when that was the latest",
			Break: func(k *knobs) {
				k.onNetwork(func(t *http.Transport) { t.TLSClientConfig.MaxVersion = tls.VersionTLS12 })
			},
		},
		{Check: "NET-06", What: "hopes for a better certificate, four times", Break: hopeForCertificates},
		{
			Check: "NET-07", What: "cannot do without HTTP/2", Also: []string{"NET-08"}, // which is about HTTP/1.1
			Break: func(k *knobs) {
				k.onWire(toToken, func(next http.RoundTripper) http.RoundTripper {
					return rewriting(next, func(resp *http.Response) bool { return resp.ProtoMajor < 2 }, func([]byte) ([]byte, error) {
						return nil, errors.New("the server has no HTTP/2")
					})
				})
			},
		},
		{
			Check: "NET-08", What: "says that it accepts gzip, and then does not read it",
			Break: func(k *knobs) {
				k.request(toToken, func(r *http.Request) { r.Header.Set("Accept-Encoding", "gzip") })
			},
		},
		{
			Check: "NET-09", What: "knows IPv4 alone",
			Break: func(k *knobs) {
				k.onNetwork(func(t *http.Transport) {
					dial := t.DialContext
					t.DialContext = func(ctx context.Context, _, address string) (net.Conn, error) { return dial(ctx, "tcp4", address) }
				})
			},
		},
		{
			Check: "NET-10", What: "knows no proxy",
			Break: func(k *knobs) { k.onNetwork(func(t *http.Transport) { t.Proxy = nil }) },
		},
		{Check: "NET-11", What: "takes the reset of a connection for the loss of the host, for half a minute", Break: breakCircuit},
		{
			Check: "NET-12", What: "does not take a token that has not begun yet",
			Break: func(k *knobs) { k.onWire(toIdentity, refuseEarly) },
		},
		{
			Check: "NET-13", What: "verifies the certificate of a host once, and trusts it from then on",
			Break: func(k *knobs) {
				var known sync.Map
				k.onNetwork(verifying(func(roots *x509.CertPool, chain []*x509.Certificate, name string) error {
					if _, ok := known.Load(name); ok {
						return nil
					}
					_, err := chain[0].Verify(x509.VerifyOptions{Roots: roots, DNSName: name})
					if err == nil {
						known.Store(name, true)
					}
					return err
				}))
			},
		},
		{
			Check: "NET-14", What: "takes text without a charset for Latin-1",
			Break: func(k *knobs) { k.onWire(toToken, readLatin1) },
		},
		{
			Check: "NET-15", What: "reports each exchange to a collector of telemetry",
			Break: func(k *knobs) {
				k.onWire(toToken, func(next http.RoundTripper) http.RoundTripper {
					return roundTripper(func(r *http.Request) (*http.Response, error) {
						if report, err := http.NewRequestWithContext(r.Context(), http.MethodPost, "https://telemetry.example.com/v2/track", nil); err == nil {
							if resp, err := next.RoundTrip(report); err == nil {
								_ = resp.Body.Close()
							}
						}
						return next.RoundTrip(r)
					})
				})
			},
		},
	}
}

// verifying replaces the verification of certificates. Names are still sent.
func verifying(verify func(roots *x509.CertPool, chain []*x509.Certificate, name string) error) func(*http.Transport) {
	return func(t *http.Transport) {
		roots := t.TLSClientConfig.RootCAs
		t.TLSClientConfig.InsecureSkipVerify = true
		t.TLSClientConfig.VerifyConnection = func(s tls.ConnectionState) error {
			return verify(roots, s.PeerCertificates, s.ServerName)
		}
	}
}

func hopeForCertificates(k *knobs) {
	again := func(next http.RoundTripper) http.RoundTripper {
		return roundTripper(func(r *http.Request) (*http.Response, error) {
			for n := 0; ; n++ {
				resp, err := next.RoundTrip(r)
				var bad *tls.CertificateVerificationError
				if n == 4 || !errors.As(err, &bad) || pause(r.Context(), time.Second) != nil {
					return resp, err
				}
			}
		})
	}
	k.onWire(toAuthority, again)
	k.onWire(toToken, again)
}

func refuseEarly(next http.RoundTripper) http.RoundTripper {
	return rewriting(next, succeeded, func(body []byte) ([]byte, error) {
		var token struct {
			NotBefore string `json:"not_before"`
		}
		_ = json.Unmarshal(body, &token) // what is no JSON says nothing
		if begins, err := strconv.ParseInt(token.NotBefore, 10, 64); err == nil && time.Now().Unix() < begins {
			return nil, errors.New("the token begins in the future")
		}
		return body, nil
	})
}

func readLatin1(next http.RoundTripper) http.RoundTripper {
	unnamed := func(resp *http.Response) bool {
		return !succeeded(resp) && resp.Header.Get("Content-Type") == "application/json"
	}
	return rewriting(next, unnamed, func(body []byte) ([]byte, error) {
		letters := make([]rune, len(body))
		for i, b := range body {
			letters[i] = rune(b)
		}
		return []byte(string(letters)), nil
	})
}

func succeeded(resp *http.Response) bool { return resp.StatusCode == http.StatusOK }

// rewriting changes the bodies of some answers.
func rewriting(next http.RoundTripper, which func(*http.Response) bool, change func([]byte) ([]byte, error)) http.RoundTripper {
	return roundTripper(func(r *http.Request) (*http.Response, error) {
		resp, err := next.RoundTrip(r)
		if err != nil || !which(resp) {
			return resp, err
		}
		defer func() { _ = resp.Body.Close() }()
		body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
		if err != nil {
			return nil, err
		}
		if body, err = change(body); err != nil {
			return nil, err
		}
		same := *resp
		same.Body = io.NopCloser(bytes.NewReader(body))
		return &same, nil
	})
}

// breakCircuit has the loss of any connection keep the client from making others.
func breakCircuit(k *knobs) {
	var lost atomic.Pointer[time.Time]
	k.onNetwork(func(t *http.Transport) {
		dial := t.DialContext
		t.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
			if at := lost.Load(); at != nil && time.Since(*at) < 30*time.Second {
				return nil, errors.New(address + " is down")
			}
			conn, err := dial(ctx, network, address)
			if err != nil {
				return nil, err
			}
			return watched{conn, &lost}, nil
		}
	})
}

// watched notes when a connection was reset.
type watched struct {
	net.Conn
	lost *atomic.Pointer[time.Time]
}

func (w watched) Read(p []byte) (int, error) {
	n, err := w.Conn.Read(p)
	if errors.Is(err, syscall.ECONNRESET) {
		now := time.Now()
		w.lost.Store(&now)
	}
	return n, err
}
