// Package history has bugs of released SDKs, in bugs.toml, and finds them again:
// the checks that are about a bug fail for the release that has it, and pass for a
// release that does not.
package history

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/pelletier/go-toml/v2"

	"github.com/fakeentra/fakeentra/conformance/internal/trial"
	"github.com/fakeentra/fakeentra/conformance/suite"
	"github.com/fakeentra/fakeentra/internal/sandbox"
	"github.com/fakeentra/fakeentra/internal/toolchain"
)

func TestMain(m *testing.M) {
	sandbox.Child()
	os.Exit(m.Run())
}

// A bug is one of bugs.toml, which says what its members are.
type bug struct {
	SDK, Driver, Before, After, What, Note, Only string
	Finds, Links                                 []string
}

// checks are the IDs of the checks that the bug fails, in order.
func (b bug) checks() []string {
	var ids []string
	for _, condition := range b.Finds {
		id, _, _ := strings.Cut(condition, ".")
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}

// A release is a version of an SDK, by its driver.
type release struct{ driver, version string }

func (r release) String() string { return r.driver + "-" + r.version }

func readBugs(t *testing.T) []bug {
	t.Helper()
	content, err := os.ReadFile("bugs.toml")
	if err != nil {
		t.Fatal(err)
	}
	var table struct {
		Bug []bug
	}
	if err := toml.NewDecoder(bytes.NewReader(content)).DisallowUnknownFields().Decode(&table); err != nil {
		t.Fatal(err)
	}
	return table.Bug
}

// readReleases returns those that install installs.
func readReleases(t *testing.T) []release {
	t.Helper()
	content, err := os.ReadFile("releases.txt")
	if err != nil {
		t.Fatal(err)
	}
	var all []release
	for line := range strings.Lines(string(content)) {
		if words := strings.Fields(line); len(words) > 1 && words[0] != "#" {
			all = append(all, release{words[0], words[1]})
		}
	}
	return all
}

func TestTheTableIsComplete(t *testing.T) {
	listed := readReleases(t)
	used := map[release]bool{}
	sdks := map[string]bool{}
	bugs := readBugs(t)
	for _, b := range bugs {
		name := b.SDK + " " + b.Before
		sdks[b.SDK] = true
		if b.SDK == "" || b.What == "" || len(b.Finds) == 0 || len(b.Links) == 0 {
			t.Errorf("%s: it lacks its SDK, what it does, what finds it, or where it was told", name)
		}
		if _, err := os.Stat("../clients/" + b.Driver); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		for _, r := range []release{{b.Driver, b.Before}, {b.Driver, b.After}} {
			used[r] = true
			if !slices.Contains(listed, r) {
				t.Errorf("%s: %s is not in releases.txt", name, r)
			}
		}
		for _, id := range b.checks() {
			if suite.Find(id) == nil {
				t.Errorf("%s: there is no check %q", name, id)
			}
		}
		for _, link := range b.Links {
			if !strings.HasPrefix(link, "https://github.com/") {
				t.Errorf("%s: %q is no link to where it was told", name, link)
			}
		}
	}
	for _, r := range listed {
		if !used[r] {
			t.Errorf("releases.txt has %s, which no bug is about", r)
		}
		if _, err := os.Stat("npm/" + r.String() + "/package-lock.json"); strings.HasPrefix(r.driver, "node-") && err != nil {
			t.Errorf("%s has no lock file: %v", r, err)
		}
	}
	if len(bugs) < 10 || len(sdks) < 5 {
		t.Errorf("%d bugs of %d SDKs, expected at least 10 of 5", len(bugs), len(sdks))
	}
}

// A run is that of the checks of a release, which is under way until done.
type run struct {
	done   chan struct{}
	report *suite.Report
	err    error
}

// atOnce is how many releases are checked at the same time, besides those with slow
// checks, in which they wait for most of two minutes.
const atOnce = 4

func TestReleasesHaveTheBugsThatTheyHad(t *testing.T) {
	bugs := readBugs(t)
	checks := map[release][]string{}
	for _, b := range bugs {
		for _, version := range []string{b.Before, b.After} {
			r := release{b.Driver, version}
			checks[r] = append(checks[r], b.checks()...)
		}
	}
	runs := map[release]*run{}
	slots := make(chan struct{}, atOnce)
	for _, r := range slices.SortedFunc(maps.Keys(checks), func(a, b release) int { return cmp.Compare(a.String(), b.String()) }) {
		if missing(r) != nil {
			continue
		}
		target := suite.Process(command(t, r))
		o := suite.Options{Jobs: 2, Scale: 4}
		waits := false
		for _, id := range slices.Compact(slices.Sorted(slices.Values(checks[r]))) {
			o.Checks = append(o.Checks, suite.Find(id))
			waits = waits || suite.Find(id).Takes() == suite.Slow
		}
		now := &run{done: make(chan struct{})}
		runs[r] = now
		go func() {
			defer close(now.done)
			if !waits {
				slots <- struct{}{}
				defer func() { <-slots }()
			}
			now.report, now.err = suite.Run(t.Context(), target, o)
		}()
	}
	for _, b := range bugs {
		t.Run(b.SDK+" "+b.Before+" "+strings.Join(b.checks(), " "), func(t *testing.T) {
			found(t, b, runs)
			mended(t, b, runs)
		})
	}
	for _, r := range runs {
		<-r.done
	}
}

// found expects that the suite finds a bug in the release that has it.
func found(t *testing.T, b bug, runs map[release]*run) {
	t.Helper()
	r := release{b.Driver, b.Before}
	report := reportOn(t, r, runs)
	for _, id := range b.checks() {
		verdict, why, conditions := judged(report, id, b.Only)
		if verdict != suite.Fail && verdict != suite.Warn && verdict != suite.Info {
			t.Errorf("%s of %s: %s, expected it not to be met, since it %s: %s", id, r, verdict, b.What, why)
		}
		for _, want := range b.Finds {
			if strings.HasPrefix(want, id+".") && !slices.ContainsFunc(conditions, func(c suite.Condition) bool { return c.ID == want && !c.Met }) {
				t.Errorf("%s of %s: %s, expected the condition %s not to be met: %s", id, r, verdict, want, why)
			}
		}
	}
}

// mended expects that the suite finds nothing in the release without the bug.
func mended(t *testing.T, b bug, runs map[release]*run) {
	t.Helper()
	r := release{b.Driver, b.After}
	report := reportOn(t, r, runs)
	for _, id := range b.checks() {
		if verdict, why, _ := judged(report, id, b.Only); verdict != suite.Pass {
			t.Errorf("%s of %s: %s, expected it to be met: %s", id, r, verdict, why)
		}
	}
}

// reportOn waits for the report on a release.
func reportOn(t *testing.T, r release, runs map[release]*run) *suite.Report {
	t.Helper()
	if err := missing(r); err != nil {
		toolchain.Without(t, r.String()+" ("+err.Error()+")", "conformance/clients/install && conformance/history/install")
	}
	<-runs[r].done
	report, err := runs[r].report, runs[r].err
	if errors.Is(err, sandbox.ErrUnavailable) {
		toolchain.Without(t, "namespaces", "fakeentra doctor says what forbids them ("+err.Error()+")")
	}
	if err != nil {
		t.Fatalf("%s: %v", r, err)
	}
	if got := report.Driver.Implementation.Version; got != r.version {
		t.Fatalf("the driver of %s drives %s", r, got)
	}
	return report
}

// judged returns the verdict on a check, or on that case of it alone, if it has it.
func judged(report *suite.Report, id, only string) (suite.Verdict, string, []suite.Condition) {
	i := slices.IndexFunc(report.Results, func(r suite.Result) bool { return r.ID == id })
	if i < 0 {
		return suite.Error, "it did not run", nil
	}
	result := report.Results[i]
	cases := result.Cases
	if j := slices.IndexFunc(cases, func(c suite.CaseResult) bool { return c.Name == only }); j >= 0 && only != "" {
		cases, result.Verdict = cases[j:j+1], cases[j].Verdict
	}
	var conditions []suite.Condition
	var why strings.Builder
	for _, c := range cases {
		conditions = append(conditions, c.Conditions...)
		if c.Verdict == suite.Pass {
			continue
		}
		fmt.Fprintf(&why, "\ncase %q: %s: %s", c.Name, c.Verdict, c.Why)
		for _, condition := range c.Conditions {
			if !condition.Met {
				fmt.Fprintf(&why, "\n\t%s: expected %s, got %s", condition.ID, condition.Expected, condition.Actual)
			}
		}
		if c.Output != "" {
			fmt.Fprintf(&why, "\n\t%s", c.Output)
		}
	}
	return result.Verdict, why.String(), conditions
}

// missing says what a release lacks to be driven.
func missing(r release) error {
	needs := []string{"installed/" + r.String() + "/done"}
	switch language, _, _ := strings.Cut(r.driver, "-"); language {
	case "python":
		needs = append(needs, "../clients/"+r.driver+"/.venv/bin/python")
	case "java":
		needs = append(needs, "../clients/"+r.driver+"/target/classes/Driver.class")
	}
	for _, file := range needs {
		if _, err := os.Stat(file); err != nil {
			return err
		}
	}
	return nil
}

// command returns what drives a release, which is installed: the driver of today,
// which finds the packages of the release before those that it has.
func command(t *testing.T, r release) suite.Command {
	t.Helper()
	installed, driver := trial.Absolute(t, "installed/"+r.String()), trial.Absolute(t, "../clients/"+r.driver)
	var args []string
	switch language, _, _ := strings.Cut(r.driver, "-"); language {
	case "go":
		args = []string{installed + "/driver"}
	case "node":
		// It resolves packages from where it is itself.
		args = []string{toolchain.Program(t, "node"), beside(t, driver, installed) + "/driver.mjs"}
	case "python":
		args = []string{toolchain.Program(t, "env"), "PYTHONPATH=" + installed, driver + "/.venv/bin/python", driver + "/driver.py"}
	case "java":
		// It starts fast rather than runs fast.
		args = []string{toolchain.Program(t, "java"), "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC",
			"-cp", driver + "/target/classes:" + installed + "/*:" + driver + "/target/lib/*", "Driver"}
	default:
		t.Fatalf("there is no way to drive %s", r)
	}
	return suite.Command{Path: args[0], Args: args, Scale: 8}
}

// beside returns a folder with a driver of Node.js and the packages of a release.
func beside(t *testing.T, driver, installed string) string {
	t.Helper()
	folder := t.TempDir()
	into := filepath.Join(folder, "driver")
	if err := os.Mkdir(into, 0o755); err != nil {
		t.Fatal(err)
	}
	for from, to := range map[string]string{driver + "/driver.mjs": into + "/driver.mjs", filepath.Dir(driver) + "/fcd.mjs": folder + "/fcd.mjs"} {
		content, err := os.ReadFile(from)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(to, content, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(installed+"/node_modules", into+"/node_modules"); err != nil {
		t.Fatal(err)
	}
	return into
}
