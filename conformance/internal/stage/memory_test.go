package stage_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fakeentra/fakeentra/conformance/driver"
	"github.com/fakeentra/fakeentra/conformance/internal/trial"
	"github.com/fakeentra/fakeentra/conformance/reference"
	"github.com/fakeentra/fakeentra/conformance/suite"
)

// A tardy driver takes longer to make a client than any check waits for it.
type tardy struct{ made, closed atomic.Int32 }

func (*tardy) Hello() driver.Hello {
	return driver.Hello{Implementation: driver.Implementation{Name: "tardy", Version: "1"}, Capabilities: []driver.Capability{driver.IMDS}}
}

func (d *tardy) Open(driver.Config) (driver.Client, error) {
	time.Sleep(time.Minute) // in no real time
	d.made.Add(1)
	return d, nil
}

func (*tardy) Token(context.Context, driver.TokenRequest) (driver.Outcome, error) {
	return driver.Outcome{}, nil
}

func (d *tardy) Close() error {
	d.closed.Add(1)
	return nil
}

// The race detector has its say, too: the check has ended by then.
func TestAClientThatIsMadeTooLateIsClosed(t *testing.T) {
	d := &tardy{}
	report := trial.Run(t, d, suite.Options{Checks: trial.Checks(t, "IMDS-02")})
	if got := report.Results[0]; got.Verdict != suite.Timeout {
		t.Errorf("%s: %s", got.Verdict, got.Why)
	}
	if made, closed := d.made.Load(), d.closed.Load(); made == 0 || closed != made {
		t.Errorf("%d clients were made, and %d closed", made, closed)
	}
}

// A reader looks at its environment in the background, as a client does that
// renews tokens.
type reader struct {
	driver.Client
	done chan struct{}
}

type readers struct{ driver.Driver }

func (d readers) Open(c driver.Config) (driver.Client, error) {
	inner, err := d.Driver.Open(c)
	if err != nil {
		return nil, err
	}
	r := reader{inner, make(chan struct{})}
	go func() {
		for tick := time.NewTicker(time.Second); ; {
			select {
			case <-tick.C:
				c.Getenv("IDENTITY_HEADER")
			case <-r.done:
				tick.Stop()
				return
			}
		}
	}()
	return r, nil
}

func (r reader) Close() error {
	close(r.done)
	return r.Client.Close()
}

// This is for the race detector alone.
func TestClientsMayLookAtTheirEnvironmentWhileItChanges(t *testing.T) {
	report := trial.Run(t, readers{reference.New(nil)}, suite.Options{Checks: trial.Checks(t, "SRC-*")})
	for _, got := range report.Results {
		if got.Verdict != suite.Pass && got.Verdict != suite.Skip {
			t.Errorf("%s: %s: %s", got.ID, got.Verdict, got.Why)
		}
	}
}
