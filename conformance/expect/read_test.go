package expect_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/fakeentra/fakeentra/conformance/expect"
)

// today is when the files of these tests are read.
var today = time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)

// written returns a file with a text.
func written(t *testing.T, text string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), expect.FileName)
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// problems are what is wrong with a file, without its folder.
func problems(t *testing.T, name string) []string {
	t.Helper()
	_, err := expect.Read(name, today)
	if err == nil {
		return nil
	}
	wrong, ok := errors.AsType[*expect.Error](err)
	if !ok {
		t.Fatalf("%v is no *expect.Error", err)
	}
	var all []string
	for _, p := range wrong.Problems {
		all = append(all, strings.TrimPrefix(p, filepath.Dir(name)+"/"))
	}
	return all
}

func TestAFileThatIsRight(t *testing.T) {
	set, err := expect.Read(written(t, `
suite = ">=1.0, <2"

[[expect]]
check = "IMDS-10"
assert = "IMDS-10.trap"
case = "302 Found to http"
outcome = "warn"
reason = "why"
issue = "https://github.com/contoso/sdk/issues/1"
until = 2026-11-28
when = { "dependency:core" = ">=1.2, <2", version = "<8", wiring = "netns" }

[[expect]]
check = "IMDR-*"
reason = """
[[expect]]
check = "is text"
"""
until = "2030-01-01"
`), today)
	if err != nil {
		t.Fatal(err)
	}
	if set.Len() != 2 {
		t.Errorf("%d expectations, want 2", set.Len())
	}
	escaped := "\ufeff[[\"\\u0065xpect\"]]\ncheck = \"IMDS-10\"\nreason = \"x\"\n"
	if set, err := expect.Read(written(t, escaped), today); err != nil || set.Len() != 1 {
		t.Errorf("a key with an escape, behind a byte order mark: %v", err)
	}
	if set, err := expect.Read(written(t, ""), today); err != nil || set.Len() != 0 {
		t.Errorf("an empty file: %v", err)
	}
}

func TestMistakesAreNamedWithFileAndLine(t *testing.T) {
	for name, c := range map[string]struct {
		text string
		want []string
	}{
		"not TOML": {"suite = 1.0.0\n", []string{`xfail.toml:1: `}},
		"a key that there is not": {"[[expect]]\ncheck = \"IMDS-10\"\nreason = \"x\"\nchek = \"x\"\n",
			[]string{`xfail.toml:4: there is no key "expect.chek" here; expected suite and tables [[expect]] of check, assert, case, outcome, reason, issue, sometimes, until and when`}},
		"an older catalogue": {`suite = ">=99"`, []string{`xfail.toml: it is for the suite >=99, and this one is 1.0; take another version of fakeentra, or change the line`}},
		"no version":         {`suite = "new"`, []string{`xfail.toml: suite is "new"; expected versions of the suite, such as ">=1.0"`}},
		"no check":           {"\n[[expect]]\nreason = \"x\"", []string{"xfail.toml:2: it does not say which check it is about; give it a check, such as IMDS-10"}},
		"an unknown check": {"# one\n\n[[expect]]\ncheck = \"IMDS-99\"\nreason = \"x\"",
			[]string{`xfail.toml:3: no check is called "IMDS-99"; list them with: fakeentra conform list`}},
		"a pattern of none": {"[[expect]]\ncheck = \"ZZZ-*\"\nreason = \"x\"",
			[]string{`xfail.toml:1: no check is called "ZZZ-*"; list them with: fakeentra conform list`}},
		"no reason": {"[[expect]]\ncheck = \"IMDS-10\"\nreason = \" \"\n[[expect]]\ncheck = \"IMDS-02\"",
			[]string{"xfail.toml:1: the reason is empty; say why IMDS-10 is not met", "xfail.toml:4: the reason is empty; say why IMDS-02 is not met"}},
		"expired": {"[[expect]]\ncheck = \"IMDS-10\"\nreason = \"x\"\nuntil = 2026-11-27",
			[]string{"xfail.toml:1: it was expected until 2026-11-27; see whether IMDS-10 is met now, and give it another date if not"}},
		"no date": {"[[expect]]\ncheck = \"IMDS-10\"\nreason = \"x\"\nuntil = \"soon\"", []string{"xfail.toml:4: "}},
		"a date with a time": {"[[expect]]\ncheck = \"IMDS-10\"\nreason = \"x\"\nuntil = 2027-11-30T00:00:00Z",
			[]string{"xfail.toml:4: until is of another kind; expected a date, such as until = 2027-11-30"}},
		"a key twice": {"[[expect]]\ncheck = \"IMDS-10\"\nreason = \"a\"\n\ncheck = \"IMDS-11\"",
			[]string{"xfail.toml:5: check comes twice here; expected another table [[expect]] before the second one"}},
		"no text": {"[[expect]]\ncheck = 10", []string{`xfail.toml:2: check is of another kind; expected text, such as check = "IMDS-10"`}},
		"one bracket": {"[expect]\ncheck = \"IMDS-10\"\nreason = \"x\"",
			[]string{"xfail.toml: an expectation is no table [[expect]]; expected two brackets on each side"}},
		"no table": {"expect = \"IMDS-10\"", []string{"xfail.toml:1: expect is of another kind; expected tables [[expect]]"}},
		"an unknown outcome": {"[[expect]]\ncheck = \"IMDS-10\"\nreason = \"x\"\noutcome = \"broken\"",
			[]string{`xfail.toml:1: outcome is "broken"; expected one of fail, warn, info, skip, inconclusive, timeout, error`}},
		"a condition of another check": {"[[expect]]\ncheck = \"IMDS-10\"\nreason = \"x\"\nassert = \"IMDS-02.trap\"",
			[]string{`xfail.toml:1: assert is "IMDS-02.trap", which is no condition of the check IMDS-10; expected one such as IMDS-10.outcome`}},
		"an unknown case": {"[[expect]]\ncheck = \"IMDS-10\"\nreason = \"x\"\ncase = \"301\"",
			[]string{`xfail.toml:1: the check IMDS-10 has no case "301"; fakeentra conform explain IMDS-10 lists those that it has`}},
		"no URL": {"[[expect]]\ncheck = \"IMDS-10\"\nreason = \"x\"\nissue = \"#12\"", []string{`xfail.toml:1: issue is "#12"; expected a URL`}},
		"unknown circumstances": {"[[expect]]\ncheck = \"IMDS-10\"\nreason = \"x\"\nwhen = { wiring = \"air\", moon = \"full\", \"dependency:a\" = \"new\" }",
			[]string{
				`xfail.toml:1: when has no key "moon"; expected wiring, version or dependency:NAME`,
				`xfail.toml:1: when."dependency:a" is "new"; expected versions, such as "<8" or ">=7.2, <8"`,
				`xfail.toml:1: when.wiring is "air"; expected one of netns, docker, explicit, attach, memory`,
			}},
	} {
		t.Run(name, func(t *testing.T) {
			got := problems(t, written(t, c.text))
			if len(got) == 1 && len(c.want) == 1 && strings.HasSuffix(c.want[0], ": ") { // the rest is the decoder's
				if !strings.HasPrefix(got[0], c.want[0]) || len(got[0]) == len(c.want[0]) {
					t.Errorf("got %q, want it to begin with %q", got[0], c.want[0])
				}
				return
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("problems (-want +got):\n%s", diff)
			}
		})
	}
}

func TestADraftMayLackReasonsAndHaveExpired(t *testing.T) {
	name := written(t, "[[expect]]\ncheck = \"IMDS-10\"\nuntil = 2001-01-01\nreason = \"\"\n")
	if set, err := expect.ReadDraft(name); err != nil || set.Len() != 1 {
		t.Errorf("a draft: %v", err)
	}
	if got := problems(t, name); len(got) != 2 {
		t.Errorf("what is no draft: %q", got)
	}
}

func FuzzNoFileMakesReadPanic(f *testing.F) {
	f.Add("suite = \">=1.0\"\n[[expect]]\ncheck = \"IMDS-*\"\nreason = \"x\"\nuntil = 2027-01-01\nwhen = {wiring = \"netns\"}\n")
	f.Add("expect = [{check = \"IMDS-10\", reason = \"x\"}]")
	f.Fuzz(func(t *testing.T, text string) {
		name := filepath.Join(t.TempDir(), "f")
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		set, err := expect.Read(name, today)
		if (set == nil) == (err == nil) {
			t.Errorf("got %v and %v", set, err)
		}
	})
}
