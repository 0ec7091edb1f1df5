package control

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/fakeentra/fakeentra/emulator/fault"
	"github.com/fakeentra/fakeentra/emulator/journal"
)

func must[T any](t *testing.T) func(T, error) T {
	t.Helper()
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func ok(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func same(t *testing.T, want, got any) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestHealthAndInfoSayWhatTheCloudIs(t *testing.T) {
	cloud := newTestCloud()
	c, _ := serving(t, cloud)
	same(t, Health{Status: "ok", Version: "1.2.3", Scenario: "msi-fic-blob.yaml"}, must[Health](t)(c.Health(t.Context())))
	same(t, cloud.Info(), must[Info](t)(c.Info(t.Context())))
}

func TestTheJournalIsFilteredAndForgotten(t *testing.T) {
	cloud := newTestCloud()
	c, _ := serving(t, cloud)
	cloud.record(journal.Entry{Op: "imds.token", Host: "vm1", Response: journal.Response{Status: 200}})
	cloud.record(journal.Entry{Op: "sts.token", Host: "vm1", Response: journal.Response{Status: 400}, Decision: journal.Decision{Code: "AADSTS700213", Why: "no such subject"}})
	cloud.record(journal.Entry{Op: "sts.token", Host: "laptop", Response: journal.Response{Status: 200}, Facts: []journal.Fact{{Key: "scope", Value: "s"}}, Used: []int{1}})
	cloud.record(journal.Entry{Op: "blob.list", Host: "laptop", Response: journal.Response{Status: 403}, Decision: journal.Decision{Code: "AuthorizationFailure"}})
	for _, tc := range []struct {
		f    Filter
		want []int
	}{
		{Filter{}, []int{1, 2, 3, 4}},
		{Filter{Ops: []journal.Op{"sts.token"}}, []int{2, 3}},
		{Filter{Ops: []journal.Op{"imds.token", "blob.list"}}, []int{1, 4}},
		{Filter{Host: "vm1"}, []int{1, 2}},
		{Filter{After: 3}, []int{4}},
		{Filter{After: 4}, nil},
		{Filter{Refused: true}, []int{2, 4}},
		{Filter{Refused: true, Host: "laptop", Ops: []journal.Op{"blob.list"}, After: 1}, []int{4}},
		{Filter{Ops: []journal.Op{"a&b=c d"}}, nil},
	} {
		log := must[journal.Log](t)(c.Journal(t.Context(), tc.f))
		var got []int
		for _, e := range log.Entries {
			got = append(got, e.Seq)
		}
		if diff := cmp.Diff(tc.want, got); diff != "" {
			t.Errorf("%+v: -want +got\n%s", tc.f, diff)
		}
	}
	same(t, cloud.Journal().String(), must[journal.Log](t)(c.Journal(t.Context(), Filter{})).String())
	ok(t, c.ClearJournal(t.Context()))
	if n := len(cloud.Journal().Entries); n != 0 {
		t.Errorf("%d entries are left after ClearJournal", n)
	}
}

func TestTheJournalSaysWhatItDropped(t *testing.T) {
	cloud := newTestCloud()
	cloud.journal = journal.New(journal.Limits{Entries: 1})
	c, _ := serving(t, cloud)
	for range 3 {
		cloud.record(journal.Entry{Op: "imds.token"})
	}
	same(t, cloud.Journal().Dropped, must[journal.Log](t)(c.Journal(t.Context(), Filter{Host: "nobody"})).Dropped)
}

func TestTheJournalLeavesWithoutSecrets(t *testing.T) {
	const jwt = "eyJ0eXAiOiJKV1QiLCJhbGciOiJSUzI1NiJ9.eyJhdWQiOiJ4In0.c2lnbmF0dXJl"
	cloud := newTestCloud()
	c, s := serving(t, cloud)
	cloud.record(journal.Entry{
		Op: "sts.token", Request: journal.Request{Method: "POST", URL: "https://h/t?sig=hunter2", Header: http.Header{"Secret": {"hunter2"}}, Body: []byte("client_secret=hunter2")},
		Response: journal.Response{Status: 400, Body: []byte(`{"access_token":"` + jwt + `"}`)},
		Decision: journal.Decision{Code: "X", Why: "no " + jwt}, Facts: []journal.Fact{{Key: "scope", Value: jwt}},
	})
	same(t, "client_secret=[redacted]", string(must[journal.Log](t)(c.Journal(t.Context(), Filter{})).Entries[0].Request.Body))
	if _, body := ask(t, s, "GET", "/journal", ""); strings.Contains(body, jwt[40:]) || strings.Contains(body, "hunter2") {
		t.Errorf("the journal shows a secret:\n%s", body)
	}
	same(t, jwt, cloud.Journal().Entries[0].Facts[0].Value)
}

func TestFaultsAreArmedCountedAndDisarmed(t *testing.T) {
	cloud := newTestCloud()
	c, _ := serving(t, cloud)
	same(t, []fault.Status{}, must[[]fault.Status](t)(c.Faults(t.Context())))
	ok(t, c.Inject(t.Context(),
		fault.Spec{Name: "busy", Op: "sts.token", After: 1, Times: 2, Respond: &fault.Respond{Status: 503, Header: http.Header{"Retry-After": {"1"}}, Body: "later"}},
		fault.Spec{Op: "imds.token", Delay: 90 * time.Second},
		fault.Spec{Op: "imds.token", Hangup: true},
		fault.Spec{Op: "sts.token", Refuse: "AADSTS90033"},
	))
	same(t, []fault.Status{
		{Name: "busy", Op: "sts.token", Left: 2},
		{Name: "delay 1m30s", Op: "imds.token", Open: true},
		{Name: "hangup", Op: "imds.token", Open: true},
		{Name: "refuse AADSTS90033", Op: "sts.token", Open: true},
	}, must[[]fault.Status](t)(c.Faults(t.Context())))
	cloud.plan.Next(time.Now(), "sts.token", journal.Request{})
	_, do := cloud.plan.Next(time.Now(), "sts.token", journal.Request{})
	same(t, fault.Respond{Status: 503, Header: http.Header{"Retry-After": {"1"}}, Body: "later"}, do.(fault.Respond))
	same(t, fault.Status{Name: "busy", Op: "sts.token", Seen: 2, Fired: 1, Left: 1}, must[[]fault.Status](t)(c.Faults(t.Context()))[0])
	ok(t, c.Inject(t.Context()))
	ok(t, c.ClearFaults(t.Context()))
	same(t, []fault.Status{}, cloud.Faults())
}

func TestTheClockIsMovedBothWays(t *testing.T) {
	c, _ := serving(t, newTestCloud())
	same(t, noon, must[time.Time](t)(c.Now(t.Context())))
	ok(t, c.Advance(t.Context(), 2*time.Hour+time.Nanosecond))
	same(t, noon.Add(2*time.Hour+time.Nanosecond), must[time.Time](t)(c.Now(t.Context())))
	ok(t, c.Advance(t.Context(), -4*time.Hour))
	same(t, noon.Add(-2*time.Hour+time.Nanosecond), must[time.Time](t)(c.Now(t.Context())))
	ok(t, c.SetTime(t.Context(), time.Date(2030, 6, 1, 2, 0, 0, 5, time.FixedZone("", 7200))))
	same(t, time.Date(2030, 6, 1, 0, 0, 0, 5, time.UTC), must[time.Time](t)(c.Now(t.Context())))
}

func TestKeysResetAndCA(t *testing.T) {
	cloud := newTestCloud()
	c, _ := serving(t, cloud)
	ok(t, c.RotateKeys(t.Context(), ""))
	ok(t, c.RotateKeys(t.Context(), "github"))
	ok(t, c.RetireKeys(t.Context(), "github"))
	ok(t, c.RetireKeys(t.Context(), ""))
	ok(t, c.Reset(t.Context()))
	same(t, []string{`rotate ""`, `rotate "github"`, `retire "github"`, `retire ""`, "reset"}, cloud.heard())
	same(t, cloud.ca, must[[]byte](t)(c.CA(t.Context())))
}

func TestClientErrorsCarryWhatTheServerSaid(t *testing.T) {
	c, _ := serving(t, newTestCloud())
	err := c.RotateKeys(t.Context(), "gitlab")
	var got *Error
	if !errors.As(err, &got) {
		t.Fatalf("got %v, want an *Error", err)
	}
	same(t, &Error{Status: 422, Message: `there is no issuer "gitlab"; known: github`, Expected: "the name of an issuer of this cloud, or none for Entra's own keys"}, got)
	same(t, `fakeentra control: 422 Unprocessable Entity: there is no issuer "gitlab"; known: github; expected the name of an issuer of this cloud, or none for Entra's own keys`, err.Error())
}

func TestInjectArmsAllRulesOrNone(t *testing.T) {
	cloud := newTestCloud()
	c, _ := serving(t, cloud)
	for _, bad := range []fault.Spec{{Op: "imds.token"}, {Hangup: true}, {Op: "imds.tokn", Hangup: true}} {
		var refused *Error
		if err := c.Inject(t.Context(), fault.Spec{Op: "sts.token", Hangup: true}, bad); !errors.As(err, &refused) {
			t.Errorf("%+v: %v, want a refusal", bad, err)
		}
	}
	same(t, []fault.Status{}, cloud.Faults())
}

func TestAClientSaysWhenSomethingElseAnswers(t *testing.T) {
	for _, tc := range []struct {
		status     int
		body, want string
	}{
		{200, "<html>", "answered with something else than the control plane does: invalid character '<' looking for beginning of value"},
		{502, "<html>bad gateway</html>", `fakeentra control: 502 Bad Gateway: "<html>bad gateway</html>"; expected an answer of the control plane; something else may listen there`},
		{404, `{"error":""}`, `fakeentra control: 404 Not Found: "{\"error\":\"\"}"; expected an answer of the control plane; something else may listen there`},
	} {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(tc.status)
			_, _ = w.Write([]byte(tc.body))
		}))
		want := tc.want
		if tc.status == 200 {
			want = "fakeentra control: GET " + s.URL + "/health " + want
		}
		_, err := NewClient(s.URL+"/", nil).Health(t.Context())
		s.Close()
		if err == nil || err.Error() != want {
			t.Errorf("%d %s:\ngot  %v\nwant %s", tc.status, tc.body, err, want)
		}
	}
}

func TestAClientNamesABadBaseURL(t *testing.T) {
	for _, base := range []string{"", "127.0.0.1:8080", "localhost", "http://", "http://[::1"} {
		want := `fakeentra control: the base URL is "` + base + `"; expected one such as http://127.0.0.1:8080`
		if base == "http://" {
			want = `fakeentra control: the base URL is "http:"; expected one such as http://127.0.0.1:8080`
		}
		if _, err := NewClient(base, nil).Health(t.Context()); err == nil || err.Error() != want {
			t.Errorf("%q: got %v, want %s", base, err, want)
		}
	}
}

func TestAClientGivesUpWithItsContext(t *testing.T) {
	c, _ := serving(t, newTestCloud())
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := c.Reset(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want context.Canceled", err)
	}
}

func TestManyClientsAtOnce(t *testing.T) {
	cloud := newTestCloud()
	c, _ := serving(t, cloud)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 5 {
				if err := errors.Join(c.Advance(t.Context(), time.Second), c.Inject(t.Context(), fault.Spec{Op: "sts.token", Hangup: true}), c.ClearFaults(t.Context()), c.RotateKeys(t.Context(), "")); err != nil {
					t.Error(err)
				}
				if _, err := c.Journal(t.Context(), Filter{}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	if n := len(cloud.heard()); n != 40 {
		t.Errorf("the cloud heard of %d rotations, want 40", n)
	}
}

func TestAClientHasTokensSigned(t *testing.T) {
	client, _ := serving(t, newTestCloud())
	got, err := client.SignToken(t.Context(), "github", map[string]any{"sub": "s", "exp": nil, "iat": 1755691200})
	if want := `signed {"exp":null,"iat":1755691200,"sub":"s"}`; err != nil || got != want {
		t.Errorf("got %s, %v; want %s", got, err, want)
	}
	if got, err := client.SignToken(t.Context(), "github", nil); err != nil || got != "signed {}" {
		t.Errorf("without claims: %s, %v", got, err)
	}
}
