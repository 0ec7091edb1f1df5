package report

import (
	"encoding/json"
	"io"

	"github.com/fakeentra/fakeentra/conformance/suite"
)

// Lines writes a report while it comes about, in JSON Lines: each is an object with
// one member. Its methods may be called from one goroutine at a time.
type Lines struct{ e *json.Encoder }

// NewLines writes to w, a line at a time.
func NewLines(w io.Writer) Lines {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	return Lines{e}
}

// Begin writes who the client is: the member begin is the report without results.
func (l Lines) Begin(r *suite.Report) error {
	return l.e.Encode(map[string]*suite.Report{"begin": bare(r)})
}

// Result writes the verdict on a check, as the member result.
func (l Lines) Result(r suite.Result) error {
	return l.e.Encode(map[string]suite.Result{"result": r})
}

// End writes what is known when the run is over: the member end is the report
// without results. A file without it is of a run that was killed.
func (l Lines) End(r *suite.Report) error {
	return l.e.Encode(map[string]*suite.Report{"end": bare(r)})
}

// All writes a report that is there already.
func (l Lines) All(r *suite.Report) error {
	if err := l.Begin(r); err != nil {
		return err
	}
	for _, result := range r.Results {
		if err := l.Result(result); err != nil {
			return err
		}
	}
	return l.End(r)
}

// bare is a report without results.
func bare(r *suite.Report) *suite.Report {
	short := *r
	short.Results = []suite.Result{}
	return &short
}
