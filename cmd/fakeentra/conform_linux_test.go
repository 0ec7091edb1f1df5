package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	conformreport "github.com/fakeentra/fakeentra/conformance/report"
	"github.com/fakeentra/fakeentra/conformance/schema"
	"github.com/fakeentra/fakeentra/conformance/suite"
)

// Ctrl-C ends a run, which writes down what it has found, and leaves no driver.
func TestConformRunIsInterrupted(t *testing.T) {
	needNamespaces(t)
	for _, signal := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM} {
		t.Run(signal.String(), func(t *testing.T) {
			t.Parallel()
			interrupt(t, signal)
		})
	}
}

func interrupt(t *testing.T, signal syscall.Signal) {
	folder := t.TempDir()
	report, stream := filepath.Join(folder, "report.json"), filepath.Join(folder, "report.jsonl")
	cmd := exec.CommandContext(t.Context(), "fakeentra", "conform", "run", "--jobs", "1", "--only", "IMDS-01,IMDS-02", "--report", report+","+stream, "--", "driver", "until", "IMDS-02", folder)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	sent := false
	for lines := bufio.NewScanner(stdout); lines.Scan(); {
		if strings.HasPrefix(lines.Text(), "pass ") {
			sent = true
			if got := members(t, stream); got != "begin result" {
				t.Errorf("while it runs, the lines are %s", got)
			}
			if err := cmd.Process.Signal(signal); err != nil {
				t.Fatal(err)
			}
		}
	}
	exit, ok := errors.AsType[*exec.ExitError](cmd.Wait())
	if !sent || !ok || exit.ExitCode() != exitFailure || stderr.String() != "fakeentra: the run was interrupted when 1 of 2 checks had their verdict\n" {
		t.Errorf("it ended with %v: %s", exit, stderr.String())
	}
	text, err := os.ReadFile(report)
	if err != nil {
		t.Fatal(err)
	}
	got, err := conformreport.Read(bytes.NewReader(text))
	if err := errors.Join(err, schema.Report(text)); err != nil {
		t.Fatal(err)
	}
	if len(got.Results) != 1 || got.Results[0].ID != "IMDS-01" || got.Results[0].Verdict != suite.Pass || got.Standings != nil {
		t.Errorf("the report has %+v", got.Results)
	}
	if got.Incomplete != "the run ended when 1 of 2 checks had their verdict: it was interrupted" {
		t.Errorf("it is incomplete for %q", got.Incomplete)
	}
	if got := members(t, stream); got != "begin result end" {
		t.Errorf("in the end, the lines are %s", got)
	}
	if left := commandLines(t, folder); len(left) > 0 {
		t.Errorf("left running: %q", left)
	}
}

// members names what is in the lines of a report.
func members(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for line := range bytes.Lines(text) {
		var one map[string]any
		if err := json.Unmarshal(line, &one); err != nil {
			t.Fatal(err)
		}
		names = slices.AppendSeq(names, maps.Keys(one))
	}
	return strings.Join(names, " ")
}

// commandLines lists the command lines that have an argument.
func commandLines(t *testing.T, argument string) []string {
	t.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil || len(files) == 0 {
		t.Fatalf("there is no /proc: %v", err)
	}
	var all []string
	for _, file := range files {
		line, err := os.ReadFile(file)
		if err == nil && strings.Contains("\x00"+string(line), "\x00"+argument+"\x00") { // else it has ended
			all = append(all, strings.ReplaceAll(string(line), "\x00", " "))
		}
	}
	return all
}
