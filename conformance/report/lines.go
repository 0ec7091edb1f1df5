package report

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"

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

// readLines reads what follows the first line, which says how the run began.
func readLines(d *json.Decoder, report *suite.Report) (*suite.Report, error) {
	results := []suite.Result{}
	for {
		var line struct {
			Result *suite.Result `json:"result"`
			End    *suite.Report `json:"end"`
		}
		err := d.Decode(&line)
		switch {
		case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF): // the last line may be half there
			report.Incomplete = fmt.Sprintf("the run was killed; verdicts until then: %d", len(results))
		case err != nil:
			return nil, fmt.Errorf("it is not a report in JSON Lines: %w", err)
		case line.Result != nil:
			results = append(results, *line.Result)
			continue
		case line.End == nil:
			return nil, fmt.Errorf("line %d is neither a result nor the end of the run; expected the report of one run", len(results)+2)
		case d.More():
			return nil, errMore
		default:
			report = line.End
		}
		slices.SortFunc(results, func(a, b suite.Result) int { return number(a.ID) - number(b.ID) })
		report.Results = results
		return report, nil
	}
}

// bare is a report without results.
func bare(r *suite.Report) *suite.Report {
	short := *r
	short.Results = []suite.Result{}
	return &short
}
