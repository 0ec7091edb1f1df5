package suite_test

import (
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fakeentra/fakeentra/conformance/driver"
	"github.com/fakeentra/fakeentra/conformance/reference"
	"github.com/fakeentra/fakeentra/conformance/suite"
)

// invented is a check of one case for each function.
func invented(id string, run ...func(*suite.Session)) *suite.Check {
	c := &suite.Check{ID: id, Level: suite.Must}
	for i, do := range run {
		c.Cases = append(c.Cases, suite.Case{Name: string(rune('a' + i)), Run: do})
	}
	return c
}

func schedule(t *testing.T, o suite.Options) *suite.Report {
	t.Helper()
	report, err := suite.Run(t.Context(), suite.InProcess(reference.New(nil), t.TempDir()), o)
	if err != nil {
		t.Fatal(err)
	}
	return report
}

// together returns a case that n of must run at the same time.
func together(n int) func(*suite.Session) {
	var meeting sync.WaitGroup
	meeting.Add(n)
	return func(s *suite.Session) {
		meeting.Done()
		met := make(chan struct{})
		go func() {
			defer close(met)
			meeting.Wait()
		}()
		select {
		case <-met:
			s.Want("met", true, "the other case", "it")
		case <-time.After(10 * time.Second):
			s.Want("met", false, "the other case", "nobody")
		}
	}
}

func TestCasesOfOneCheckRunAtTheSameTime(t *testing.T) {
	meet := together(2)
	report := schedule(t, suite.Options{Jobs: 2, Checks: []*suite.Check{invented("ONE-01", meet, meet)}})
	if got := report.Results[0]; got.Verdict != suite.Pass || len(got.Cases) != 2 || got.Cases[0].Name != "a" {
		t.Errorf("%s: %s %+v", got.Verdict, got.Why, got.Cases)
	}
}

// Some SDKs keep one token for all clients of a process that name no identity, so that a
// case of one has a process to itself, which it has for what it says that it needs.
func TestCasesOfTheSystemAssignedIdentitySaySo(t *testing.T) {
	unsaid := invented("ONE-01", func(s *suite.Session) {
		other := s.Config
		other.Identity = driver.Identity{Kind: "system"}
		s.Open(other)
	})
	got := schedule(t, suite.Options{Checks: []*suite.Check{unsaid}}).Results[0]
	const want = "this is a bug in fakeentra, please report it: the case does not need identity.system, but opens a client that names no identity\n"
	if got.Verdict != suite.Error || !strings.HasPrefix(got.Why, want) {
		t.Errorf("%s: %s", got.Verdict, got.Why)
	}
}

// Whoever waits for nothing takes memory.
func TestThereAreNoMoreJobsThanCases(t *testing.T) {
	const jobs, few = 20_000, 2_000
	most := 0
	count := func(s *suite.Session) {
		for range 200_000 { // turns for those that are about to be there
			if most = max(most, runtime.NumGoroutine()); most > few {
				break
			}
			runtime.Gosched()
		}
		s.Want("ran", true, "it to run", "it did")
	}
	got := schedule(t, suite.Options{Jobs: jobs, Repeat: 2, Checks: []*suite.Check{invented("ONE-01", count)}}).Results
	if len(got) != 1 || got[0].Verdict != suite.Pass || most > few {
		t.Errorf("%d goroutines for one case: %+v", most, got)
	}
}

// order returns the cases in the order in which they ran, and the IDs of the results.
func order(t *testing.T, shuffle string) (cases, results string) {
	t.Helper()
	var ran []string
	note := func(name string) func(*suite.Session) {
		return func(s *suite.Session) {
			ran = append(ran, name)
			s.Want("ran", true, "it to run", "it did")
		}
	}
	var checks []*suite.Check
	for _, id := range []string{"ONE-01", "ONE-02", "ONE-03", "ONE-04"} {
		checks = append(checks, invented(id, note(id+"a"), note(id+"b")))
	}
	var ids []string
	for _, r := range schedule(t, suite.Options{Checks: checks, Shuffle: shuffle}).Results {
		ids = append(ids, r.ID)
	}
	return strings.Join(ran, " "), strings.Join(ids, " ")
}

func TestTheOrderOfCasesIsThatOfTheCatalogueOrByChance(t *testing.T) {
	usual, _ := order(t, "")
	if want := "ONE-01a ONE-01b ONE-02a ONE-02b ONE-03a ONE-03b ONE-04a ONE-04b"; usual != want {
		t.Errorf("they ran as %s, want %s", usual, want)
	}
	one, results := order(t, "one")
	again, _ := order(t, "one")
	two, _ := order(t, "two")
	if one != again || one == two || one == usual || len(one) != len(usual) {
		t.Errorf("they ran as %s, then %s, and %s", one, again, two)
	}
	if results != "ONE-01 ONE-02 ONE-03 ONE-04" {
		t.Errorf("the results are of %s", results)
	}
}

func TestWhatTakesLongBeginsFirst(t *testing.T) {
	var mu sync.Mutex
	var began []string
	check := func(id string, cost suite.Cost, run func(*suite.Session)) *suite.Check {
		c := invented(id, func(s *suite.Session) {
			mu.Lock()
			began = append(began, id)
			mu.Unlock()
			run(s)
		})
		c.Cost = cost
		return c
	}
	meet := together(2)
	report := schedule(t, suite.Options{Jobs: 2, Checks: []*suite.Check{
		check("ONE-01", suite.Fast, func(s *suite.Session) { s.Want("it", true, "it", "it") }), check("ONE-02", suite.Timed, meet), check("ONE-03", suite.Slow, meet),
	}})
	if len(began) != 3 || began[2] != "ONE-01" || len(report.Unexpected()) > 0 {
		t.Errorf("the checks began as %v; want ONE-01 last: %+v", began, report.Unexpected())
	}
}

func TestAVerdictThatChangesForTheBetterIsTold(t *testing.T) {
	runs := 0
	c := invented("ONE-01", func(s *suite.Session) {
		runs++
		s.Want("first", runs != 1, "not the first run", "it")
	})
	got := schedule(t, suite.Options{Checks: []*suite.Check{c}, Repeat: 3}).Results[0]
	const want = "the verdict was fail in the first run, and pass in run 2: ONE-01.first: expected not the first run, got it"
	if got.Verdict != suite.Inconclusive || got.Cases[0].Verdict != suite.Fail || got.Why != want {
		t.Errorf("%s: %s; want %s, by the cases of the first run: %+v", got.Verdict, got.Why, want, got.Cases)
	}
}

func TestAnErrorInOneRunIsAnError(t *testing.T) {
	runs := 0
	c := invented("ONE-01", func(s *suite.Session) {
		if runs++; runs == 2 {
			panic("in the second run")
		}
		s.Want("it", true, "it", "it")
	})
	if got := schedule(t, suite.Options{Checks: []*suite.Check{c}, Repeat: 3}).Results[0]; got.Verdict != suite.Error {
		t.Errorf("%s: %s", got.Verdict, got.Why)
	}
}

func TestAVerdictThatChangesIsTold(t *testing.T) {
	var tenants []string
	runs := 0
	c := invented("ONE-01", func(s *suite.Session) {
		runs++
		tenants = append(tenants, s.Config.Tenant)
		s.Want("thrice", runs != 3, "not the third run", "it")
	})
	got := schedule(t, suite.Options{Checks: []*suite.Check{c}, Repeat: 5}).Results[0]
	if got.Verdict != suite.Inconclusive || runs != 3 || !strings.HasPrefix(got.Why, "the verdict was pass in the first run, and fail in run 3: ") {
		t.Errorf("after %d runs: %s: %s", runs, got.Verdict, got.Why)
	}
	if slices.Sort(tenants); len(slices.Compact(tenants)) != 3 {
		t.Errorf("the runs had the tenants %q, of which some are the same", tenants)
	}
}
