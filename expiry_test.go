package fakeentra_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/fakeentra/fakeentra"
)

// Two hours of a client's life in no real time. Managed identity tokens live 50
// minutes here, so that an assertion expires between two exchanges: a client
// that keeps one past its life fails.
func TestTokensAreRenewedWhenTheyExpire(t *testing.T) {
	began := time.Now()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, fakeentra.WithTokenLifetimes(50*time.Minute, time.Hour))
		m, err := newMSAL(w, w.contoso)
		if err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		var asked []time.Duration // when MSAL asked the token service
		seen := map[string]bool{}
		for time.Since(start) <= 2*time.Hour {
			got, err := m.token(t.Context())
			if err != nil {
				t.Fatalf("after %v: %v", time.Since(start), err)
			}
			if !seen[got.AccessToken] {
				seen[got.AccessToken] = true
				asked = append(asked, time.Since(start))
			}
			if left := time.Until(got.ExpiresOn); left < 5*time.Minute {
				t.Errorf("after %v MSAL returned a token with %v left", time.Since(start), left)
			}
			time.Sleep(time.Minute)
		}
		// MSAL renews an application's token five minutes before its end.
		if diff := cmp.Diff([]time.Duration{0, 55 * time.Minute, 110 * time.Minute}, asked); diff != "" {
			t.Errorf("new application tokens came after (-want +got):\n%s", diff)
		}
		log := w.Journal()
		if n := len(log.Of("sts.token").Entries); n != 3 || m.calls != 3 {
			t.Errorf("%d exchanges and %d calls of the assertion callback, want 3 and 3", n, m.calls)
		}
		var identity []time.Duration
		for _, e := range log.Of("imds.token").Entries {
			identity = append(identity, e.Time.Sub(start).Round(time.Minute))
		}
		if diff := cmp.Diff([]time.Duration{0, 55 * time.Minute, 110 * time.Minute}, identity); diff != "" {
			t.Errorf("IMDS was asked after (-want +got):\n%s", diff)
		}
		for _, e := range log.Of("sts.token").Entries {
			if len(e.Used) != 1 || e.Used[0] != e.Seq-1 {
				t.Errorf("exchange #%d used the assertion of %v, want the one just fetched", e.Seq, e.Used)
			}
		}
	})
	if took := time.Since(began); took > time.Minute {
		t.Errorf("two virtual hours took %v", took)
	}
}

// An assertion that outlives its token is refused, and the journal says since
// when.
func TestAnExpiredAssertionIsRefused(t *testing.T) {
	w := newWorld(t, fakeentra.WithTokenLifetimes(30*time.Minute, time.Hour))
	c := w.exchange(t)
	w.Advance(36 * time.Minute)
	status, body := c.exchangeWith(t, c.assertion)
	if status != 401 || body["error_codes"].([]any)[0] != 700024.0 {
		t.Fatalf("answered %d %v, want AADSTS700024", status, body)
	}
	if why := w.Journal().Refused().Entries[0].Decision.Why; !strings.HasPrefix(why, "the assertion expired 6m") || !strings.HasSuffix(why, "ask its issuer for a new one before each exchange") {
		t.Errorf("why = %q", why)
	}
}
