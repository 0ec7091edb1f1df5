package report

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/fakeentra/fakeentra/conformance/schema"
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

// readLines reads a report in lines, of which the first one is text, and those that
// follow are to be decoded.
func readLines(d *json.Decoder, text json.RawMessage) (*suite.Report, error) {
	var line struct {
		Begin  *suite.Report `json:"begin"`
		Result *suite.Result `json:"result"`
		End    *suite.Report `json:"end"`
	}
	if err := unmarshal(text, schema.Line, &line); err != nil {
		return nil, wrongLine(1, err)
	}
	report, results, seen := line.Begin, []suite.Result{}, newSeen(line.Begin)
	for {
		n := len(results) + 2
		line.Begin, line.Result, line.End = nil, nil, nil
		err := d.Decode(&text)
		killed := errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) // the last line may be half there
		if err == nil {
			err = unmarshal(text, schema.Line, &line)
		} else if !killed {
			return nil, fmt.Errorf("it is not a report in JSON Lines: %w", err)
		}
		switch {
		case killed:
			report.Incomplete = fmt.Sprintf("the run was killed; verdicts until then: %d", len(results))
		case err != nil:
			return nil, wrongLine(n, err)
		case line.Result != nil:
			if err := seen.add(line.Result.ID); err != nil {
				return nil, wrongLine(n, fmt.Errorf("at %q: %w", "/result/id", err))
			}
			results = append(results, *line.Result)
			continue
		case line.End == nil:
			return nil, fmt.Errorf("line %d is neither a result nor the end of the run; expected the report of one run", n)
		case follows(d):
			return nil, errMore
		case line.End.Suite != report.Suite:
			return nil, wrongLine(n, fmt.Errorf("at %q: expected what the first line has", "/end/suite"))
		default:
			report = line.End
		}
		slices.SortStableFunc(results, inOrder)
		report.Results = results
		return report, nil
	}
}

func wrongLine(n int, err error) error {
	return fmt.Errorf("it is not a report in JSON Lines: line %d: %w", n, err)
}

// inOrder compares two results by the order of the catalogue. Those of other
// catalogues come last, by their ID.
func inOrder(a, b suite.Result) int {
	x, y := number(a.ID), number(b.ID)
	if x < 0 || y < 0 {
		return cmp.Or(cmp.Compare(y, x), strings.Compare(a.ID, b.ID)) // one is -1
	}
	return cmp.Compare(x, y)
}

// bare is a report without results.
func bare(r *suite.Report) *suite.Report {
	short := *r
	short.Results = []suite.Result{}
	return &short
}
