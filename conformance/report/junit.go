package report

import (
	"encoding/xml"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/fakeentra/fakeentra/conformance/suite"
)

// The elements of JUnit's XML, as the schema that Jenkins publishes has them.
type (
	junitSuites struct {
		XMLName  xml.Name     `xml:"testsuites"`
		Name     string       `xml:"name,attr"`
		Tests    int          `xml:"tests,attr"`
		Failures int          `xml:"failures,attr"`
		Errors   int          `xml:"errors,attr"`
		Time     string       `xml:"time,attr"`
		Suites   []junitSuite `xml:"testsuite"`
	}
	junitSuite struct {
		Name       string          `xml:"name,attr"`
		Tests      int             `xml:"tests,attr"`
		Failures   int             `xml:"failures,attr"`
		Errors     int             `xml:"errors,attr"`
		Skipped    int             `xml:"skipped,attr"`
		Time       string          `xml:"time,attr"`
		Timestamp  string          `xml:"timestamp,attr"`
		Properties []junitProperty `xml:"properties>property"`
		Cases      []junitCase     `xml:"testcase"`
	}
	junitProperty struct {
		Name  string `xml:"name,attr"`
		Value string `xml:"value,attr"`
	}
	junitCase struct {
		Class   string        `xml:"classname,attr"`
		Name    string        `xml:"name,attr"`
		Time    string        `xml:"time,attr"`
		Skipped *junitMessage `xml:"skipped"`
		Error   *junitMessage `xml:"error"`
		Failure *junitMessage `xml:"failure"`
		Out     string        `xml:"system-out,omitempty"`
	}
	junitMessage struct {
		Message string `xml:"message,attr"`
		Type    string `xml:"type,attr,omitempty"`
		Text    string `xml:",chardata"`
	}
)

// JUnit writes reports as JUnit's XML: a suite for each area of the catalogue. A
// requirement that is not met is a failure if it is a MUST or the run was strict,
// and skipped if not; what could not be judged is an error.
func JUnit(w io.Writer, reports ...*suite.Report) error {
	out := junitSuites{Name: "fakeentra conformance"}
	var took suite.Millis
	for _, r := range reports {
		took += r.Took
		var all []junitSuite
		for _, area := range areasOf(r.Results) {
			all = append(all, junitArea(r, area, len(reports) > 1))
		}
		for _, s := range append(all, junitRun(r, len(reports) > 1)...) {
			out.Suites = append(out.Suites, s)
			out.Tests, out.Failures, out.Errors = out.Tests+s.Tests, out.Failures+s.Failures, out.Errors+s.Errors
		}
	}
	out.Time = seconds(took)
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return err
	}
	e := xml.NewEncoder(w)
	e.Indent("", " ")
	if err := e.Encode(out); err != nil {
		return err
	}
	_, err := io.WriteString(w, "\n")
	return err
}

// newJUnitSuite is a suite about a report, named after the client if there are
// several.
func newJUnitSuite(r *suite.Report, name string, named bool) junitSuite {
	s := junitSuite{
		Name: name, Timestamp: r.Started.Format(time.RFC3339),
		Properties: []junitProperty{{"client", client(r)}, {"seed", r.Seed}, {"wiring", wiring(r)}, {"suite", r.Suite.Version + " " + r.Suite.Digest}},
	}
	if named {
		s.Name = client(r) + " " + name
	}
	return s
}

// junitRun is a suite of what fails a run as a whole, if there is anything.
func junitRun(r *suite.Report, named bool) []junitSuite {
	s := newJUnitSuite(r, "run", named)
	s.Time = seconds(0)
	if r.Incomplete != "" {
		s.Errors++
		s.Cases = append(s.Cases, junitCase{Class: "fakeentra.run", Name: "all checks ran", Time: seconds(0), Error: &junitMessage{Message: r.Incomplete, Type: "incomplete"}})
	}
	for _, stale := range r.Stale {
		s.Failures++
		where, why, _ := strings.Cut(stale, ": ")
		s.Cases = append(s.Cases, junitCase{Class: "fakeentra.run", Name: "the expectation of " + where, Time: seconds(0), Failure: &junitMessage{Message: why, Type: "stale"}})
	}
	s.Tests = len(s.Cases)
	if s.Tests == 0 {
		return nil
	}
	return []junitSuite{s}
}

func junitArea(r *suite.Report, area string, named bool) junitSuite {
	s := newJUnitSuite(r, area, named)
	var took suite.Millis
	for _, result := range r.Results {
		if areaOf(result.ID) != area {
			continue
		}
		c := junitResult(r, result)
		took += result.Took
		s.Tests++
		switch {
		case c.Failure != nil:
			s.Failures++
		case c.Error != nil:
			s.Errors++
		case c.Skipped != nil:
			s.Skipped++
		}
		s.Cases = append(s.Cases, c)
	}
	s.Time = seconds(took)
	return s
}

func junitResult(r *suite.Report, result suite.Result) junitCase {
	c := junitCase{Class: "fakeentra." + areaOf(result.ID), Name: result.ID + " " + result.Title, Time: seconds(result.Took)}
	var texts []string
	for _, f := range findings(result) {
		texts = append(texts, f.String())
	}
	m := &junitMessage{Message: result.Why, Type: string(result.Verdict), Text: strings.Join(texts, "\n")}
	switch v := result.Verdict; {
	case v == suite.Pass:
		return c
	case v == suite.Fail, v == suite.Warn && r.Strict, v == suite.XPass:
		c.Failure = m
	case broken(v):
		c.Error = m
	default:
		c.Skipped = &junitMessage{Message: fmt.Sprintf("%s: %s", v, result.Why)}
	}
	c.Out = wire(result)
	return c
}

func seconds(m suite.Millis) string { return fmt.Sprintf("%.3f", float64(m)/1000) }

func areaOf(id string) string {
	area, _, _ := strings.Cut(id, "-")
	return area
}

// areasOf lists the areas of results, each once, in the order in which they come first.
func areasOf(results []suite.Result) []string {
	var all []string
	for _, r := range results {
		if area := areaOf(r.ID); !slices.Contains(all, area) {
			all = append(all, area)
		}
	}
	return all
}
