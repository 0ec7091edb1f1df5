package fakeentra_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/fakeentra/fakeentra"
)

// The table in the documentation of package fault, as scenario files have it.
func TestWhatCommonlyGoesWrongHasAName(t *testing.T) {
	for _, tc := range []struct{ rule, want string }{
		{"refuse: updating-410, for: 70s", "410 application/json; charset=utf-8"},
		{"refuse: updating-404, for: 70s", "404 application/json; charset=utf-8"},
		{"refuse: throttled, times: 3", "429 application/json; charset=utf-8"},
		{"refuse: unavailable, times: 2", "503 application/json; charset=utf-8"},
		{"refuse: restarting", "500 text/plain"},
		{"hang: true", "gave up"},
		{"hangup: true", "closed"},
		{"reset: true", "reset"},
		{"refuse: captive-portal", "200 text/html"},
		{"refuse: bad-gateway", "502 text/html"},
		{"refuse: gateway-timeout", "504 text/html"},
		{"refuse: docker-desktop", "403 text/plain"},
		{"refuse: pod-identity", "500 text/plain"},
	} {
		entra := fakeentra.Start(t, fakeentra.WithScenario(fmt.Appendf(nil, "fakeentra: 1\nhosts: {vm1: {source: imds}}\nfaults: [{op: imds.versions, %s}]", tc.rule)))
		patience := time.Minute
		if tc.want == "gave up" {
			patience = 10 * time.Millisecond
		}
		if got := outcome(t, entra.Host("vm1"), patience); got != tc.want {
			t.Errorf("%s: %s, want %s", tc.rule, got, tc.want)
		}
	}
}

// outcome asks for versions and says in a few words what came of it.
func outcome(t *testing.T, h *fakeentra.Host, patience time.Duration) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://169.254.169.254/metadata/versions", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Metadata", "true")
	resp, err := h.Client().Do(req)
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return "gave up"
	case errors.Is(err, syscall.ECONNRESET):
		return "reset"
	case errors.Is(err, io.ErrUnexpectedEOF):
		return "closed"
	case err != nil:
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	return strings.TrimSpace(fmt.Sprint(resp.StatusCode, " ", resp.Header.Get("Content-Type")))
}

// IMDS is updated for 70 seconds of the cloud's time, from the first request on.
func TestAFaultLastsForAStretchOfTheCloudsTime(t *testing.T) {
	entra := fakeentra.Start(t, fakeentra.WithScenario([]byte("fakeentra: 1\nhosts: {vm1: {source: imds}}\nfaults: [{op: imds.versions, refuse: updating-410, for: 70s}]")))
	entra.Advance(time.Hour)
	for _, want := range []string{"410 application/json; charset=utf-8", "410 application/json; charset=utf-8", "200 application/json; charset=utf-8"} {
		if got := outcome(t, entra.Host("vm1"), time.Minute); got != want {
			t.Errorf("at %v: %s, want %s", entra.Now(), got, want)
		}
		entra.Advance(36 * time.Second)
	}
}
