package reference

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// assertionKnobs change what the client does about the assertion at the token endpoint (AST).
type assertionKnobs struct {
	UnsignedTimes  bool // the time that a token of IMDS has left is compared as if it were never negative
	EagerAssertion bool // a request begins with the assertion, whether there is to be an exchange or not
	HideReason     bool // errors do not say why an assertion was refused
}

func assertionBugs() []*Bug {
	return []*Bug{
		{
			Check: "AST-01", What: "posts to the v1.0 endpoint, with the resource that it takes",
			Break: func(k *knobs) {
				k.onWire(toToken, byV1)
				k.form(func(f url.Values) {
					f.Set("resource", strings.TrimSuffix(strings.Fields(f.Get("scope"))[0], "/.default"))
				})
			},
		},
		{
			Check: "AST-02", What: "says its grant type twice", Also: []string{"AST-09", "NET-07"},
			Break: func(k *knobs) { k.form(func(f url.Values) { f.Add("grant_type", f.Get("grant_type")) }) },
		},
		{
			Check: "AST-03", What: "says that its assertion is SAML", Everything: "the token service takes no other type of assertion",
			Break: func(k *knobs) {
				k.form(func(f url.Values) {
					f.Set("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:saml2-bearer")
				})
			},
		},
		{
			Check: "AST-04", What: "ends its assertion with a line break, as if from a file", Also: []string{"MIT-01"},
			Break: func(k *knobs) {
				k.form(func(f url.Values) { f.Set("client_assertion", f.Get("client_assertion")+"\n") })
			},
		},
		{
			Check: "AST-05", What: "gives the client ID of the managed identity as its own", Everything: "the token service knows no application of that client ID",
			Break: func(k *knobs) { k.form(func(f url.Values) { f.Set("client_id", k.client.Identity.Value) }) },
		},
		{
			Check: "AST-06", What: "asks for the scope of a user's address, too",
			Break: func(k *knobs) { k.form(func(f url.Values) { f.Set("scope", f.Get("scope")+" email") }) },
		},
		{
			Check: "AST-07", What: "adds the client secret that it finds in its environment",
			Break: func(k *knobs) {
				k.form(func(f url.Values) {
					if secret := k.client.environ("AZURE_CLIENT_SECRET"); secret != "" {
						f.Set("client_secret", secret)
					}
				})
			},
		},
		{
			Check: "AST-07", What: "authenticates by HTTP Basic, too, with an empty password",
			Break: func(k *knobs) { k.request(toToken, func(r *http.Request) { r.SetBasicAuth(k.client.AppClientID, "") }) },
		},
		{
			Check: "AST-08", What: "says in the URL, too, what it asks for",
			Break: func(k *knobs) {
				k.request(toToken, func(r *http.Request) { r.URL.RawQuery = "grant_type=client_credentials" })
			},
		},
		{
			Check: "AST-09", What: "asks for information on the client twice",
			Break: func(k *knobs) { k.form(func(f url.Values) { f["client_info"] = []string{"1", "1"} }) },
		},
		{
			Check: "AST-10", What: "takes an expired assertion for one with a long time left", Also: []string{"MIT-05"},
			Break: func(k *knobs) { k.UnsignedTimes = true },
		},
		{
			Check: "AST-11", What: "gets an assertion before it looks for a token in its cache",
			Break: func(k *knobs) { k.EagerAssertion = true },
		},
		{
			Check: "AST-12", What: "asks another endpoint whether the assertion is good",
			Break: func(k *knobs) { k.onWire(toToken, introspecting) },
		},
		{
			Check: "AST-13", What: "repeats requests at other hosts when told so, and looks only afterwards who answered",
			Break: func(k *knobs) {
				k.onWire(toToken, following(func(from, to *url.URL) bool { return to.Scheme == "https" && to.Host != from.Host }, true, false))
			},
		},
		{
			Check: "AST-14", What: "repeats requests by http on the same host when told so, and looks only afterwards who answered",
			Break: func(k *knobs) {
				k.onWire(toToken, following(func(from, to *url.URL) bool { return to.Scheme == "http" && to.Host == from.Host }, true, false))
			},
		},
		{
			Check: "AST-15", What: "fetches what a redirect leads to, without its credentials, and believes it",
			Break: func(k *knobs) {
				k.onWire(toToken, following(func(_, _ *url.URL) bool { return true }, false, true))
			},
		},
		{
			Check: "AST-16", What: "sends an assertion again that is not within its time",
			Break: func(k *knobs) { k.onWire(toToken, repeating("AADSTS700024")) },
		},
		{
			Check: "AST-17", What: "does not say why it was refused an assertion",
			Break: func(k *knobs) { k.HideReason = true },
		},
	}
}

// byV1 posts to the v1.0 endpoint, and makes its answer one of the v2.0 endpoint.
func byV1(next http.RoundTripper) http.RoundTripper {
	return roundTripper(func(r *http.Request) (*http.Response, error) {
		r = r.Clone(r.Context())
		r.URL.Path = strings.Replace(r.URL.Path, "/v2.0/", "/", 1)
		resp, err := next.RoundTrip(r)
		if err != nil {
			return nil, err
		}
		body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
		if err != nil {
			return nil, err
		}
		var members map[string]any
		if resp.StatusCode == http.StatusOK && json.Unmarshal(body, &members) == nil {
			delete(members, "expires_on")
			body, err = json.Marshal(members)
		}
		return with(resp, body), err
	})
}

// form changes the form of token requests before they are sent.
func (k *knobs) form(change func(url.Values)) {
	k.request(toToken, func(r *http.Request) { changeForm(r, change) })
}

func changeForm(r *http.Request, change func(url.Values)) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // the request fails by itself
	}
	form, err := url.ParseQuery(string(body))
	if err == nil {
		change(form)
		body = []byte(form.Encode())
	}
	rewind(r, body)
}

// rewind gives a request its body, as if nobody had read it.
func rewind(r *http.Request, body []byte) {
	r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
}

// endless reports whether a token has more than a day left. It takes negative
// times for long ones.
func endless(t identityToken) bool { return uint64(time.Until(t.ends)) > uint64(24*time.Hour) }

// introspecting asks for the state of the assertion (RFC 7662) first.
func introspecting(next http.RoundTripper) http.RoundTripper {
	return repeated(func(r *http.Request, again func(*http.Request) (*http.Response, error), body []byte) (*http.Response, error) {
		ask := r.Clone(r.Context())
		ask.URL.Path = strings.Replace(r.URL.Path, "/token", "/introspect", 1)
		form, err := url.ParseQuery(string(body))
		if err != nil {
			return nil, err
		}
		rewind(ask, []byte(url.Values{"token": {form.Get("client_assertion")}}.Encode()))
		if resp, err := next.RoundTrip(ask); err == nil {
			_ = resp.Body.Close()
		}
		return again(r)
	})(next)
}

// following follows redirects where goes says so: with the body if it repeats the
// request, and otherwise by a GET.
func following(goes func(from, to *url.URL) bool, repeats, believes bool) middleware {
	return repeated(func(r *http.Request, again func(*http.Request) (*http.Response, error), _ []byte) (*http.Response, error) {
		resp, err := again(r)
		if err != nil {
			return nil, err
		}
		to, err := resp.Location()
		keeps := resp.StatusCode == http.StatusTemporaryRedirect || resp.StatusCode == http.StatusPermanentRedirect
		if err != nil || keeps != repeats || !goes(r.URL, to) {
			return resp, nil
		}
		_ = resp.Body.Close()
		there := r.Clone(r.Context())
		there.URL, there.Host = to, to.Host
		if !repeats {
			there.Method, there.Header = http.MethodGet, http.Header{}
		}
		resp, err = again(there)
		if err != nil || believes {
			return resp, err
		}
		_ = resp.Body.Close()
		return nil, errors.New("the token endpoint is elsewhere")
	})
}

// repeating sends a request again when the answer has a code in it.
func repeating(code string) middleware {
	return repeated(func(r *http.Request, again func(*http.Request) (*http.Response, error), _ []byte) (*http.Response, error) {
		resp, err := again(r)
		if err != nil || resp.StatusCode < http.StatusBadRequest {
			return resp, err
		}
		body, err := io.ReadAll(resp.Body)
		if err != nil || !bytes.Contains(body, []byte(code)) {
			return with(resp, body), err
		}
		return again(r)
	})
}

// repeated is a middleware of a function that may send requests more than once.
func repeated(do func(r *http.Request, again func(*http.Request) (*http.Response, error), body []byte) (*http.Response, error)) middleware {
	return func(next http.RoundTripper) http.RoundTripper {
		return roundTripper(func(r *http.Request) (*http.Response, error) {
			body, err := io.ReadAll(r.Body)
			if err != nil {
				return nil, err
			}
			return do(r, func(r *http.Request) (*http.Response, error) {
				same := r.Clone(r.Context())
				if same.Method == http.MethodGet {
					same.Body, same.ContentLength = nil, 0
				} else {
					rewind(same, body)
				}
				return next.RoundTrip(same)
			}, body)
		})
	}
}
