package report

import (
	_ "embed"
	"encoding/json"
	"io"
	"strings"

	"github.com/fakeentra/fakeentra/conformance/suite"
)

//go:embed page.html
var page string

// A pageCheck is what the page says of a check.
type pageCheck struct {
	ID, Title, Requirement, Provokes, Passes string
	Level                                    suite.Level
	Tags, Sources, Known                     []string
}

type pageData struct {
	Reports []*suite.Report `json:"reports"`
	Checks  []pageCheck     `json:"checks"`
	Before  []*suite.Report `json:"before,omitempty"`
}

// HTML writes a page of its own, which loads nothing: a table of clients and
// checks, in which each cell opens what happened as a diagram. before holds earlier
// reports of the same clients, whose verdicts it compares with; it may be nil.
func HTML(w io.Writer, before []*suite.Report, reports ...*suite.Report) error {
	data := pageData{Reports: reports, Before: verdictsOnly(before)}
	there := map[string]bool{}
	for _, r := range reports {
		for _, result := range r.Results {
			there[result.ID] = true
		}
	}
	for _, c := range suite.Checks() {
		if there[c.ID] {
			data.Checks = append(data.Checks, pageCheck{c.ID, c.Title, c.Requirement, c.Provokes, c.Passes, c.Level, c.Tags, c.Sources, c.Known})
		}
	}
	raw, err := json.Marshal(data) // escapes <, so that no text can end the script
	if err != nil {
		return err
	}
	head, tail, _ := strings.Cut(page, "{{.}}") // a template would link much more
	for _, part := range []string{head, string(raw), tail} {
		if _, err := io.WriteString(w, part); err != nil {
			return err
		}
	}
	return nil
}

// verdictsOnly leaves the exchanges out.
func verdictsOnly(reports []*suite.Report) []*suite.Report {
	var out []*suite.Report
	for _, r := range reports {
		short := *r
		short.Results = nil
		for _, result := range r.Results {
			result.Cases = nil
			short.Results = append(short.Results, result)
		}
		out = append(out, &short)
	}
	return out
}
