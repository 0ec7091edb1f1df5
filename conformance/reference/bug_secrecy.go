package reference

import (
	"bytes"
	"io"
	"net/http"
	"os/exec"
	"strings"
)

// secrecyKnobs change what the client does about secrets (SEC).
type secrecyKnobs struct {
	LogRefused   bool // requests for a token that were refused
	LogAnswers   bool // answers with tokens, at the verbose level
	QuoteAnswers bool // in errors, when they cannot be read

	CacheUnasked  bool // tokens are kept in a file whether it is asked for or not
	CacheReadable bool // and everybody can read it
}

func secrecyBugs() []*Bug {
	return []*Bug{
		{
			Check: "SEC-01", What: "logs the request that was refused", Also: []string{"SEC-02"}, // where the log is longer
			Break: func(k *knobs) { k.LogRefused = true },
		},
		{
			Check: "SEC-01", What: "logs the headers with which it asks for the managed identity's token", Also: []string{"SEC-02"},
			Break: func(k *knobs) {
				k.request(toIdentity, func(r *http.Request) { k.client.logf("asked with %v", r.Header) })
			},
		},
		{
			Check: "SEC-02", What: "logs what the token endpoint answered, at the verbose level",
			Break: func(k *knobs) { k.LogAnswers = true },
		},
		{
			Check: "SEC-03", What: "quotes an answer that it cannot read",
			Break: func(k *knobs) { k.QuoteAnswers = true },
		},
		{
			Check: "SEC-04", What: "sends a resource the token in a header of its own, too, for a gateway that looks there",
			Break: func(k *knobs) {
				k.request(toResource, func(r *http.Request) {
					r.Header.Set("X-Access-Token", strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "))
				})
			},
		},
		{
			Check: "SEC-04", What: "sends the secret of App Service in Authorization, too",
			Break: func(k *knobs) {
				k.request(toIdentity, func(r *http.Request) {
					if secret := r.Header.Get("X-Identity-Header"); secret != "" {
						r.Header.Set("Authorization", "Bearer "+secret)
					}
				})
			},
		},
		{
			Check: "SEC-05", What: "keeps its tokens in a file, unasked",
			Break: func(k *knobs) { k.CacheUnasked = true },
		},
		{
			Check: "SEC-05", What: "lets everybody read the file that its tokens are kept in",
			Break: func(k *knobs) { k.CacheReadable = true },
		},
		{
			Check: "SEC-06", What: "hands its token to a program as an argument",
			Break: func(k *knobs) { k.onWire(toResource, hireProgram(k)) },
		},
	}
}

// hireProgram has a program know the token while the resource is asked. In the
// process of the suite there is none.
func hireProgram(k *knobs) middleware {
	return func(next http.RoundTripper) http.RoundTripper {
		return roundTripper(func(r *http.Request) (*http.Response, error) {
			if k.client.Transport != nil {
				return next.RoundTrip(r)
			}
			helper := exec.CommandContext(r.Context(), "cat", "-", "/dev/null/"+r.Header.Get("Authorization"))
			in, err := helper.StdinPipe()
			if err != nil {
				return nil, err
			}
			if err := helper.Start(); err != nil {
				return nil, err
			}
			resp, err := next.RoundTrip(r)
			_ = in.Close()
			_ = helper.Wait() // it has nothing to say
			return resp, err
		})
	}
}

// loggedWhole is what [client.logged] must not do.
func (c *client) loggedWhole(next http.RoundTripper) http.RoundTripper {
	if !c.LogRefused && !c.LogAnswers {
		return next
	}
	return roundTripper(func(r *http.Request) (*http.Response, error) {
		form, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, err
		}
		r = r.Clone(r.Context())
		r.Body = io.NopCloser(bytes.NewReader(form))
		resp, err := next.RoundTrip(r)
		if err != nil {
			return nil, err
		}
		body, err := c.read(resp)
		if err != nil {
			return nil, err
		}
		if c.LogRefused && resp.StatusCode >= http.StatusBadRequest {
			c.logf("refused: %s", form)
		}
		if c.LogAnswers {
			c.verbosef("answered: %s", body)
		}
		return with(resp, body), nil
	})
}

// quoting returns an error about an answer that cannot be read.
func (c *client) quoting(err *failure, body []byte) *failure {
	if c.QuoteAnswers {
		err.text += ": " + string(body)
	}
	return err
}
