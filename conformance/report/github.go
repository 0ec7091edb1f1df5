package report

import (
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/fakeentra/fakeentra/conformance/suite"
)

// Annotations writes workflow commands of GitHub Actions, which show what was found
// beside file, the driver, and expectations that are not needed beside themselves.
func Annotations(w io.Writer, file string, reports ...*suite.Report) error {
	for _, r := range reports {
		for _, result := range r.Results {
			kind := map[suite.Verdict]string{suite.Fail: "error", suite.Error: "error", suite.Timeout: "error", suite.Inconclusive: "error", suite.XPass: "error", suite.Warn: "warning", suite.Info: "notice"}[result.Verdict]
			if result.Verdict == suite.Warn && r.Strict {
				kind = "error"
			}
			if kind == "" {
				continue
			}
			text := result.Why
			for _, f := range findings(result) {
				text = f.String()
				break
			}
			at := property(file)
			if result.Verdict == suite.XPass && result.Expected != nil {
				at = place(result.Expected.Where)
			}
			if err := annotate(w, kind, at, result.ID+" "+result.Title, client(r)+": "+text); err != nil {
				return err
			}
		}
		if r.Incomplete != "" {
			if err := annotate(w, "error", property(file), "not all checks ran", client(r)+": "+r.Incomplete); err != nil {
				return err
			}
		}
		for _, stale := range r.Stale {
			where, why, _ := strings.Cut(stale, ": ")
			if err := annotate(w, "error", place(where), "expectation without effect", client(r)+": "+why); err != nil {
				return err
			}
		}
	}
	return nil
}

func annotate(w io.Writer, kind, at, title, text string) error {
	_, err := fmt.Fprintf(w, "::%s file=%s,title=%s::%s\n", kind, at, property(title), data(text))
	return err
}

// place is where an expectation stands, such as xfail.toml:4, as parameters.
func place(where string) string {
	if i := strings.LastIndexByte(where, ':'); i >= 0 {
		if _, err := strconv.Atoi(where[i+1:]); err == nil {
			return property(where[:i]) + ",line=" + where[i+1:]
		}
	}
	return property(where)
}

// data escapes the text of a workflow command, and property a parameter of it.
func data(s string) string {
	lines := visibleLines(s)
	for i, line := range lines {
		lines[i] = strings.ReplaceAll(line, "%", "%25")
	}
	return strings.Join(lines, "%0A")
}

func property(s string) string {
	return strings.NewReplacer("%", "%25", ":", "%3A", ",", "%2C").Replace(Visible(s))
}

// Summary writes Markdown for the page of a run of GitHub Actions.
func Summary(w io.Writer, reports ...*suite.Report) error {
	var b strings.Builder
	for _, r := range reports {
		n := count(r.Results)
		fmt.Fprintf(&b, "### Conformance of %s\n\n", cell(client(r)))
		var words []string
		for _, v := range suite.Verdicts() {
			if n[v] > 0 {
				words = append(words, fmt.Sprintf("%d %s", n[v], v))
			}
		}
		fmt.Fprintf(&b, "%d checks: %s. Suite %s, wiring %s, seed %s.\n\n", len(r.Results), strings.Join(words, ", "), cell(r.Suite.Version), cell(wiring(r)), cell(r.Seed))
		if Foreign(r) {
			fmt.Fprintf(&b, "The catalogue of checks was another one than that of this version of fakeentra (%s, and not %s): what is required may have changed since.\n\n", cell(r.Suite.Digest), suite.Digest())
		}
		first := true
		for _, result := range r.Results {
			if !unmet(result.Verdict) && !broken(result.Verdict) && result.Verdict != suite.XPass {
				continue
			}
			if first {
				b.WriteString("| check | verdict | requirement | what was seen |\n|---|---|---|---|\n")
				first = false
			}
			fmt.Fprintf(&b, "| %s | %s | %s %s | %s |\n", cell(result.ID), result.Verdict, result.Level, cell(checkOf(result).Requirement), cell(result.Why))
		}
		b.WriteByte('\n')
		if r.Incomplete != "" {
			fmt.Fprintf(&b, "Not all checks ran: %s.\n\n", cell(r.Incomplete))
		}
		for _, stale := range r.Stale {
			fmt.Fprintf(&b, "Expectation without effect: %s\n\n", cell(stale))
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// cell keeps text in one cell of a table.
func cell(s string) string {
	return strings.NewReplacer("|", "\\|", "<", "&lt;", "`", "'").Replace(strings.Join(visibleLines(s), " "))
}
