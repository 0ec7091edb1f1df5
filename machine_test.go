package fakeentra_test

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/fakeentra/fakeentra"
)

// metadata asks the Instance Metadata Service of a host.
func metadata(t *testing.T, h *fakeentra.Host, method, path, body string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, "http://169.254.169.254/metadata"+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Metadata", "true")
	resp, err := h.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	got, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(got)
}

// The same machine, described in Go and in a scenario file.
func TestMachinesAreDescribedInGoAndInScenarios(t *testing.T) {
	clock := fakeentra.WithClock(still{}) // so that rates do not depend on how fast the test runs
	entra := fakeentra.Start(t, clock)
	inGo := entra.AddHost("web", fakeentra.IMDS, fakeentra.WithMachine(fakeentra.Machine{
		Location: "northeurope", Tags: []fakeentra.Tag{{Name: "Department", Value: "IT"}}, RateLimits: true,
	}))
	inGo.Schedule(fakeentra.ScheduledEvent{Type: fakeentra.Reboot, NotBefore: entra.Now().Add(20 * time.Minute), Source: "User", DurationInSeconds: -1})
	inFile := fakeentra.Start(t, clock, fakeentra.WithScenario([]byte(`fakeentra: 1
hosts:
  web:
    source: imds
    machine: {location: northeurope, tags: {Department: IT}}
    rate-limits: true
    scheduled-events: [{type: Reboot, in: 20m, source: User}]
`))).Host("web")
	for name, vm := range map[string]*fakeentra.Host{"Go": inGo, "scenario": inFile} {
		for _, tc := range []struct {
			path   string
			status int
			want   string
		}{
			{"/instance/compute/location?api-version=2021-02-01&format=text", 200, "northeurope"},
			{"/instance/compute/tags?api-version=2021-02-01&format=text", 200, "Department:IT"},
			{"/scheduledevents?api-version=2020-07-01", 200, `"NotBefore":"Fri, 15 Jan 2027 08:20:00 GMT","Description":"","EventSource":"User","DurationInSeconds":-1}]}`},
			{"/versions", 200, "2025-04-07"},
			{"/versions", 200, "2025-04-07"},
			{"/versions", 429, "Too many requests"},
		} {
			if status, body := metadata(t, vm, "GET", tc.path, ""); status != tc.status || !strings.Contains(body, tc.want) {
				t.Errorf("%s %s: %d %s, want %d with %s", name, tc.path, status, body, tc.status, tc.want)
			}
		}
	}
}

func TestScheduledEventsFollowTheCloudsClock(t *testing.T) {
	entra := fakeentra.Start(t)
	vm := entra.AddHost("vm1", fakeentra.IMDS)
	id := vm.Schedule(fakeentra.ScheduledEvent{Type: fakeentra.Preempt})
	if _, body := metadata(t, vm, "GET", "/scheduledevents?api-version=2020-07-01", ""); !strings.Contains(body, `"EventId":"`+id+`","EventStatus":"Scheduled"`) {
		t.Errorf("at first: %s", body)
	}
	if status, body := metadata(t, vm, "POST", "/scheduledevents?api-version=2020-07-01", `{"StartRequests":[{"EventId":"`+id+`"}]}`); status != 200 {
		t.Errorf("approval: %d %s", status, body)
	}
	if _, body := metadata(t, vm, "GET", "/scheduledevents?api-version=2020-07-01", ""); !strings.Contains(body, `"EventStatus":"Started"`) {
		t.Errorf("after the approval: %s", body)
	}
	entra.Advance(11 * time.Minute)
	if _, body := metadata(t, vm, "GET", "/scheduledevents?api-version=2020-07-01", ""); body != `{"DocumentIncarnation":4,"Events":[]}` {
		t.Errorf("at the end: %s", body)
	}
}
