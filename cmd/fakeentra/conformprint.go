package main

import (
	"cmp"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	conformreport "github.com/fakeentra/fakeentra/conformance/report"
	"github.com/fakeentra/fakeentra/conformance/suite"
)

// A conformPrinter tells people how a run goes: a line for each check, with what
// was seen where it is not met.
type conformPrinter struct {
	w       io.Writer
	colors  bool
	command string // the driver's, for a shell, behind the flags that lead to it
	again   string // the command that runs a check again; empty for conform run
	verbose bool
	chaos   string // the seed of noise

	expectations string // how many there are, and where; empty if there are none

	// On a terminal, the last line says how far the run is, until something else is
	// printed.
	terminal     bool
	total, over  int // checks
	unexpected   int
	strict, warn bool // what the run takes for unexpected
	behind       bool // the line is there
}

func newConformPrinter(w io.Writer, flags, args []string, verbose bool) *conformPrinter {
	command := quoted(flags)
	if len(args) > 0 {
		command = strings.TrimSpace(command + " -- " + quoted(args))
	}
	return &conformPrinter{w: w, terminal: isTerminal(w), colors: isTerminal(w) && os.Getenv("NO_COLOR") == "", command: command, verbose: verbose} // https://no-color.org
}

// isTerminal reports whether w is a terminal that knows control sequences.
func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok || os.Getenv("TERM") == "dumb" {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// quoted is a command as it can be pasted into a shell.
func quoted(args []string) string {
	var words []string
	for _, a := range args {
		if a == "" || strings.Trim(a, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_@%+=:,./-") != "" {
			a = "'" + strings.ReplaceAll(a, "'", `'\''`) + "'"
		}
		words = append(words, a)
	}
	return strings.Join(words, " ")
}

// An ours is text of this program, which is printed as it is.
type ours string

// printf prints what a format says. Texts among the arguments may be of anyone, and do
// nothing on a terminal or in a log but if they are [ours].
func (p *conformPrinter) printf(format string, args ...any) {
	for i, a := range args {
		if text, ok := a.(string); ok {
			args[i] = conformreport.Visible(text)
		}
	}
	if p.behind {
		_, _ = io.WriteString(p.w, eraseLine)
		p.behind = false
	}
	_, _ = fmt.Fprintf(p.w, format, args...) // there is nobody else to tell
}

// eraseLine goes to the beginning of the line and empties it (ECMA-48, EL).
const eraseLine = "\r\x1b[K"

// progress says how far the run is.
func (p *conformPrinter) progress() {
	if !p.terminal || p.total == 0 || p.over == p.total {
		return
	}
	text := fmt.Sprintf("%d of %d checks", p.over, p.total)
	if p.unexpected > 0 {
		text += fmt.Sprintf(", %d not as it has to be", p.unexpected)
	}
	p.printf("%s", text)
	p.behind = true
}

// begin says what is run.
func (p *conformPrinter) begin(r *suite.Report, checks, jobs int) {
	p.printf("fakeentra conformance %s (%s), %d of %d checks, seed %s, wiring %s, %d jobs\n", r.Suite.Version, r.Suite.Digest, checks, r.Suite.Checks, r.Seed, r.Wiring, jobs)
	p.driver(r)
	p.wiring(r)
	if r.Chaos != "" {
		p.printf("chaos: %s\n", r.Chaos)
	}
	if p.expectations != "" {
		p.printf("expectations: %s\n", p.expectations)
	}
	p.printf("\n")
	p.chaos = r.Chaos
	p.total, p.strict, p.warn = checks, r.Strict, r.XPassWarns
	p.progress()
}

// wiring says why not the most complete wiring was taken, and what the one that was
// does not do.
func (p *conformPrinter) wiring(r *suite.Report) {
	if r.WiringWhy != "" {
		p.printf("wiring %s is taken, which covers %d of %d checks: %s\n", r.Wiring, len(suite.Covered(r.Wiring)), r.Suite.Checks, r.WiringWhy)
	}
	for _, caveat := range r.Caveats {
		p.printf("wiring %s: %s\n", r.Wiring, caveat)
	}
}

// driver says what is driven. No line begins with what the driver says: to GitHub
// Actions, one that begins with :: is a command.
func (p *conformPrinter) driver(r *suite.Report) {
	i := r.Driver.Implementation
	var facts []string
	for _, fact := range []string{i.Language, i.Runtime} {
		if fact != "" {
			facts = append(facts, fact)
		}
	}
	p.printf("client: %s\n", strings.TrimSpace(fmt.Sprintf("%s %s (%s)", i.Name, i.Version, strings.Join(facts, ", "))))
	for _, d := range r.Driver.Dependencies {
		p.printf("  with %s %s\n", d.Name, d.Version)
	}
}

// colorOf are the colors of verdicts (ECMA-48, SGR).
var colorOf = map[suite.Verdict]string{
	suite.Pass: "32", suite.Fail: "31", suite.Error: "31", suite.Timeout: "31", suite.Inconclusive: "35", suite.Warn: "33", suite.Info: "36", suite.Skip: "90", suite.XFail: "90", suite.XPass: "31",
}

func (p *conformPrinter) verdict(v suite.Verdict) ours {
	text := fmt.Sprintf("%-12s", v)
	if p.colors {
		text = "\x1b[" + colorOf[v] + "m" + text + "\x1b[0m"
	}
	return ours(text)
}

// line is one line about a check.
func (p *conformPrinter) line(r suite.Result) {
	p.printf("%s %-8s %-6s %7s  %s\n", p.verdict(r.Verdict), r.ID, r.Level, seconds(r.Took), r.Title)
}

func seconds(m suite.Millis) string { return fmt.Sprintf("%.2f s", float64(m)/1000) }

// done tells the verdict on a check.
func (p *conformPrinter) done(r suite.Result) {
	p.tell(r)
	p.over++
	p.unexpected += len((&suite.Report{Strict: p.strict, XPassWarns: p.warn, Results: []suite.Result{r}}).Unexpected())
	p.progress()
}

func (p *conformPrinter) tell(r suite.Result) {
	p.line(r)
	switch r.Verdict {
	case suite.Pass:
	case suite.Skip:
		p.member("", "Reason", r.Why)
	case suite.XFail:
		p.known(r.Expected)
	case suite.XPass:
		p.member("", "Actual", "it is met; take the expectation away")
		p.known(r.Expected)
	default:
		p.expand(r)
		return
	}
	if p.verbose {
		for _, k := range r.Cases {
			p.exchanges(k)
		}
	}
}

// known tells what was expected of a check.
func (p *conformPrinter) known(e *suite.Expected) {
	p.member("", "Expected", fmt.Sprintf("not to be met: %s  [%s]", e.Reason, e.Where))
	p.member("", "Issue", e.Issue)
}

// maxCases is how many cases of a check are shown.
const maxCases = 3

// expand tells all about a check that is not met.
func (p *conformPrinter) expand(r suite.Result) {
	c := findCheck(r.ID)
	if c != nil {
		p.member("", "Requirement", c.Requirement)
	}
	var others []string
	shown := 0
	for _, k := range r.Cases {
		if k.Verdict == suite.Pass || k.Verdict == suite.Skip || k.Verdict == suite.XFail {
			continue
		}
		if shown == maxCases && !p.verbose {
			others = append(others, k.Name)
			continue
		}
		shown++
		p.expandCase(k)
	}
	if shown == 0 {
		p.member("", "Actual", r.Why)
	}
	if len(others) > 0 {
		p.member("", "Also", strings.Join(others, "; "))
	}
	if c != nil {
		p.member("", "Source", strings.Join(c.Sources, ", "))
	}
	again := p.again
	if again == "" {
		again = "fakeentra conform run --only " + r.ID
		if p.chaos != "" {
			again += " --chaos " + quoted([]string{p.chaos})
		}
	}
	p.member("", "Alone", strings.TrimSpace(again+" "+p.command))
	p.printf("\n")
}

// findCheck finds a check of the catalogue, or one that is not in it.
func findCheck(id string) *suite.Check {
	if c := suite.Find(id); c != nil {
		return c
	}
	smoke := suite.Smoke()
	if i := slices.IndexFunc(smoke, func(c *suite.Check) bool { return c.ID == id }); i >= 0 {
		return smoke[i]
	}
	return nil
}

// member is a line about a check, or several, each behind a bar: runners of GitHub
// Actions pass over blanks, and obey a line that begins with :: after them.
func (p *conformPrinter) member(indent, name, text string) {
	if text == "" {
		return
	}
	for _, line := range barred(text) {
		p.printf("  %s%-12s %s\n", indent, name, line)
		name = ""
	}
}

// barred are the lines of a text. Several are behind a bar.
func barred(text string) []string {
	lines := strings.Split(strings.TrimRight(strings.ReplaceAll(text, "\r\n", "\n"), "\n"), "\n")
	if len(lines) > 1 {
		for i, line := range lines {
			lines[i] = "| " + line
		}
	}
	return lines
}

func (p *conformPrinter) expandCase(k suite.CaseResult) {
	indent := ""
	if k.Name != "" {
		p.member("", "Case", k.Name)
		indent = "  "
	}
	told := false
	for _, c := range k.Conditions {
		if !c.Met {
			told = true
			p.member(indent, "Expected", c.Expected+"  ["+c.ID+"]")
			p.member(indent, "Actual", c.Actual)
		}
	}
	if !told || k.Verdict == suite.Error || k.Verdict == suite.Timeout || k.Verdict == suite.Inconclusive {
		p.member(indent, "Actual", k.Why)
	}
	p.exchanges(k)
	if k.Verdict == suite.Error || k.Verdict == suite.Timeout {
		p.member(indent, "Output", k.Output)
	}
}

// How much of the exchanges is shown.
const (
	maxExchanges = 12
	maxURL       = 100
)

// exchanges are the requests of a case, a line each.
func (p *conformPrinter) exchanges(k suite.CaseResult) {
	for i, x := range k.Exchanges {
		if i == maxExchanges && !p.verbose {
			p.printf("    ... and %d more\n", len(k.Exchanges)-i)
			break
		}
		url := x.URL
		if len(url) > maxURL && !p.verbose {
			url = url[:maxURL] + "..."
		}
		answer := fmt.Sprint(x.Status)
		if x.Status == 0 {
			answer = "no answer"
		}
		if x.Fault != "" {
			answer += " (fault)"
		}
		p.printf("    %2d %8s %-18s %s %s -> %s\n", x.Seq, seconds(x.At), x.Op, x.Method, url, answer)
	}
}

// slowest is how many checks are named that took longest.
const slowest = 5

// stop takes away what says how far the run is.
func (p *conformPrinter) stop() { p.printf("") }

// end sums up.
func (p *conformPrinter) end(r *suite.Report) {
	verdicts := slices.DeleteFunc(suite.Verdicts(), func(v suite.Verdict) bool {
		return v != suite.Pass && !slices.ContainsFunc(r.Results, func(x suite.Result) bool { return x.Verdict == v })
	})
	p.printf("\n%-8s", "")
	for _, v := range verdicts {
		p.printf(" %12s", v)
	}
	p.printf("\n")
	for _, level := range []suite.Level{suite.Must, suite.Should, suite.May} {
		p.printf("%-8s", level)
		for _, v := range verdicts {
			n := 0
			for _, x := range r.Results {
				if x.Level == level && x.Verdict == v {
					n++
				}
			}
			p.printf(" %12d", n)
		}
		p.printf("\n")
	}
	if len(r.Uncovered) > 0 {
		p.printf("\nthe wiring %s cannot have %d of the checks: %s\n", r.Wiring, len(r.Uncovered), strings.Join(r.Uncovered, ", "))
	}
	if len(r.PartlyUncovered) > 0 {
		p.printf("the wiring %s cannot have some cases of %s\n", r.Wiring, strings.Join(r.PartlyUncovered, ", "))
	}
	p.standings(r)
	all := slices.Clone(r.Results)
	slices.SortStableFunc(all, func(a, b suite.Result) int { return cmp.Compare(b.Took, a.Took) })
	var names []string
	for _, x := range all[:min(slowest, len(all))] {
		names = append(names, x.ID+" "+seconds(x.Took))
	}
	p.printf("\n%d checks in %v; slowest: %s\n", len(r.Results), time.Duration(r.Took)*time.Millisecond, strings.Join(names, ", "))
	if unexpected := r.Unexpected(); len(unexpected) > 0 {
		var ids []string
		for _, x := range unexpected {
			ids = append(ids, x.ID)
		}
		p.printf("not as it has to be: %s\n", strings.Join(ids, ", "))
	}
	if r.Incomplete != "" {
		p.printf("not all of it: %s\n", r.Incomplete)
	}
	for _, stale := range r.Stale {
		p.printf("expectation without effect: %s\n", stale)
	}
}

func (p *conformPrinter) standings(r *suite.Report) {
	for i, s := range r.Standings {
		if i == 0 {
			p.printf("\n")
		}
		p.printf("%-10s %s\n", s.Level, standing(s))
	}
}

// standing says whether a client is at a level, and what keeps it from there.
func standing(s suite.Standing) string {
	const most = 8
	list := func(ids []string) string {
		if len(ids) > most {
			return strings.Join(ids[:most], ", ") + fmt.Sprintf(" and %d more", len(ids)-most)
		}
		return strings.Join(ids, ", ")
	}
	switch {
	case len(s.Unmet) > 0:
		return fmt.Sprintf("no: %d of %d checks are not met: %s", len(s.Unmet), s.Checks, list(s.Unmet))
	case !s.Reached():
		return "no: none of its checks ran"
	case len(s.Gaps) > 0:
		return fmt.Sprintf("yes, with %d known gaps of %d checks: %s", len(s.Gaps), s.Checks, list(s.Gaps))
	}
	return fmt.Sprintf("yes: all %d checks are met", s.Checks)
}
