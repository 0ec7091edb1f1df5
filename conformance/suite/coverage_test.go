package suite

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/fakeentra/fakeentra/conformance/driver"
	"github.com/fakeentra/fakeentra/conformance/internal/lab"
	"github.com/fakeentra/fakeentra/conformance/internal/stage"
)

// dry is a target of the wiring attach in which no case comes further than to its
// place.
type dry struct{}

func (dry) Wiring() string { return Attach }

func (dry) Hello(context.Context, driver.Request) (driver.Hello, error) {
	return driver.Hello{Capabilities: []driver.Capability{}}, nil
}

func (dry) Enter(_ context.Context, l *lab.Lab, p stage.Place) (stage.Stage, error) {
	if err := (*stage.Attached)(nil).Covers(l, p); err != nil {
		return nil, err
	}
	return nil, stage.ErrProcess
}

func (dry) Close() error { return nil }

// What a driver that others started can be put to depends on the place of each case,
// which the catalogue does not say.
func TestThePageSaysHowManyChecksAttachHas(t *testing.T) {
	r := &runner{Options: Options{Seed: DefaultSeed}, target: dry{}, hello: driver.Hello{Capabilities: driver.Capabilities()}}
	n := 0
	for _, c := range Checks() {
		for _, k := range c.Cases {
			if got := r.attempt(t.Context(), c, k, 1); !got.Uncovered {
				n++
				break
			}
		}
	}
	page, err := os.ReadFile("../../docs/conformance.md")
	if err != nil {
		t.Fatal(err)
	}
	if want := fmt.Sprintf("| %d of %d |", n, len(Checks())); !strings.Contains(string(page), "| `attach` |") || !strings.Contains(rowOf(string(page), "attach"), want) {
		t.Errorf("the row of attach is %q; want it to end with %s", rowOf(string(page), "attach"), want)
	}
}

func rowOf(page, wiring string) string {
	_, after, _ := strings.Cut(page, "\n| `"+wiring+"` |")
	row, _, _ := strings.Cut(after, "\n")
	return row
}
