package imds

import (
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/fakeentra/fakeentra/internal/edge"
	"github.com/google/go-cmp/cmp"
)

const (
	eventsURL  = "http://169.254.169.254/metadata/scheduledevents?api-version=2020-07-01"
	freezeID   = "C7061BAC-AFDC-4513-B24B-AA5F13A16123"
	freezeText = "Virtual machine is being paused because of a memory-preserving Live Migration operation."
)

// freeze is the event in the examples of Microsoft's page.
var freeze = ScheduledEvent{ID: freezeID, Type: Freeze, Resources: []string{"WestNO_0", "WestNO_1"}, Description: freezeText, DurationInSeconds: 5}

func (w *world) post(t testing.TB, host, url, body string) edge.Response {
	t.Helper()
	in := httptest.NewRequestWithContext(t.Context(), "POST", url, strings.NewReader(body))
	in.Header.Set("Metadata", "true")
	resp, err := w.edge.Serve(w.Service, edge.Caller{Host: host}, in)
	must(t, err)
	return resp
}

func (w *world) schedule(t testing.TB, host string, e ScheduledEvent) string {
	t.Helper()
	id, err := w.Schedule(host, e, w.clock.now)
	must(t, err)
	return id
}

// The four documents are those of the page's examples.
func TestAnEventIsScheduledThenStartedThenGone(t *testing.T) {
	w := newWorld(t)
	w.clock.now = time.Date(2026, 4, 11, 22, 11, 58, 0, time.UTC)
	read := func() string { return string(w.get(t, "vm1", eventsURL).Body) }
	got := []string{read()}
	w.schedule(t, "vm1", freeze)
	got = append(got, read())
	w.clock.now = w.clock.now.Add(15 * time.Minute)
	got = append(got, read())
	w.clock.now = w.clock.now.Add(10 * time.Minute)
	got = append(got, read())
	event := func(status, notBefore string) string {
		return `{"EventId":"` + freezeID + `","EventStatus":"` + status + `","EventType":"Freeze","ResourceType":"VirtualMachine","Resources":["WestNO_0","WestNO_1"],"NotBefore":"` + notBefore +
			`","Description":"` + freezeText + `","EventSource":"Platform","DurationInSeconds":5}`
	}
	want := []string{
		`{"DocumentIncarnation":1,"Events":[]}`,
		`{"DocumentIncarnation":2,"Events":[` + event("Scheduled", "Sat, 11 Apr 2026 22:26:58 GMT") + `]}`,
		`{"DocumentIncarnation":3,"Events":[` + event("Started", "") + `]}`,
		`{"DocumentIncarnation":4,"Events":[]}`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestAnApprovedEventStartsAtOnce(t *testing.T) {
	w := newWorld(t)
	first, second := w.schedule(t, "vm1", freeze), w.schedule(t, "vm1", ScheduledEvent{Type: Reboot, Source: "User", DurationInSeconds: -1})
	status := func() string {
		body := string(w.get(t, "vm1", eventsURL).Body)
		return strings.Join([]string{body[:len(`{"DocumentIncarnation":1`)], strings.Repeat("S", strings.Count(body, `"Scheduled"`)), strings.Repeat("R", strings.Count(body, `"Started"`))}, " ")
	}
	if got, want := status(), `{"DocumentIncarnation":3 SS `; got != want {
		t.Errorf("before: %s, want %s", got, want)
	}
	for range 2 { // the second time changes nothing
		resp := w.post(t, "vm1", eventsURL, `{"StartRequests":[{"EventId":"`+strings.ToLower(first)+`"}]}`)
		if resp.Status != 200 || len(resp.Body) != 0 {
			t.Errorf("approval: %d %s", resp.Status, resp.Body)
		}
		if got, want := status(), `{"DocumentIncarnation":4 S R`; got != want {
			t.Errorf("after the first approval: %s, want %s", got, want)
		}
		w.clock.now = w.clock.now.Add(time.Minute)
	}
	resp := w.post(t, "vm1", eventsURL, `{"StartRequests":[{"EventId":"`+first+`"},{"EventId":"`+second+`"}]}`)
	if got, want := status(), `{"DocumentIncarnation":5  RR`; resp.Status != 200 || got != want {
		t.Errorf("after both: %d %s, want %s", resp.Status, got, want)
	}
}

func TestNothingIsApprovedWhenAnEventIsUnknown(t *testing.T) {
	w := newWorld(t)
	id := w.schedule(t, "vm1", freeze)
	before := string(w.get(t, "vm1", eventsURL).Body)
	resp := w.post(t, "vm1", eventsURL, `{"StartRequests":[{"EventId":"`+id+`"},{"EventId":"x"}]}`)
	if got := w.last().Decision; resp.Status != 400 || string(resp.Body) != `{ "error": "Bad request. The event does not exist" }` || got.Code != "event-unknown" || !strings.Contains(got.Why, `no event "x"`) {
		t.Errorf("%d %s, %+v", resp.Status, resp.Body, got)
	}
	if after := string(w.get(t, "vm1", eventsURL).Body); after != before {
		t.Errorf("the events were %s and are %s", before, after)
	}
	w.clock.now = w.clock.now.Add(time.Hour)
	if resp := w.post(t, "vm1", eventsURL, `{"StartRequests":[{"EventId":"`+id+`"}]}`); resp.Status != 400 {
		t.Errorf("an event that is over was approved: %d", resp.Status)
	}
}

func TestMalformedStartRequestsAreRefused(t *testing.T) {
	w := newWorld(t)
	for _, body := range []string{"", "{", `{"StartRequests":[]}`, `{"StartRequests":[{}]}`, `{"StartRequests":"x"}`, `[{"EventId":"x"}]`, `{"StartRequests":[{"EventId":1}]}`} {
		resp := w.post(t, "vm1", eventsURL, body)
		if got := w.last().Decision; resp.Status != 400 || string(resp.Body) != `{ "error": "Bad request. The request body is malformed" }` || got.Code != "start-requests" || !strings.Contains(got.Why, `expected {"StartRequests"`) {
			t.Errorf("%q: %d %s, %+v", body, resp.Status, resp.Body, got)
		}
	}
}

func TestEventsAreShownAsTheVersionKnowsThem(t *testing.T) {
	w := newWorld(t)
	for _, kind := range []EventType{Freeze, Preempt, Terminate} {
		w.schedule(t, "vm1", ScheduledEvent{Type: kind})
	}
	for version, want := range map[string]string{
		"2017-08-01": "Freeze",
		"2017-11-01": "Freeze Preempt",
		"2019-01-01": "Freeze Preempt Terminate",
		"2019-04-01": "Freeze Preempt Terminate Description",
		"2019-08-01": "Freeze Preempt Terminate Description EventSource",
		"2020-07-01": "Freeze Preempt Terminate Description EventSource DurationInSeconds",
	} {
		body := string(w.get(t, "vm1", "http://169.254.169.254/metadata/scheduledevents?api-version="+version).Body)
		var got []string
		for _, word := range []string{"Freeze", "Preempt", "Terminate", "Description", "EventSource", "DurationInSeconds"} {
			if strings.Contains(body, `"`+word+`"`) {
				got = append(got, word)
			}
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%s has %v, want %s", version, got, want)
		}
	}
}

func TestEventsAreGivenTheDocumentedNotice(t *testing.T) {
	for kind, want := range map[EventType]string{
		Freeze: "Fri, 15 Jan 2027 08:15:00 GMT", Reboot: "Fri, 15 Jan 2027 08:15:00 GMT", Redeploy: "Fri, 15 Jan 2027 08:10:00 GMT",
		Preempt: "Fri, 15 Jan 2027 08:00:30 GMT", Terminate: "Fri, 15 Jan 2027 08:05:00 GMT",
	} {
		w := newWorld(t)
		id := w.schedule(t, "vm1", ScheduledEvent{Type: kind})
		if body := string(w.get(t, "vm1", eventsURL).Body); !strings.Contains(body, `"NotBefore":"`+want+`"`) || !strings.Contains(body, id) || !strings.Contains(body, `"Resources":["vm1"]`) {
			t.Errorf("%s: %s, want %s", kind, body, want)
		}
		if body := string(w.get(t, "crowded", eventsURL).Body); body != `{"DocumentIncarnation":1,"Events":[]}` {
			t.Errorf("another host is told %s", body)
		}
	}
}

func TestEventsThatCannotBeAreRefused(t *testing.T) {
	w := newWorld(t)
	w.schedule(t, "vm1", freeze)
	for _, tc := range []struct {
		host  string
		event ScheduledEvent
		want  string
	}{
		{"vm2", freeze, `no host "vm2"`},
		{"vm1", ScheduledEvent{Type: "Restart"}, "expected Freeze, Reboot, Redeploy, Preempt or Terminate"},
		{"vm1", freeze, "expected a GUID that no other event has"},
		{"vm1", ScheduledEvent{ID: "1", Type: Freeze}, "expected a GUID that no other event has"},
	} {
		if _, err := w.Schedule(tc.host, tc.event, epoch); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s %+v: %v, want an error about %q", tc.host, tc.event, err, tc.want)
		}
	}
	w.Reset()
	w.populate(t)
	if body := string(w.get(t, "vm1", eventsURL).Body); body != `{"DocumentIncarnation":1,"Events":[]}` {
		t.Errorf("after Reset: %s", body)
	}
}

// Whatever the body of a POST is, events are approved or the request is refused.
func FuzzStartRequests(f *testing.F) {
	for _, body := range []string{`{"StartRequests":[{"EventId":"` + freezeID + `"}]}`, `{"StartRequests":[{}]}`, `null`, `{"startrequests":[{"eventid":"x"}]}`, "\xff"} {
		f.Add(body)
	}
	w := newWorld(f)
	w.schedule(f, "vm1", freeze)
	f.Fuzz(func(t *testing.T, body string) {
		ids, no := startRequests([]byte(body))
		if (no == nil) != (len(ids) > 0) {
			t.Fatalf("%q: %v and %v", body, ids, no)
		}
		if resp := w.post(t, "vm1", eventsURL, body); resp.Status != 400 && (resp.Status != 200 || no != nil) {
			t.Fatalf("%q: %d", body, resp.Status)
		}
	})
}
