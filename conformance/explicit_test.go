package conformance_test

import (
	"context"
	"errors"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/fakeentra/fakeentra/conformance/driver"
	"github.com/fakeentra/fakeentra/conformance/reference"
	"github.com/fakeentra/fakeentra/conformance/suite"
)

// byURLs runs checks against a driver that this program is, without a sandbox.
func byURLs(t *testing.T, checks []*suite.Check, args ...string) (*suite.Report, error) {
	t.Helper()
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	target := suite.Process(suite.Command{Path: path, Args: append([]string{os.Args[0]}, args...), Wiring: suite.Explicit, Scale: 4})
	return suite.Run(ctx, target, suite.Options{Checks: checks, Jobs: 4, Scale: 4})
}

// TestTheReferenceClientPassesWithoutASandbox takes the fast checks, and all of them
// if -matrix says so.
func TestTheReferenceClientPassesWithoutASandbox(t *testing.T) {
	t.Parallel()
	checks := slices.DeleteFunc(suite.Covered(suite.Explicit), func(c *suite.Check) bool { return !*matrix && c.Takes() != suite.Fast })
	report, err := byURLs(t, checks, driverWord)
	if err != nil {
		t.Fatal(err)
	}
	if report.Wiring != suite.Explicit || len(report.Results) != len(checks) || len(report.Uncovered) > 0 {
		t.Errorf("%d of %d checks in the wiring %s, which could not have %q", len(report.Results), len(checks), report.Wiring, report.Uncovered)
	}
	for _, r := range report.Results {
		if r.Verdict != suite.Pass {
			t.Errorf("%s: %s: %s", r.ID, r.Verdict, r.Why)
		}
	}
	if want := []string{"SRC-04", "SEC-01", "SEC-02", "SEC-04"}; !slices.Equal(report.PartlyUncovered, want) { // they have cases at Azure Arc
		t.Errorf("the wiring could not have cases of %q, want %q", report.PartlyUncovered, want)
	}
}

// TestBugsAreSeenWithoutASandbox takes bugs of several parts of a client, and all of
// them if -matrix says so.
func TestBugsAreSeenWithoutASandbox(t *testing.T) {
	t.Parallel()
	sample := []string{"IMDS-02", "SRC-01", "SRC-17", "AST-04", "AUT-06", "CAC-01", "ERR-10", "SEC-03", "TEL-03"}
	for _, c := range suite.Covered(suite.Explicit) {
		if !*matrix && !slices.Contains(sample, c.ID) || c.ID == lostCheck {
			continue
		}
		t.Run(c.ID, func(t *testing.T) {
			t.Parallel()
			report, err := byURLs(t, []*suite.Check{c}, driverWord, c.ID)
			if err != nil {
				t.Fatal(err)
			}
			if got := report.Results[0]; !unmet(got.Verdict) {
				t.Errorf("%s: %s", got.Verdict, got.Why)
			}
		})
	}
}

func TestARunSaysWhatItsWiringCouldNotHave(t *testing.T) {
	t.Parallel()
	checks := []*suite.Check{suite.Find("IMDS-01"), suite.Find("IMDS-10"), suite.Find("SRC-07"), suite.Find("SEC-05")}
	report, err := byURLs(t, checks, driverWord)
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"IMDS-10", "SRC-07", "SEC-05"}; !slices.Equal(report.Uncovered, want) {
		t.Errorf("the wiring could not have %q, want %q", report.Uncovered, want)
	}
	const want = "the wiring explicit cannot have it: it needs a network with production's names, as netns has"
	for _, r := range report.Results[1:] {
		if r.Verdict != suite.Skip || r.Why != want {
			t.Errorf("%s: %s: %s\nwant skip: %s", r.ID, r.Verdict, r.Why, want)
		}
	}
}

// lostCheck is the check whose bug leads a client away from all URLs that it is told,
// so that a run says this of it, and no more.
const lostCheck = "AUT-10"

// lostWord makes this program a driver that does not go where it is led, in the way
// that comes next.
const lostWord = "lost-driver"

// lost are drivers by what is wrong with them.
var lost = map[string]struct {
	driver driver.Driver
	want   string
}{
	"it goes to the login host of production": {
		lostAuthority{reference.New(nil)},
		"it sent no request to imds, nor to authority, but asked for login.microsoftonline.com:443 (it answered with the error ",
	},
	"it sends nothing":             {silent{reference.New(nil)}, "it sent no request to imds, nor to authority; have it use"},
	"it trusts nobody":             {distrustful{reference.New(nil)}, "it sent no request to imds, nor to authority but the beginning of TLS, as if it did not trust ca_file (it answered with the error "},
	"it asks who the authority is": {reference.New(reference.FindBug(lostCheck)), "but asked for login.microsoftonline.com:443 (it answered with the error "},
}

type lostAuthority struct{ driver.Driver }

func (d lostAuthority) Open(c driver.Config) (driver.Client, error) {
	c.Endpoints.Authority = "https://login.microsoftonline.com"
	return d.Driver.Open(c)
}

type distrustful struct{ driver.Driver }

func (d distrustful) Open(c driver.Config) (driver.Client, error) {
	c.Endpoints.CAFile = ""
	return d.Driver.Open(c)
}

type silent struct{ driver.Driver }

func (silent) Open(driver.Config) (driver.Client, error) { return silence{}, nil }

type silence struct{}

func (silence) Token(context.Context, driver.TokenRequest) (driver.Outcome, error) {
	return driver.Outcome{Token: "from nowhere"}, nil
}

func (silence) Close() error { return nil }

func serveLost(how string) {
	if how == "it trusts nobody" {
		if err := os.Unsetenv("SSL_CERT_FILE"); err != nil {
			panic(err)
		}
	}
	driver.Main(lost[how].driver)
}

func TestADriverThatDoesNotGoWhereItIsLedIsFoundOut(t *testing.T) {
	t.Parallel()
	for how, c := range lost {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			report, err := byURLs(t, suite.Checks(), lostWord, how)
			broken, ok := errors.AsType[*suite.BrokenDriver](err)
			if !ok || report != nil {
				t.Fatalf("%v is no *suite.BrokenDriver, or there is a report: %v", err, report)
			}
			if text := broken.Error(); !strings.HasPrefix(text, "the driver does not go where config.endpoints leads it: asked for a token, ") || !strings.Contains(text, c.want) {
				t.Errorf("%s\nwant %s", text, c.want)
			}
		})
	}
}

func TestThePageSaysHowManyChecksEachWiringHas(t *testing.T) {
	page, err := os.ReadFile("../docs/conformance.md")
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	for _, row := range regexp.MustCompile("(?m)^\\| `([a-z]+)` \\|.*\\| ([0-9]+) of ([0-9]+) \\|$").FindAllStringSubmatch(string(page), -1) {
		seen++
		if row[1] == suite.Attach {
			continue // a test of package suite has it
		}
		if have, all := strconv.Itoa(len(suite.Covered(row[1]))), strconv.Itoa(len(suite.Checks())); row[2] != have || row[3] != all {
			t.Errorf("%s has %s of %s checks, and not %s of %s", row[1], have, all, row[2], row[3])
		}
	}
	if seen < 3 {
		t.Errorf("%d wirings are in the table", seen)
	}
}
