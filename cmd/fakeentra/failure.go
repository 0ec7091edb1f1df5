package main

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/fakeentra/fakeentra/internal/scenario"
)

// Everything that this program complains about is said in one voice: in lower
// case, without a full stop, after "fakeentra: ", and then, where there is a
// next step, a line that begins with "hint: ".

// The exit codes. Those of run follow env(1) and timeout(1), so that they can be
// told from what the command itself returns.
const (
	exitFailure       = 1
	exitUsage         = 2
	exitRun           = 125 // run itself failed
	exitNotExecutable = 126
	exitNotFound      = 127
)

// A failure is an error with what to do about it.
type failure struct {
	code       int
	text, hint string
}

// Error returns what went wrong.
func (f *failure) Error() string { return f.text }

// usage says that the program was called in a wrong way.
func usage(hint, format string, args ...any) error {
	return &failure{exitUsage, fmt.Sprintf(format, args...), hint}
}

// failed says that something else went wrong.
func failed(hint, format string, args ...any) error {
	return &failure{exitFailure, fmt.Sprintf(format, args...), hint}
}

// An exitStatus ends the program with a code when everything has been said.
type exitStatus int

// Error is never shown.
func (s exitStatus) Error() string { return fmt.Sprintf("exit status %d", int(s)) }

// report says what went wrong and returns the exit code of the program.
func report(w io.Writer, cmd *cobra.Command, err error) int {
	if err == nil {
		return 0
	}
	if status, ok := errors.AsType[exitStatus](err); ok {
		return int(status)
	}
	f := explain(err)
	complain(w, f)
	if cmd.CommandPath() == "fakeentra run" && f.code <= exitUsage {
		return exitRun
	}
	return f.code
}

// explain makes a failure of any error. Those of the library say what was wrong
// and, after a semicolon, what would have been right.
func explain(err error) *failure {
	if f, ok := errors.AsType[*failure](err); ok {
		return f
	}
	if e, ok := errors.AsType[*scenario.Error](err); ok {
		return &failure{exitFailure, fmt.Sprintf("the scenario %s cannot be used\n%v", e.Name, e), ""}
	}
	text, hint := hinted(strings.TrimPrefix(err.Error(), "fakeentra: "))
	return &failure{exitFailure, text, hint}
}

// hinted takes a text apart at its first semicolon, but for those in what it quotes
// (strconv.Quote), which may be anyone's words.
func hinted(text string) (before, hint string) {
	for i := 0; i < len(text); {
		if quoted, err := strconv.QuotedPrefix(text[i:]); err == nil && text[i] == '"' {
			i += len(quoted)
			continue
		}
		if strings.HasPrefix(text[i:], "; ") {
			return text[:i], text[i+len("; "):]
		}
		i++
	}
	return text, ""
}

// complain writes a failure.
func complain(w io.Writer, f *failure) {
	_, _ = fmt.Fprintf(w, "fakeentra: %s\n", f.text)
	if f.hint != "" {
		_, _ = fmt.Fprintf(w, "hint: %s\n", f.hint)
	}
}

// warn says what went wrong and was put up with.
func warn(w io.Writer, hint, format string, args ...any) {
	complain(w, &failure{0, "warning: " + fmt.Sprintf(format, args...), hint})
}

// cause returns an error without the operation and the file name that the
// message around it says already.
func cause(err error) error {
	for inner := errors.Unwrap(err); inner != nil; inner = errors.Unwrap(err) {
		err = inner
	}
	return err
}
