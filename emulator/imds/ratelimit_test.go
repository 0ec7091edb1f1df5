package imds

import (
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fakeentra/fakeentra/emulator/fault"
	"github.com/fakeentra/fakeentra/emulator/journal"
)

func limitedWorld(t *testing.T) *world {
	t.Helper()
	w := newWorld(t)
	for _, name := range []string{"limited", "neighbour"} {
		must(t, w.AddHost(Host{Name: name, Source: IMDS, Tenant: contoso, Machine: Machine{RateLimits: true}}))
		must(t, w.Assign(name, agentClient))
	}
	return w
}

// passed asks n times and returns how many were not refused with 429.
func passed(t *testing.T, w *world, host, url string, n int) int {
	t.Helper()
	let := 0
	for range n {
		if w.get(t, host, url).Status != 429 {
			let++
		}
	}
	return let
}

func TestAMachineIsLimitedToTheDocumentedRates(t *testing.T) {
	w := limitedWorld(t)
	for _, tc := range []struct {
		after     time.Duration
		host, url string
		want      int // of 30
	}{
		{0, "limited", instanceURL + "?api-version=2021-02-01", 5},
		{0, "limited", eventsURL, 0},   // the categories share a limit
		{0, "neighbour", eventsURL, 5}, // but not with other machines
		{0, "limited", fresh, 20},      // nor with tokens
		{0, "system", eventsURL, 30},   // it is not switched on there
		{999 * time.Millisecond, "limited", eventsURL, 0},
		{time.Second, "limited", eventsURL, 5},
		{time.Second, "limited", fresh + "&client_id=unknown", 20}, // what is refused otherwise counts, too
		{time.Second, "limited", fresh, 0},
		{-time.Hour, "limited", fresh, 20}, // a clock that was set back locks nobody out
	} {
		w.clock.now = epoch.Add(tc.after)
		if got := passed(t, w, tc.host, tc.url, 30); got != tc.want {
			t.Errorf("after %v, %s %s: %d of 30 passed, want %d", tc.after, tc.host, tc.url, got, tc.want)
		}
	}
}

func TestAThrottledRequestIsToldSo(t *testing.T) {
	w := limitedWorld(t)
	for url, want := range map[string]string{
		eventsURL: `{ "error": "Too many requests" }`,
		fresh:     `{"error":"too_many_requests","error_description":"Temporarily throttled, too many requests"}`,
	} {
		passed(t, w, "limited", url, 20)
		resp := w.get(t, "limited", url)
		if got := w.last().Decision; resp.Status != 429 || string(resp.Body) != want || got.Code != "throttled" || !strings.Contains(got.Why, "in the last second") {
			t.Errorf("%s: %d %s, %+v", url, resp.Status, resp.Body, got)
		}
	}
}

// Five requests wait for a fault rule to make up its mind; the sixth is refused,
// and passes when they are answered.
func TestAMachineIsLimitedToFiveTokenRequestsAtATime(t *testing.T) {
	w := limitedWorld(t)
	entered, release := make(chan struct{}), make(chan struct{})
	w.edge.Faults.Add(fault.Rule{Op: "imds.token", Do: fault.Hangup{}, When: func(r journal.Request) bool {
		if strings.HasSuffix(r.URL, "&wait=true") {
			entered <- struct{}{}
			<-release
		}
		return false
	}})
	var wg sync.WaitGroup
	statuses := make([]int, 5)
	for i := range statuses {
		wg.Go(func() { statuses[i] = w.get(t, "limited", fresh+"&wait=true").Status })
		<-entered
	}
	resp := w.get(t, "limited", fresh)
	if got := w.last().Decision; resp.Status != 429 || got.Code != "throttled" || !strings.Contains(got.Why, "5 token requests of limited are being answered") {
		t.Errorf("the sixth: %d, %+v", resp.Status, got)
	}
	if resp := w.get(t, "limited", eventsURL); resp.Status != 200 {
		t.Errorf("scheduled events meanwhile: %d, want 200", resp.Status)
	}
	close(release)
	wg.Wait()
	for i, status := range statuses {
		if status != 200 {
			t.Errorf("request %d: %d", i, status)
		}
	}
	if resp := w.get(t, "limited", fresh); resp.Status != 200 {
		t.Errorf("afterwards: %d, want 200", resp.Status)
	}
}
