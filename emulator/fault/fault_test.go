package fault

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/fakeentra/fakeentra/emulator/journal"
)

var start = time.Date(2027, 1, 15, 8, 0, 0, 0, time.UTC)

func fired(p *Plan, op journal.Op, n int) string {
	var out []string
	for range n {
		name, _ := p.Next(start, op, journal.Request{})
		if name == "" {
			name = "-"
		}
		out = append(out, name)
	}
	return strings.Join(out, " ")
}

func TestRulesCount(t *testing.T) {
	var p Plan
	p.Add(Rule{Name: "busy", Op: "imds.token", After: 1, Times: 2, Do: Respond{Status: 503}})
	if got, want := fired(&p, "imds.token", 5), "- busy busy - -"; got != want {
		t.Fatalf("fired %q, want %q", got, want)
	}
	if got, want := fired(&p, "sts.token", 2), "- -"; got != want {
		t.Fatalf("another operation: fired %q, want %q", got, want)
	}
	if got := p.Status()[0]; got.Seen != 5 || got.Fired != 2 || got.Left != 0 || got.Open {
		t.Fatalf("status = %+v", got)
	}
}

func TestRulesActForAStretchOfTime(t *testing.T) {
	var p Plan
	p.Add(Rule{Name: "updating", Op: "imds.token", After: 1, For: 70 * time.Second, Do: Refuse("updating-410")})
	for _, tc := range []struct {
		after time.Duration
		want  string
	}{{0, ""}, {time.Minute, "updating"}, {2*time.Minute + 9*time.Second, "updating"}, {30 * time.Second, "updating"}, {2*time.Minute + 10*time.Second, ""}, {time.Hour, ""}} {
		if got, _ := p.Next(start.Add(tc.after), "imds.token", journal.Request{}); got != tc.want {
			t.Errorf("after %v: fired %q, want %q", tc.after, got, tc.want)
		}
	}
	want := Status{Name: "updating", Op: "imds.token", Seen: 6, Fired: 3, Until: start.Add(130 * time.Second)}
	if got := p.Status()[0]; got != want {
		t.Errorf("status = %+v, want %+v", got, want)
	}
}

func TestCountAndTimeBothEndARule(t *testing.T) {
	var p Plan
	p.Add(Rule{Name: "x", Op: "x", Times: 2, For: time.Hour, Do: Hang{}})
	if got, want := fired(&p, "x", 3), "x x -"; got != want {
		t.Errorf("fired %q, want %q", got, want)
	}
	if got := p.Status()[0]; got.Fired != 2 || got.Left != 0 || got.Open || got.Until != start.Add(time.Hour) {
		t.Errorf("status = %+v", got)
	}
}

func TestEarlierRulesGoFirstAndAllCount(t *testing.T) {
	var p Plan
	p.Add(Rule{Name: "first", Op: "x", Times: 1, Do: Hangup{}}, Rule{Name: "second", Op: "x", After: 2, Do: Hangup{}})
	if got, want := fired(&p, "x", 4), "first - second second"; got != want {
		t.Fatalf("fired %q, want %q", got, want)
	}
	p.Reset()
	if got, want := fired(&p, "x", 1), "-"; got != want {
		t.Fatalf("after Reset: fired %q, want %q", got, want)
	}
}

func TestRulesWithoutANameAreNamedByTheirAction(t *testing.T) {
	var p Plan
	p.Add(Rule{Op: "a", Do: Respond{Status: 503}}, Rule{Op: "b", Do: Delay(time.Second)}, Rule{Op: "c", Do: Refuse("AADSTS90033")}, Rule{Op: "d", Do: Rewrite(nil)}, Rule{Op: "e", Do: Hang{}}, Rule{Op: "f", Do: Reset{}})
	for op, want := range map[journal.Op]string{"a": "respond 503", "b": "delay 1s", "c": "refuse AADSTS90033", "d": "rewrite", "e": "hang", "f": "reset"} {
		if got, _ := p.Next(start, op, journal.Request{}); got != want {
			t.Errorf("rule for %s is named %q, want %q", op, got, want)
		}
	}
}

func TestWhenLooksAtTheRequest(t *testing.T) {
	var p Plan
	p.Add(Rule{Name: "probe", Op: "x", Do: Hangup{}, When: func(r journal.Request) bool { return r.Header.Get("Metadata") == "" }})
	if name, _ := p.Next(start, "x", journal.Request{Header: http.Header{"Metadata": {"true"}}}); name != "" {
		t.Errorf("rule %q fired on a request that When excludes", name)
	}
	if name, _ := p.Next(start, "x", journal.Request{}); name != "probe" {
		t.Errorf("fired %q, want probe", name)
	}
}

func TestWhenMayArmRules(t *testing.T) {
	var p Plan
	p.Add(Rule{Name: "first", Op: "x", Times: 1, Do: Hangup{}, When: func(journal.Request) bool {
		p.Reset()
		p.Add(Rule{Name: "next", Op: "x", Times: 1, Do: Hangup{}})
		return true
	}})
	if got, want := fired(&p, "x", 3), "first next -"; got != want {
		t.Fatalf("fired %q, want %q", got, want)
	}
}

func TestThrottle(t *testing.T) {
	r := Throttle("sts.token", 2, time.Minute)
	do, ok := r.Do.(Respond)
	if !ok || do.Status != 429 || do.Header.Get("Retry-After") != "60" || do.Body != "Too Many Requests" || r.Times != 2 {
		t.Fatalf("Throttle = %+v", r)
	}
}

func TestCheckSaysWhatIsWrong(t *testing.T) {
	known := func(op journal.Op) bool { return op == "sts.token" }
	for want, r := range map[string]Rule{
		"says nothing to do":               {Op: "sts.token"},
		"cannot respond with status 0":     {Op: "sts.token", Do: Respond{}},
		"cannot delay by -1s":              {Op: "sts.token", Do: Delay(-time.Second)},
		"without a function":               {Op: "sts.token", Do: Rewrite(nil)},
		"cannot act for -1s":               {Op: "sts.token", Do: Hangup{}, For: -time.Second},
		"neither can be negative":          {Op: "sts.token", Do: Hangup{}, Times: -1},
		`there is no operation "sts.toke"`: {Op: "sts.toke", Do: Hangup{}},
	} {
		if err := r.Check(known); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Check(%+v) = %v, want %q", r, err, want)
		}
	}
	if err := (Rule{Op: "sts.token", Do: Hangup{}}).Check(known); err != nil {
		t.Errorf("a good rule: %v", err)
	}
}
