package main

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/fakeentra/fakeentra/conformance/driver"
	"github.com/fakeentra/fakeentra/conformance/suite"
)

// What a client or a driver says does nothing on a terminal, and no line begins with
// it: to GitHub Actions, one may be a command.
func TestWhatADriverSaysDoesNothingWhereItIsShown(t *testing.T) {
	const said = "\x1b[2J::stop-commands::x\r\n::error::y\n##[error]z\n"
	result := suite.Result{ID: "AST-04", Level: suite.Must, Title: said, Verdict: suite.Error, Why: said, Cases: []suite.CaseResult{{
		Name: said, Verdict: suite.Error, Why: said, Output: said,
		Conditions: []suite.Condition{{ID: "AST-04.x", Expected: said, Actual: said}},
		Exchanges:  []suite.Exchange{{Seq: 1, Op: said, Method: said, URL: said}},
	}}}
	hello := driver.Hello{
		Implementation: driver.Implementation{Name: said, Version: said, Language: said, Runtime: said},
		Dependencies:   []driver.Dependency{{Name: said, Version: said}},
	}
	r := &suite.Report{Driver: hello, WiringWhy: said, Caveats: []string{said}, Chaos: said, Seed: said, Results: []suite.Result{result}, Stale: []string{said}, Incomplete: said}
	var b bytes.Buffer
	p := newConformPrinter(&b, nil, []string{said}, true)
	p.begin(r, 1, 1)
	p.done(result)
	result.Verdict, result.Expected = suite.XFail, &suite.Expected{Reason: said, Issue: said, Where: said}
	p.done(result)
	result.Verdict, result.Cases = suite.Skip, nil
	p.done(result)
	p.end(r)
	h := &handPrinter{conformPrinter: p}
	h.seen(said, said, said, 0)
	h.stray(said)
	h.question(said)
	for line := range strings.Lines(b.String()) {
		if strings.HasPrefix(strings.TrimSpace(line), "::") || strings.Contains(line, "##[") || strings.ContainsFunc(strings.TrimSuffix(line, "\n"), unicode.IsControl) {
			t.Errorf("a terminal or a runner obeys %q", line)
		}
	}
	const output = "    Output       | ␛[2J::stop-commands::x\n                 | ::error::y\n                 | ## [error]z\n"
	if !strings.Contains(b.String(), output) {
		t.Errorf("the output is not\n%s\nin\n%s", output, b.String())
	}
}

// A check that has several verdicts may have no case that fails.
func TestWhyACheckHasNoVerdictIsTold(t *testing.T) {
	var b bytes.Buffer
	newConformPrinter(&b, nil, nil, false).done(suite.Result{
		ID: "IMDS-02", Level: suite.Must, Verdict: suite.Inconclusive, Why: "the verdict was pass in the first run, and skip in run 2", Cases: []suite.CaseResult{{Verdict: suite.Pass}},
	})
	if !strings.Contains(b.String(), "  Actual       the verdict was pass in the first run, and skip in run 2\n") {
		t.Errorf("it says\n%s", b.String())
	}
}

func TestHintsAreWhatFollowsTheFirstSemicolon(t *testing.T) {
	for text, want := range map[string][2]string{
		`one`:                    {`one`, ``},
		`one; two; three`:        {`one`, `two; three`},
		`said "a; b"; two`:       {`said "a; b"`, `two`},
		`said "a\"; b"; two`:     {`said "a\"; b"`, `two`},
		`said "a; b`:             {`said "a`, `b`}, // no quotation
		"said `a; b`":            {"said `a", "b`"},
		`the driver's; another'`: {`the driver's`, `another'`},
	} {
		if before, hint := hinted(text); before != want[0] || hint != want[1] {
			t.Errorf("%s has the hint %s after %s", text, hint, before)
		}
	}
}

// A run may write over the report that it is compared with.
func TestARunIsComparedWithWhatWasThereBefore(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	lines, page := filepath.Join(folder, "r.jsonl"), filepath.Join(folder, "page.html")
	run := func(code int, flags []string, bug ...string) {
		t.Helper()
		args := slices.Concat([]string{"conform", "run", "--wiring", "explicit", "--only", "AST-04"}, flags, []string{"--", "driver"}, bug)
		out, err := exec.CommandContext(t.Context(), "fakeentra", args...).CombinedOutput()
		got := 0
		if exit, ok := errors.AsType[*exec.ExitError](err); ok {
			got, err = exit.ExitCode(), nil
		}
		if err != nil || got != code {
			t.Fatalf("%q ended with %v: %s", args, err, out)
		}
	}
	run(0, []string{"--report", lines})
	run(exitFailure, []string{"--before", lines, "--report", lines + "," + page}, "AST-04")
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	_, packed, _ := strings.Cut(string(text), `id="data">`)
	packed, _, _ = strings.Cut(packed, "<")
	z, err := gzip.NewReader(base64.NewDecoder(base64.StdEncoding, strings.NewReader(packed)))
	if err != nil {
		t.Fatal(err)
	}
	var data struct{ Reports, Before []suite.Report }
	if err := json.NewDecoder(z).Decode(&data); err != nil {
		t.Fatal(err)
	}
	const now, before = "reference with the bug AST-04", "reference"
	if len(data.Reports) != 1 || len(data.Before) != 1 || data.Reports[0].Driver.Implementation.Name != now || data.Before[0].Driver.Implementation.Name != before {
		t.Errorf("the page has %+v", data)
	}
}

func TestSeveralClientsHaveFoldersOfTheirOwn(t *testing.T) {
	of := func(name string) *suite.Report {
		return &suite.Report{
			Suite: suite.Suite{Digest: "d"}, Driver: driver.Hello{Implementation: driver.Implementation{Name: name, Version: "1.2", Language: "go"}},
			Standings: []suite.Standing{{Level: "core", Checks: 1}}, Results: []suite.Result{{ID: "IMDS-02", Verdict: suite.Fail}, {ID: "IMDS-10", Verdict: suite.Pass}},
		}
	}
	for name, c := range map[string]struct {
		clients []string
		want    string
	}{
		"one client":                 {[]string{"a"}, "IMDS-02.har badge-core.json"},
		"several":                    {[]string{"a", "b c"}, "a-1.2-go/IMDS-02.har a-1.2-go/badge-core.json b-c-1.2-go/IMDS-02.har b-c-1.2-go/badge-core.json"},
		"those called alike":         {[]string{"a/b", "A b"}, "A-b-1.2-go-2/IMDS-02.har A-b-1.2-go-2/badge-core.json a-b-1.2-go/IMDS-02.har a-b-1.2-go/badge-core.json"},
		"those that lead elsewhere":  {[]string{"../../a", ".."}, "1.2-go/IMDS-02.har 1.2-go/badge-core.json a-1.2-go/IMDS-02.har a-1.2-go/badge-core.json"},
		"those with a name too long": {[]string{"a", strings.Repeat("x", 300)}, "a-1.2-go/IMDS-02.har a-1.2-go/badge-core.json " + strings.Repeat("x", 100) + "/IMDS-02.har " + strings.Repeat("x", 100) + "/badge-core.json"},
	} {
		t.Run(name, func(t *testing.T) {
			folder := t.TempDir()
			r := reporting{har: folder, badges: folder}
			if err := r.check(); err != nil {
				t.Fatal(err)
			}
			var reports []*suite.Report
			for _, client := range c.clients {
				reports = append(reports, of(client))
			}
			if errs := r.write(t.Context(), io.Discard, nil, reports...); len(errs) > 0 {
				t.Fatal(errs)
			}
			var got []string
			for _, pattern := range []string{"*.*", "*/*"} {
				files, err := filepath.Glob(filepath.Join(folder, pattern))
				if err != nil {
					t.Fatal(err)
				}
				for _, file := range files {
					if info, err := os.Stat(file); err == nil && info.Mode().IsRegular() {
						name, _ := filepath.Rel(folder, file)
						got = append(got, filepath.ToSlash(name))
					}
				}
			}
			slices.Sort(got)
			if strings.Join(slices.Compact(got), " ") != c.want {
				t.Errorf("there is\n     %s\nwant %s", strings.Join(got, " "), c.want)
			}
		})
	}
}
