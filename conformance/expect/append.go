package expect

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/fakeentra/fakeentra/conformance/suite"
)

// header begins a new file.
const header = `# What the client is known not to meet, and why. It is refused to have no reason,
# and to be met after all: https://github.com/fakeentra/fakeentra
suite = ">=%s"
`

// Append adds the results that fail a run to a file, without reasons, and returns
// how many expectations that are: one for each verdict that the cases of a check have.
// It leaves what the file has as it is, and makes it if there is none.
func Append(name string, report *suite.Report) (int, error) {
	unexpected := slices.DeleteFunc(report.Unexpected(), func(r suite.Result) bool { return r.Verdict == suite.XPass })
	if len(unexpected) == 0 {
		return 0, nil
	}
	old, err := os.ReadFile(name)
	var more bytes.Buffer
	switch {
	case errors.Is(err, fs.ErrNotExist):
		fmt.Fprintf(&more, header, suite.Version)
	case err != nil:
		return 0, err
	case len(old) > 0 && !bytes.HasSuffix(old, []byte("\n")):
		more.WriteByte('\n')
	}
	added := 0
	for _, r := range unexpected {
		for _, v := range verdicts(r) {
			more.WriteString(drafted(r, v))
			added++
		}
	}
	if added == 0 { // the verdicts differ from run to run, and no case is to blame
		return 0, nil
	}
	if _, err := parse(name, slices.Concat(old, more.Bytes()), time.Time{}, true); err != nil {
		return 0, fmt.Errorf("%s cannot be added to: %w", name, err)
	}
	f, err := os.OpenFile(name, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return 0, err
	}
	_, err = f.Write(more.Bytes())
	return added, errors.Join(err, f.Close())
}

// verdicts are those of the cases of a result that nobody expects, each once.
func verdicts(r suite.Result) []suite.Verdict {
	var all []suite.Verdict
	for _, k := range r.Cases {
		for _, f := range findings(k) {
			if f.verdict != suite.Skip && f.verdict != suite.XFail && !slices.Contains(all, f.verdict) {
				all = append(all, f.verdict)
			}
		}
	}
	return all
}

// drafted is the expectation that a result has some cases with a verdict, without a
// reason.
func drafted(r suite.Result, v suite.Verdict) string {
	var b strings.Builder
	fmt.Fprintf(&b, "\n# %s: %s\n[[expect]]\ncheck = %q\n", r.Level, oneLine(r.Title+" -- "+why(r, v)), r.ID)
	if id := only(r, v); id != "" {
		fmt.Fprintf(&b, "assert = %s\n", strconv.Quote(id))
	}
	fmt.Fprintf(&b, "outcome = %q\nreason = \"\"\n", v)
	return b.String()
}

// why is what led to a verdict, the one of the result or that of some of its cases.
func why(r suite.Result, v suite.Verdict) string {
	for _, k := range r.Cases {
		if k.Verdict == v && v != r.Verdict {
			return k.Why
		}
	}
	return r.Why
}

// only returns the one condition that is not met in cases with a verdict, if there is
// only one.
func only(r suite.Result, v suite.Verdict) string {
	one := ""
	for _, k := range r.Cases {
		for _, f := range findings(k) {
			if f.verdict != v {
				continue
			}
			if f.condition == "" || one != "" && one != f.condition {
				return ""
			}
			one = f.condition
		}
	}
	return one
}

// maxComment is how long the comment on an expectation may be, in characters.
const maxComment = 200

// oneLine is text as it can stand in a comment.
func oneLine(text string) string {
	line := []rune(strings.Join(strings.FieldsFunc(text, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }), " "))
	if len(line) > maxComment {
		return string(line[:maxComment]) + " ..."
	}
	return string(line)
}
