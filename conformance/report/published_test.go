package report_test

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/fakeentra/fakeentra/conformance/report"
	"github.com/fakeentra/fakeentra/conformance/suite"
	"github.com/fakeentra/fakeentra/internal/toolchain"
)

// hostile is text that no form may take for its own.
const hostile = "| </failure>]]>&amp;\x00\x1b[31m\ufffe \U0001f600 \"'<b>\n\r\t%0A::error::##[error]https://a b/[c]?d=[e]"

// oddReports are reports that test forms: of every verdict, of no check, of more checks of
// an area than there are, and of text that means something to a form.
func oddReports(t *testing.T) map[string][]*suite.Report {
	t.Helper()
	none := part("")
	many := part("", slices.Repeat([]string{"AST-04"}, 45)...)
	for i := range many.Results {
		many.Results[i].ID = fmt.Sprintf("AST-%02d", i+1)
		many.Results[i].Verdict = suite.Verdicts()[i%len(suite.Verdicts())]
		many.Results[i].Why = "why"
		many.Results[i].Took = suite.Millis(i * i * 997)
	}
	wild := run(t, "SEC-03", "IMDS-10", "AST-13", "SEC-03", "ERR-10", "IMDS-14")
	wild.Driver.Implementation.Name, wild.Seed, wild.Incomplete, wild.Stale = hostile, hostile, hostile, []string{hostile, "a:1: " + hostile}
	for i := range wild.Results {
		result := &wild.Results[i]
		result.Verdict, result.Why = suite.Fail, hostile
		for k := range result.Cases {
			c := &result.Cases[k]
			c.Name, c.Verdict, c.Why, c.Output = hostile, suite.Fail, hostile, hostile
			for j := range c.Conditions {
				c.Conditions[j].Met, c.Conditions[j].Expected, c.Conditions[j].Actual = false, hostile, hostile
			}
			for j := range c.Exchanges {
				x := &c.Exchanges[j]
				x.Answer, x.Body = hostile, hostile
				x.Header, x.Reply = map[string][]string{"A b": {hostile}}, map[string][]string{"Location": {hostile}}
				if j%2 > 0 {
					x.URL, x.Method, x.Proto, x.Status = "https://a b/[c]?d=[e] f&%zz", "", "", 0
				}
			}
		}
	}
	return map[string][]*suite.Report{
		"of every verdict": everyVerdict(t), "of no check": {none}, "of no check, twice": {none, none}, "of many checks": {many}, "of a client": {run(t, "AST-13", "AST-*", "SEC-*")},
		"of two clients": {run(t, "IMDS-10", "IMDS-*"), run(t, "AST-13", "AST-13", "SEC-03")}, "of text that means something": {wild},
	}
}

func TestJUnitIsAsJenkinsTakesIt(t *testing.T) {
	xmllint := toolchain.Program(t, "xmllint")
	for name, reports := range oddReports(t) {
		t.Run(name, func(t *testing.T) {
			var b bytes.Buffer
			if err := report.JUnit(&b, reports...); err != nil {
				t.Fatal(err)
			}
			cmd := exec.CommandContext(t.Context(), xmllint, "--nonet", "--noout", "--schema", "testdata/junit.xsd", "-")
			cmd.Stdin = bytes.NewReader(b.Bytes())
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("%v: %s\n%.3000s", err, out, b.String())
			}
			countsAreRight(t, b.Bytes(), reports)
		})
	}
}

// countsAreRight compares the numbers in JUnit's XML with what is there.
func countsAreRight(t *testing.T, text []byte, reports []*suite.Report) {
	t.Helper()
	type numbers struct {
		Tests    int `xml:"tests,attr"`
		Failures int `xml:"failures,attr"`
		Errors   int `xml:"errors,attr"`
		Skipped  int `xml:"skipped,attr"`
	}
	var got struct {
		numbers
		Suites []struct {
			numbers
			Cases []struct {
				Name    string    `xml:"name,attr"`
				Failure *struct{} `xml:"failure"`
				Error   *struct{} `xml:"error"`
				Skipped *struct{} `xml:"skipped"`
			} `xml:"testcase"`
		} `xml:"testsuite"`
	}
	if err := xml.Unmarshal(text, &got); err != nil {
		t.Fatal(err)
	}
	var all numbers
	for _, s := range got.Suites {
		var n numbers
		for _, c := range s.Cases {
			n.Tests++
			switch {
			case c.Failure != nil:
				n.Failures++
			case c.Error != nil:
				n.Errors++
			case c.Skipped != nil:
				n.Skipped++
			}
		}
		if n != s.numbers {
			t.Errorf("a suite says %+v, and has %+v", s.numbers, n)
		}
		all.Tests, all.Failures, all.Errors = all.Tests+n.Tests, all.Failures+n.Failures, all.Errors+n.Errors
	}
	if all != got.numbers {
		t.Errorf("the whole says %+v, and has %+v", got.numbers, all)
	}
	want := 0
	for _, r := range reports {
		want += len(r.Results) + len(r.Stale)
		if r.Incomplete != "" {
			want++
		}
	}
	if all.Tests != want {
		t.Errorf("there are %d cases, want %d", all.Tests, want)
	}
}

// published returns a schema that others publish, and tests install.
func published(t *testing.T, folder, main string) *jsonschema.Schema {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("schemas/node_modules", folder, "*.json"))
	if err != nil {
		t.Fatal(err)
	}
	if len(files) == 0 {
		toolchain.Without(t, "the schemas of HAR and SARIF", "npm ci --ignore-scripts --prefix conformance/report/schemas")
	}
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		if err := c.AddResource("https://example.com/"+filepath.Base(file), doc); err != nil {
			t.Fatal(err)
		}
	}
	s, err := c.Compile("https://example.com/" + main)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestSARIFIsAsItsSchemaHasIt(t *testing.T) {
	s := published(t, "@microsoft/jest-sarif/lib/schemas", "sarif-2.1.0-rtm.5.json")
	for name, reports := range oddReports(t) {
		t.Run(name, func(t *testing.T) {
			var b bytes.Buffer
			if err := report.SARIF(&b, "a folder/driver[1].py", reports...); err != nil {
				t.Fatal(err)
			}
			valid(t, s, b.Bytes())
			if n := strings.Count(b.String(), `"uri": "a%20folder/driver%5B1%5D.py"`); n != strings.Count(b.String(), `"uri":`) {
				t.Errorf("%d locations are of the driver:\n%.2000s", n, b.String())
			}
		})
	}
}

func TestHARIsAsItsSchemaHasIt(t *testing.T) {
	s := published(t, "har-schema/lib", "har.json")
	for name, reports := range oddReports(t) {
		t.Run(name, func(t *testing.T) {
			for _, r := range reports {
				for _, result := range r.Results {
					var b bytes.Buffer
					if err := report.HAR(&b, r, result); err != nil {
						t.Fatal(err)
					}
					valid(t, s, b.Bytes())
					if strings.ContainsAny(between(b.String(), `"url": "`, `"`), " []") {
						t.Errorf("a URL is none: %s", between(b.String(), `"url": "`, `"`))
					}
				}
			}
		})
	}
}

// between is what stands between the last two of two texts.
func between(text, from, to string) string {
	i := strings.LastIndex(text, from)
	if i < 0 {
		return ""
	}
	text, _, _ = strings.Cut(text[i+len(from):], to)
	return text
}

func TestMarkdownAndCommandsStayInTheirLines(t *testing.T) {
	for name, reports := range oddReports(t) {
		var b bytes.Buffer
		if err := report.Annotations(&b, "d:r,i%ver.py", reports...); err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(b.String()) {
			if !strings.HasPrefix(line, "::error ") && !strings.HasPrefix(line, "::warning ") && !strings.HasPrefix(line, "::notice ") || strings.ContainsRune(line, '\r') {
				t.Errorf("%s: the annotation %q", name, line)
			}
		}
		obeyed(t, name, b.String())
		b.Reset()
		if err := report.Summary(&b, reports...); err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(b.String()) {
			if strings.ContainsRune(line, '\r') || strings.Contains(line, "<b>") || strings.HasPrefix(line, "| ") && strings.Count(strings.ReplaceAll(line, `\|`, ""), "|") != 5 {
				t.Errorf("%s: the line %q", name, line)
			}
		}
		obeyed(t, name, b.String())
	}
}

// obeyed fails for what a terminal or the log of a CI does instead of showing it.
func obeyed(t *testing.T, name, text string) {
	t.Helper()
	if i := strings.IndexFunc(text, func(r rune) bool { return r != '\n' && r != '\t' && unicode.IsControl(r) }); i >= 0 {
		t.Errorf("%s: there is a control character in %q", name, text[max(0, i-40):min(i+40, len(text))])
	}
	if i := strings.Index(text, "##["); i >= 0 {
		t.Errorf("%s: there is a command in %q", name, text[i:min(i+40, len(text))])
	}
}
