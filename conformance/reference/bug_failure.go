package reference

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"regexp"
	"strings"
	"sync/atomic"
	"time"

	"github.com/fakeentra/fakeentra/conformance/driver"
)

// failureKnobs change what the client does about errors and retries at the token endpoint (ERR).
type failureKnobs struct {
	AnyAudience bool // an empty one, too
}

func failureBugs() []*Bug {
	return []*Bug{
		{
			Check: "ERR-01", What: "says in words of its own that there is no such tenant",
			Break: func(k *knobs) {
				k.onAsk(failing(func(f *driver.Failure) {
					if strings.Contains(f.Message, "AADSTS90002") {
						f.Message = "the tenant does not exist"
					}
				}))
			},
		},
		{
			Check: "ERR-02", What: "leaves out of its errors what comes after the sentence of the refusal",
			Break: func(k *knobs) {
				k.onAsk(failing(func(f *driver.Failure) { f.Message, _, _ = strings.Cut(f.Message, "Trace ID") }))
			},
		},
		{
			Check: "ERR-03", What: "asks again when the application is not found, since it may be a new one",
			Break: func(k *knobs) { k.onWire(toToken, insisting(1, 0, "AADSTS700016")) },
		},
		{
			Check: "ERR-04", What: "asks again at once until a new federated identity credential is seen",
			Break: func(k *knobs) { k.onWire(toToken, insisting(10, 0, "AADSTS70021:")) },
		},
		{
			Check: "ERR-04", What: "asks again at once until a federated identity credential for the subject is seen",
			Break: func(k *knobs) { k.onWire(toToken, insisting(10, 0, "AADSTS700213:")) },
		},
		{
			Check: "ERR-05", What: "waits for two seconds at most, whatever Retry-After says",
			Break: func(k *knobs) {
				k.onWire(toToken, answering(func(resp *http.Response) {
					if wait, ok := retryAfter(resp.Header, time.Now()); ok && wait > 2*time.Second {
						resp.Header.Set("Retry-After", "2")
					}
				}))
			},
		},
		{
			Check: "ERR-06", What: "takes a gateway that waited in vain for the end",
			Break: func(k *knobs) {
				k.onWire(toToken, func(next http.RoundTripper) http.RoundTripper {
					return roundTripper(func(r *http.Request) (*http.Response, error) {
						resp, err := next.RoundTrip(r)
						if err == nil && resp.StatusCode == http.StatusGatewayTimeout {
							_ = resp.Body.Close()
							return nil, &failure{driver.Auth, resp.StatusCode, "the token endpoint answered " + resp.Status}
						}
						return resp, err
					})
				})
			},
		},
		{
			Check: "ERR-07", What: "tries ten times before it gives up",
			Break: func(k *knobs) { k.onWire(toToken, insisting(9, time.Second, "temporarily_unavailable")) },
		},
		{
			Check: "ERR-08", What: "says of an empty answer nothing but that it is empty",
			Break: func(k *knobs) {
				k.onAsk(failing(func(f *driver.Failure) {
					if f.HTTPStatus == http.StatusBadRequest && strings.Contains(f.Message, "without JSON") {
						*f = driver.Failure{Kind: driver.Protocol, Message: "the answer of the token endpoint is empty"}
					}
				}))
			},
		},
		{
			Check: "ERR-09", What: "returns an empty token when an error has the status 200",
			Break: func(k *knobs) {
				k.onAsk(func(_ *client, next asker) asker {
					return func(ctx context.Context, r driver.TokenRequest) (driver.Outcome, error) {
						got, err := next(ctx, r)
						if err != nil && strings.Contains(err.Error(), "answered 200 with the error") {
							return driver.Outcome{}, nil
						}
						return got, err
					}
				})
			},
		},
		{
			Check: "ERR-10", What: "takes a token of any type for a bearer token",
			Break: func(k *knobs) { k.AnyTokenType = true },
		},
		{
			Check: "ERR-11", What: "knows the type Bearer in this letter case alone",
			Break: func(k *knobs) {
				k.answer(toToken, func(_ *http.Request, members map[string]any) {
					if kind, ok := members["token_type"]; ok && kind != "Bearer" {
						members["token_type"] = "unknown"
					}
				})
			},
		},
		{
			Check: "ERR-12", What: "takes no expires_in that is text",
			Break: func(k *knobs) {
				k.answer(toToken, func(_ *http.Request, members map[string]any) {
					if _, text := members["expires_in"].(string); text {
						members["expires_in"] = nil
					}
				})
			},
		},
		{
			Check: "ERR-13", What: "uses a token for a year when there is no expires_in",
			Break: func(k *knobs) {
				k.answer(toToken, func(_ *http.Request, members map[string]any) {
					if _, there := members["expires_in"]; !there && members["access_token"] != nil {
						members["expires_in"] = 365 * 24 * 3600
					}
				})
			},
		},
		{
			Check: "ERR-14", What: "takes what it finds of a token when the connection breaks",
			Break: func(k *knobs) { k.onWire(toToken, salvaging) },
		},
		{
			Check: "ERR-15", What: "gives the body of an answer two seconds",
			Break: func(k *knobs) { k.onWire(toToken, hurrying) },
		},
		{
			Check: "ERR-15", What: "looks whether there is an IMDS, and gives the body of its answers two seconds",
			Break: func(k *knobs) {
				k.probing()
				k.onWire(toIdentity, hurrying)
			},
		},
		{
			Check: "ERR-16", What: "reads an answer to its end, however long it is",
			Break: func(k *knobs) { k.ReadAll = true },
		},
		{
			Check: "ERR-17", What: "looks for x-ms-request-id in answers after one that was an error",
			Break: func(k *knobs) { k.onWire(toToken, relating) },
		},
		{
			Check: "ERR-18", What: "answers every call after one that was cancelled with its error",
			Break: func(k *knobs) { k.onAsk(offended) },
		},
		{
			Check: "ERR-18", What: "goes on with its attempts when the caller has given up",
			Break: func(k *knobs) { k.onWire(toToken, persisting) },
		},
		{
			Check: "ERR-18", What: "does not hear that the caller has given up while the token endpoint is asked",
			Break: func(k *knobs) { k.onWire(toToken, deaf) },
		},
		{
			Check: "ERR-19", What: "takes an empty audience for one",
			Break: func(k *knobs) { k.AnyAudience = true },
		},
		{
			Check: "ERR-20", What: "takes a token of no type for a bearer token",
			Break: func(k *knobs) { k.UntypedToken = true },
		},
	}
}

// failing changes what errors say.
func failing(change func(*driver.Failure)) func(*client, asker) asker {
	return func(_ *client, next asker) asker {
		return func(ctx context.Context, r driver.TokenRequest) (driver.Outcome, error) {
			got, err := next(ctx, r)
			if f, ok := errors.AsType[*driver.Failure](err); ok {
				own := *f
				change(&own)
				return got, &own
			}
			return got, err
		}
	}
}

// deaf does not hear of callers who give up.
func deaf(next http.RoundTripper) http.RoundTripper {
	return roundTripper(func(r *http.Request) (*http.Response, error) {
		return next.RoundTrip(r.WithContext(context.WithoutCancel(r.Context())))
	})
}

// answering changes answers before the client sees them.
func answering(change func(*http.Response)) middleware {
	return func(next http.RoundTripper) http.RoundTripper {
		return roundTripper(func(r *http.Request) (*http.Response, error) {
			resp, err := next.RoundTrip(r)
			if err == nil {
				change(resp)
			}
			return resp, err
		})
	}
}

// insisting sends a request again while an answer that is an error, and does not
// say when to come again, has some text.
func insisting(times int, wait time.Duration, text string) middleware {
	return func(next http.RoundTripper) http.RoundTripper {
		return roundTripper(func(r *http.Request) (*http.Response, error) {
			resp, err := next.RoundTrip(r)
			for range times {
				if err != nil || resp.StatusCode < http.StatusBadRequest || resp.Header.Get("Retry-After") != "" || exchangeOf(r.Context()).spare {
					break
				}
				body, readError := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
				_ = resp.Body.Close()
				if readError != nil {
					return nil, readError
				}
				if resp = with(resp, body); !bytes.Contains(body, []byte(text)) {
					break
				}
				if err := pause(r.Context(), wait); err != nil {
					return nil, err
				}
				resp, err = next.RoundTrip(resent(r))
			}
			return resp, err
		})
	}
}

var beginning = regexp.MustCompile(`"access_token":"([^"]*)`)

// salvaging makes an answer of what came before the connection broke.
func salvaging(next http.RoundTripper) http.RoundTripper {
	return answering(func(resp *http.Response) {
		body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
		_ = resp.Body.Close()
		if found := beginning.FindSubmatch(body); err != nil && found != nil {
			body = []byte(`{"token_type":"Bearer","expires_in":3599,"access_token":"` + string(found[1]) + `"}`)
		}
		with(resp, body)
	})(next)
}

// hurrying gives up a body that takes long.
func hurrying(next http.RoundTripper) http.RoundTripper {
	return roundTripper(func(r *http.Request) (*http.Response, error) {
		ctx, cancel := context.WithCancel(r.Context())
		resp, err := next.RoundTrip(r.WithContext(ctx))
		if err != nil {
			cancel()
			return nil, err
		}
		resp.Body = limited{resp.Body, time.AfterFunc(2*time.Second, cancel), cancel}
		return resp, nil
	})
}

// limited is a body with a time in which it must have come.
type limited struct {
	io.ReadCloser
	timer  *time.Timer
	cancel context.CancelFunc
}

func (l limited) Close() error {
	l.timer.Stop()
	defer l.cancel()
	return l.ReadCloser.Close()
}

// offended remembers that a call was cancelled.
func offended(_ *client, next asker) asker {
	var why atomic.Pointer[error]
	return func(ctx context.Context, r driver.TokenRequest) (driver.Outcome, error) {
		if before := why.Load(); before != nil {
			return driver.Outcome{}, *before
		}
		got, err := next(ctx, r)
		if err != nil && errors.Is(ctx.Err(), context.Canceled) {
			why.Store(&err)
		}
		return got, err
	}
}

// persisting tries again for a caller that is not there any more.
func persisting(next http.RoundTripper) http.RoundTripper {
	return roundTripper(func(r *http.Request) (*http.Response, error) {
		resp, err := next.RoundTrip(r)
		if err != nil || resp.StatusCode != http.StatusServiceUnavailable || !errors.Is(pause(r.Context(), 600*time.Millisecond), context.Canceled) {
			return resp, err
		}
		ctx := context.WithoutCancel(r.Context())
		for n := 0; n < 3 && err == nil && resp.StatusCode == http.StatusServiceUnavailable; n++ {
			_ = resp.Body.Close()
			_ = pause(ctx, time.Second) // it cannot end early
			resp, err = next.RoundTrip(resent(r).WithContext(ctx))
		}
		return resp, err
	})
}

// relating fails when it cannot tell an answer from the error that was before it.
func relating(next http.RoundTripper) http.RoundTripper {
	var failed atomic.Bool
	return roundTripper(func(r *http.Request) (*http.Response, error) {
		resp, err := next.RoundTrip(r)
		if err != nil {
			return nil, err
		}
		if resp.StatusCode >= http.StatusInternalServerError {
			failed.Store(true)
		} else if failed.Load() && resp.Header.Get("X-Ms-Request-Id") == "" {
			_ = resp.Body.Close()
			return nil, errors.New("the key x-ms-request-id was not present in the dictionary")
		}
		return resp, nil
	})
}
