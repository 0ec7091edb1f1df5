package suite_test

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/fakeentra/fakeentra/conformance/driver"
	"github.com/fakeentra/fakeentra/conformance/schema"
	"github.com/fakeentra/fakeentra/conformance/suite"
)

// A misbehaviour is what becomes of the victim of a hostile driver.
type misbehaviour struct {
	want     suite.Verdict
	why      string
	explicit string // why in that wiring, if it is something else
}

// The ends of errors about what drivers leave running. Nothing hides in a sandbox.
const (
	killed = `the driver ended, but left programs running, which had to be killed: `
	runs   = `the driver ended, but left programs running, which still do, and hold its output: exe (process `
)

var misbehaviours = map[string]misbehaviour{
	"crash at open":      {suite.Error, `the driver ended with exit code 3 before it answered open, with the last words "the last words"`, ``},
	"crash at token":     {suite.Error, `the driver ended with exit code 3 before it answered token, with the last words "the last words"`, ``},
	"unsupported":        {suite.Error, `the driver ended with exit code 77 before it answered token`, ``},
	"killed":             {suite.Error, `the driver was killed by a signal (killed) before it answered token`, ``},
	"hang":               {suite.Timeout, `the driver did not answer token within 3s`, ``},
	"deaf":               {suite.Error, `the driver went on after stop, the end of its input and SIGTERM, and had to be killed`, ``},
	"no end of line":     {suite.Error, `the driver wrote a line of more than 1048576 bytes to standard output; every answer is one line`, ``},
	"no end of lines":    {suite.Error, `the driver wrote "working on it" to standard output, which is no JSON; nothing but answers belongs there, and logs to standard error`, ``},
	"noise":              {suite.Pass, ``, ``},
	"rubbish":            {suite.Error, `the driver wrote "ready" to standard output, which is no JSON; nothing but answers belongs there, and logs to standard error`, ``},
	"log":                {suite.Error, `the driver's answer "{\"level\":\"info\",\"msg\":\"ready\"}" has 0 of the members ok, error and skip; expected one of them`, ``},
	"two members":        {suite.Error, `has 2 of the members ok, error and skip; expected one of them`, ``},
	"twice":              {suite.Error, `the driver answered the request 2 twice; every request has one answer`, ``},
	"unasked":            {suite.Error, `unasked`, ``},
	"another id":         {suite.Error, `the driver answered the request "\"another\"" when it was asked token, which is the request 2; every answer has the id of its request`, ``},
	"another session":    {suite.Fail, `got an error: "there is no open session \"another\""`, ``},
	"too few results":    {suite.Error, `the driver answered token with 0 results instead of 1`, ``},
	"memory":             {suite.Error, `the driver was killed because it took too much memory before it answered token`, ``},
	"child":              {suite.Error, killed, ``},
	"child of a crash":   {suite.Error, `the driver ended with exit code 3 before it answered token; ` + killed, ``},
	"child of a babbler": {suite.Error, `the driver answered the request 2 twice; every request has one answer; ` + killed, ``},
	"child in disguise":  {suite.Error, killed, runs},
	"a wrong member":     {suite.Error, `line 2 that the driver wrote, its answer to token, is not as its schema has it: at "/ok/results/0": there is no member "expiresOn"`, ``},
	"nothing the like":   {suite.Pass, ``, ``},
}

// wirings are those in which hostile drivers are tried, but for [suite.Docker].
var wirings = []string{suite.Netns, suite.Explicit}

// inWirings runs a hostile driver for each misbehaviour in each wiring.
func inWirings(t *testing.T, as string, all map[string]misbehaviour) {
	t.Helper()
	for _, wiring := range wirings {
		for mode, c := range all {
			t.Run(wiring+"/"+mode, func(t *testing.T) {
				t.Parallel()
				cmd := program(as, mode)
				cmd.Wiring = wiring
				misbehave(t, cmd, mode, c)
			})
		}
	}
}

func TestADriverThatMisbehavesFailsItsCheckAlone(t *testing.T) {
	t.Parallel()
	inWirings(t, asHostile, misbehaviours)
}

// misbehave runs a hostile driver.
func misbehave(t *testing.T, cmd suite.Command, mode string, c misbehaviour) {
	t.Helper()
	cmd.MaxMemory = 400 << 20
	cmd.Inspect = func(op driver.Op, _, answer []byte) error {
		if answer == nil {
			return nil
		}
		return schema.Answer(op, answer)
	}
	if mode == "too few results" || mode == "two members" {
		cmd.Inspect = nil
	}
	o := suite.Options{Checks: selected(t, suite.Selection{IDs: []string{victim, "IMDS-02"}}), Jobs: 1, Scale: 4}
	if c.want == suite.Timeout {
		o.Scale = 0.2
	}
	report, err := run(t, cmd, o)
	if err != nil {
		t.Fatal(err)
	}
	if c.explicit != "" && cmd.Wiring == suite.Explicit {
		c.why = c.explicit
	}
	want := map[string]suite.Verdict{victim: c.want, "IMDS-02": suite.Pass}
	if diff := cmp.Diff(want, verdicts(report)); diff != "" {
		t.Errorf("verdicts (-want +got):\n%s", diff)
	}
	if why := report.Results[0].Why; !strings.Contains(why, c.why) || (why == "") != (c.why == "") {
		t.Errorf("why: %s\nwant %s", why, c.why)
	}
}

func TestWhatADriverSaysIsKeptToAMebibyte(t *testing.T) {
	t.Parallel()
	checks := selected(t, suite.Selection{IDs: []string{victim}})
	got := 0
	own := *checks[0]
	own.Cases = []suite.Case{{Run: func(s *suite.Session) {
		s.Token()
		got = len(s.Output())
		s.Want("output", true, "", "")
	}}}
	if _, err := run(t, program(asHostile, "noise"), suite.Options{Checks: []*suite.Check{&own}, Jobs: 1, Scale: 4}); err != nil {
		t.Fatal(err)
	}
	if got == 0 || got > 1<<20 {
		t.Errorf("%d bytes of the output are kept", got)
	}
}

func TestARunStopsWhereNoDriverComesToACheck(t *testing.T) {
	t.Parallel()
	for mode, c := range map[string]struct {
		reported bool
		want     string
	}{
		"crash at hello":      {false, `the driver ended with exit code 3 before it answered hello, with the last words "the last words"`},
		"crash at every open": {true, `3 times in a row: the driver ended with exit code 3 before it answered open, with the last words "the last words"`},
	} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			report, err := run(t, program(asHostile, mode), suite.Options{Checks: selected(t, suite.Selection{IDs: []string{"IMDS-*"}}), Jobs: 1, Scale: 4})
			broken, ok := errors.AsType[*suite.BrokenDriver](err)
			if !ok {
				t.Fatalf("%v is no *suite.BrokenDriver", err)
			}
			if broken.Error() != c.want {
				t.Errorf("%v\nwant %s", broken, c.want)
			}
			if (report != nil) != c.reported || report != nil && len(report.Results) != 2 {
				t.Errorf("the report is %+v", report)
			}
		})
	}
}

// Neither a driver that goes on nor what it has left running keeps a run from its end.
func TestARunIsInterruptedWhateverItsDriverDoes(t *testing.T) {
	t.Parallel()
	for _, wiring := range wirings {
		t.Run(wiring, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			own := *selected(t, suite.Selection{IDs: []string{victim}})[0]
			own.Cases = []suite.Case{{Run: func(s *suite.Session) {
				s.Observe(cancel)
				s.Token()
			}}}
			cmd := program(asHostile, "child of the deaf")
			cmd.Wiring = wiring
			report, err := runUntil(t, ctx, cmd, suite.Options{Checks: []*suite.Check{&own}, Jobs: 1, Scale: 4})
			if !errors.Is(err, context.Canceled) || report == nil || len(report.Results) > 0 {
				t.Errorf("%v, %+v", err, report)
			}
		})
	}
}

// Drivers that are left when a run ends do not wait for one another.
func TestDriversEndAtTheSameTime(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	go func() {
		var all []net.Conn
		for range 2 {
			if conn, err := l.Accept(); err == nil { // else the test is over
				all = append(all, conn)
			}
		}
		for _, conn := range all {
			_ = conn.Close()
		}
	}()
	meet := together(2)
	both := func(s *suite.Session) {
		s.Token()
		meet(s)
	}
	cmd := program(asHostile, asOne, l.Addr().String())
	cmd.Wiring = suite.Explicit
	report, err := run(t, cmd, suite.Options{Checks: []*suite.Check{invented(victim, both, both)}, Jobs: 2, Scale: 4})
	if err != nil {
		t.Fatal(err)
	}
	if got := report.Results[0]; got.Verdict != suite.Pass {
		t.Errorf("%s: %s", got.Verdict, got.Why)
	}
}

// Checks that can do with one request say something about such a driver.
func TestDriversThatAreCalledAnewAreJudged(t *testing.T) {
	t.Parallel()
	report, err := run(t, program(asScript, ""), suite.Options{Checks: selected(t, suite.Selection{IDs: []string{"AST-12", "MIT-08", "IMDS-12"}}), Scale: 4})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range report.Results {
		for _, k := range r.Cases {
			if k.Verdict != suite.Pass {
				t.Errorf("%s %q: %s: %s", r.ID, k.Name, k.Verdict, k.Why)
			}
		}
	}
}

func TestDriversThatAreCalledAnewForEachRequest(t *testing.T) {
	t.Parallel()
	const flood = `the driver wrote more than 1048576 bytes to standard output; expected one answer`
	const crash = `the driver ended with exit code 3 instead of answering token`
	inWirings(t, asScript, map[string]misbehaviour{
		"":                  {suite.Pass, ``, ``},
		"words":             {suite.Fail, `got an error: "curl: (22) 401"`, ``},
		"unsupported":       {suite.Skip, `the driver cannot do it (exit code 77)`, ``},
		"crash":             {suite.Error, crash + `, with the last words "the last words"`, ``},
		"silence":           {suite.Error, `the driver ended with exit code 0 without an answer to token`, ``},
		"twice":             {suite.Error, `which is no JSON`, ``},
		"another id":        {suite.Error, `the driver answered the request "\"another\"" when it was asked token, which is the request 2`, ``},
		"hang":              {suite.Timeout, `the driver did not answer token within 3s`, ``},
		"deaf":              {suite.Timeout, `the driver did not answer token within 3s`, ``},
		"flood":             {suite.Error, flood, ``},
		"deaf flood":        {suite.Error, flood + `; the driver went on after the end of its input and SIGTERM, and had to be killed`, ``},
		"flood of words":    {suite.Timeout, `the driver did not answer token within 3s`, ``},
		"noise":             {suite.Pass, ``, ``},
		"child":             {suite.Error, killed, ``},
		"child of a crash":  {suite.Error, crash + `; ` + killed, ``},
		"child in disguise": {suite.Error, killed, runs},
	})
}
