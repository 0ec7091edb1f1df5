package lab_test

import (
	"net/http"
	"testing"

	"github.com/fakeentra/fakeentra/conformance/internal/lab"
)

// The cases of a catalogue have answers that runs at the same time share.
func TestAnswersWithOneMoreHeaderAreOthers(t *testing.T) {
	a := lab.Text(http.StatusTooManyRequests, "text/plain", "busy")
	later := a.With("Retry-After", "1")
	if a.Header.Get("Retry-After") != "" || later.Header.Get("Retry-After") != "1" || later.Header.Get("Content-Type") != "text/plain" {
		t.Errorf("the answer has %v, and with one more %v", a.Header, later.Header)
	}
}
