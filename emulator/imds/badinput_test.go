package imds

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/fakeentra/fakeentra/emulator/directory"
	"github.com/fakeentra/fakeentra/internal/edge"
)

// goodCalls are requests that get a token, by source.
var goodCalls = map[Source]struct {
	method, url string
	form        string
	header      string // that guards the endpoint
	value       string
	unversioned bool
}{
	IMDS:          {"GET", fresh, "", "Metadata", "true", false},
	AppService:    {"GET", appURL, "", "X-Identity-Header", "{secret}", false},
	Functions:     {"GET", appURL, "", "X-Identity-Header", "{secret}", false},
	ContainerApps: {"GET", appURL, "", "X-Identity-Header", "{secret}", false},
	Arc:           {"GET", arcURL, "", "Metadata", "true", false},
	ServiceFabric: {"GET", fabricURL, "", "Secret", "{secret}", false},
	CloudShell:    {"POST", shellURL, "resource=https%3A%2F%2Fstorage.azure.com", "Metadata", "true", true},
	AzureML:       {"GET", mlURL, "", "Secret", "{secret}", false},
}

// good returns the request of box that gets a token, with a key at Azure Arc.
func (w *world) good(t *testing.T, source Source) *http.Request {
	t.Helper()
	c := goodCalls[source]
	host, _ := w.Host("box")
	in := httptest.NewRequestWithContext(t.Context(), c.method, c.url, strings.NewReader(c.form))
	in.Header.Set(c.header, strings.ReplaceAll(c.value, "{secret}", w.secret(host)))
	if c.form != "" {
		in.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	if source == Arc {
		w.showKey(t, in, "box")
	}
	return in
}

// showKey adds the key that the agent of a host asks for to a request.
func (w *world) showKey(t *testing.T, in *http.Request, host string) {
	t.Helper()
	challenge := w.send(t, host, "GET", arcURL, "Metadata", "true").Header.Get("WWW-Authenticate")
	in.Header.Set("Authorization", "Basic "+w.keys.(*shelf).files[strings.TrimPrefix(challenge, "Basic realm=")])
}

// A mistake makes something of a good request wrong, or reports that the source
// has no such thing.
type mistake func(w *world, source Source, in *http.Request) bool

// edited returns a mistake in a parameter of the query or the form.
func edited(edit func(url.Values)) mistake {
	return func(_ *world, source Source, in *http.Request) bool {
		where := &in.URL.RawQuery
		body, _ := io.ReadAll(in.Body)
		form := string(body)
		if goodCalls[source].form != "" {
			where = &form
		}
		parameters, err := url.ParseQuery(*where)
		if err != nil {
			panic(err)
		}
		edit(parameters)
		*where = parameters.Encode()
		in.Body = io.NopCloser(strings.NewReader(form))
		return true
	}
}

func version(v string) mistake {
	return func(w *world, source Source, in *http.Request) bool {
		return !goodCalls[source].unversioned && edited(func(q url.Values) {
			q.Del("api-version")
			if v != "absent" {
				q.Set("api-version", v)
			}
		})(w, source, in)
	}
}

func method(m string) mistake {
	return func(_ *world, source Source, in *http.Request) bool {
		in.Method = m
		return m != goodCalls[source].method
	}
}

func guard(edit func(value string) string) mistake {
	return func(_ *world, source Source, in *http.Request) bool {
		name := goodCalls[source].header
		was := in.Header.Get(name)
		in.Header.Set(name, edit(was))
		return !strings.EqualFold(was, in.Header.Get(name))
	}
}

var mistakes = map[string]mistake{
	"the header is missing": func(_ *world, source Source, in *http.Request) bool {
		in.Header.Del(goodCalls[source].header)
		return true
	},
	"the header is empty":        guard(func(string) string { return "" }),
	"the header is another":      guard(func(string) string { return "guessed" }),
	"the header has more":        guard(func(v string) string { return v + "x" }),
	"the header has less":        guard(func(v string) string { return v[:len(v)-1] }),
	"the header is there twice":  guard(func(v string) string { return v + ", " + v }),
	"the version is missing":     version("absent"),
	"the version is empty":       version(""),
	"the version is of tomorrow": version("2999-01-01"),
	"the version is none":        version("latest"),
	"the resource is missing":    edited(func(q url.Values) { q.Del("resource") }),
	"the resource is empty":      edited(func(q url.Values) { q.Set("resource", "") }),
	"the resource is unknown":    edited(func(q url.Values) { q.Set("resource", "api://nothing") }),
	"the resource is a scope":    edited(func(q url.Values) { q.Set("resource", "api://AzureADTokenExchange/.default") }),
	"the path goes on": func(_ *world, _ Source, in *http.Request) bool {
		in.URL.Path = strings.TrimSuffix(in.URL.Path, "/") + "/x"
		return true
	},
	"the path is another": func(_ *world, _ Source, in *http.Request) bool {
		in.URL.Path = "/token"
		return true
	},
	"the secret is that of another host": func(w *world, source Source, in *http.Request) bool {
		other, _ := w.Host("other")
		in.Header.Set(goodCalls[source].header, w.secret(other))
		return w.secret(other) != ""
	},
	"DELETE": method("DELETE"), "PUT": method("PUT"), "PATCH": method("PATCH"), "HEAD": method("HEAD"), "OPTIONS": method("OPTIONS"), "TRACE": method("TRACE"),
	"POST instead of GET": func(w *world, source Source, in *http.Request) bool {
		return method("POST")(w, source, in) && source != CloudShell
	},
}

// Whatever is wrong, there is no token, and the journal says what it was.
func TestOneMistakeInAnyRequestIsRefusedAndExplained(t *testing.T) {
	for source := range goodCalls {
		w := newPlace(t, source, ownClient)
		must(t, w.AddHost(Host{Name: "other", Source: source, Tenant: contoso}))
		if resp, err := w.edge.Serve(w.Service, edge.Caller{Host: "box"}, w.good(t, source)); err != nil || resp.Status != 200 {
			t.Errorf("%s: the good request: %d %s, %v; %+v", source, resp.Status, resp.Body, err, w.last().Decision)
		}
		for name, wrong := range mistakes {
			in := w.good(t, source)
			if !wrong(w, source, in) {
				continue
			}
			resp, err := w.edge.Serve(w.Service, edge.Caller{Host: "box"}, in)
			if errors.Is(err, edge.ErrHangup) {
				resp.Status = http.StatusTeapot // no answer is a refusal, too
			} else if err != nil {
				t.Errorf("%s: %s: %v", source, name, err)
			}
			if got := w.last().Decision; resp.Status < 400 || bytes.Contains(resp.Body, []byte("access_token")) || got.Code == "" || got.Why == "" {
				t.Errorf("%s: %s: %d %s, %+v", source, name, resp.Status, resp.Body, got)
			}
		}
	}
}

// A program that can be made to forward requests must not hand out tokens. Only
// IMDS is documented to look at it.
func TestForwardedRequestsAreRefusedByIMDSAndNotedElsewhere(t *testing.T) {
	for source := range goodCalls {
		w := newPlace(t, source, ownClient)
		in := w.good(t, source)
		in.Header.Add("X-Forwarded-For", "10.0.0.1")
		in.Header.Add("X-Forwarded-For", "10.0.0.2")
		resp, err := w.edge.Serve(w.Service, edge.Caller{Host: "box"}, in)
		must(t, err)
		line := w.last().String()
		if source == IMDS {
			if resp.Status != 400 || !strings.Contains(line, "refused forwarded-for") {
				t.Errorf("%d, %s", resp.Status, line)
			}
			continue
		}
		if resp.Status != 200 || !strings.Contains(line, ` box forwarded-for="10.0.0.1, 10.0.0.2" box-own `) {
			t.Errorf("%s: %d, %s", source, resp.Status, line)
		}
	}
}

func TestSecretsBelongToOneHost(t *testing.T) {
	for source, c := range goodCalls {
		if c.value != "{secret}" {
			continue
		}
		w := newPlace(t, source, ownClient)
		must(t, w.AddHost(Host{Name: "other", Source: source, Tenant: contoso}))
		other, _ := w.Host("other")
		in := w.good(t, source)
		in.Header.Set(c.header, w.secret(other))
		resp, err := w.edge.Serve(w.Service, edge.Caller{Host: "box"}, in)
		must(t, err)
		if why := w.last().Decision.Why; resp.Status < 400 || !strings.Contains(why, "not the secret of box but that of other") {
			t.Errorf("%s: %d, %s", source, resp.Status, why)
		}
	}
}

// The agent of one machine does not take the key that another one asked for.
func TestKeysOfAzureArcBelongToOneHost(t *testing.T) {
	w := newPlace(t, Arc, ownClient)
	must(t, w.AddHost(Host{Name: "other", Source: Arc, Tenant: contoso}))
	in := httptest.NewRequestWithContext(t.Context(), "GET", arcURL, nil)
	in.Header.Set("Metadata", "true")
	w.showKey(t, in, "other")
	resp, err := w.edge.Serve(w.Service, edge.Caller{Host: "box"}, in)
	must(t, err)
	if got := w.last().Decision; resp.Status != 401 || got.Code != "arc-key" {
		t.Errorf("%d, %+v", resp.Status, got)
	}
}

// What is asked for without a selector, and with one that selects nothing, in
// each source. An identity of the source's own is box-own.
func TestWhoIsMeantWithoutASelectorAndByAWrongOne(t *testing.T) {
	const token = "200"
	selects := map[Source]string{IMDS: "client_id", AppService: "client_id", Functions: "client_id", ContainerApps: "client_id", Arc: "client_id", AzureML: "clientid"}
	for source, want := range map[Source]struct{ own, one, two, none, notAssigned, unknown, empty string }{
		IMDS:          {token, token, "multiple-identities", "identity-not-found", "identity-not-found", "identity-not-found", "identity-not-found"},
		AppService:    {token, "appservice-no-system-identity", "appservice-no-system-identity", "appservice-no-system-identity", "appservice-identity-not-found", "appservice-identity-not-found", "appservice-identity-not-found"},
		Functions:     {token, "appservice-no-system-identity", "appservice-no-system-identity", "appservice-no-system-identity", "appservice-identity-not-found", "appservice-identity-not-found", "appservice-identity-not-found"},
		ContainerApps: {token, "appservice-no-system-identity", "appservice-no-system-identity", "appservice-no-system-identity", "appservice-identity-not-found", "appservice-identity-not-found", "appservice-identity-not-found"},
		Arc:           {token, token, "arc-multiple-identities", "arc-identity-not-found", "arc-identity-not-found", "arc-identity-not-found", "arc-identity-not-found"},
		ServiceFabric: {token, token, "ManagedIdentityNotFound", "ManagedIdentityNotFound", "", "", ""},
		AzureML:       {token, token, "azureml-identity-not-found", "azureml-identity-not-found", "azureml-identity-not-found", "azureml-identity-not-found", token}, // MSAL Go sends an empty clientid
	} {
		for _, tc := range []struct {
			name, selector, want string
			identities           []directory.ClientID
		}{
			{"system-assigned and another", "", want.own, just(agentClient, ownClient)},
			{"one user-assigned", "", want.one, just(agentClient)},
			{"two user-assigned", "", want.two, just(agentClient, deployerClient)},
			{"none at all", "", want.none, nil},
			{"not assigned", "=" + string(deployerClient), want.notAssigned, just(agentClient, ownClient)},
			{"unknown", "=99999999-0000-4000-8000-000000000000", want.unknown, just(agentClient, ownClient)},
			{"empty", "=", want.empty, just(agentClient, ownClient)},
		} {
			if tc.want == "" {
				continue
			}
			w := newPlace(t, source, tc.identities...)
			in := w.good(t, source)
			if tc.selector != "" {
				in.URL.RawQuery += "&" + selects[source] + tc.selector
			}
			resp, err := w.edge.Serve(w.Service, edge.Caller{Host: "box"}, in)
			must(t, err)
			got := w.last().Decision.Code
			if resp.Status == 200 {
				got = token
			}
			if got != tc.want {
				t.Errorf("%s: %s: %s, want %s", source, tc.name, got, tc.want)
			}
		}
	}
}
