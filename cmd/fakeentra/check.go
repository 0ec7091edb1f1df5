package main

import (
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/spf13/cobra"

	"github.com/fakeentra/fakeentra"
	"github.com/fakeentra/fakeentra/emulator/journal"
	"github.com/fakeentra/fakeentra/internal/scenario"
)

func checkCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "check [flags] FILE",
		Short:   "find the mistakes of a scenario",
		Example: "  fakeentra check my.yaml",
		Long: `Reads a scenario, a file or an embedded one, and names what is wrong with it:
what it cannot say, and the classic mistakes that Entra would refuse later, such
as a subject that is a client ID, or an issuer without /v2.0.

Without any, it prints the identifiers that the scenario yields, so that clients
can be configured with them.

The exit code is 0 if nothing was found, and 1 if something was.`,
		DisableFlagsInUseLine: true,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usage("for instance fakeentra check my.yaml", "check takes one scenario, but there are %d", len(args))
			}
			return nil
		},
		ValidArgsFunction: func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			if len(args) > 0 {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			return embeddedScenarios(), cobra.ShellCompDirectiveDefault
		},
		RunE: func(cmd *cobra.Command, args []string) error { return check(cmd.OutOrStdout(), args[0], asJSON) },
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print findings and identifiers as JSON")
	return cmd
}

// A finding is something wrong with a scenario.
type finding struct {
	Severity string `json:"severity"` // error or warning
	Line     int    `json:"line"`     // from 1; 0 if it is about the whole file
	Path     string `json:"path,omitempty"`
	Rule     string `json:"rule,omitempty"` // of a warning; stable
	Message  string `json:"message"`
}

// A verdict is what check says.
type verdict struct {
	Scenario    string       `json:"scenario"`
	Findings    []finding    `json:"findings"`
	Identifiers []identified `json:"identifiers,omitempty"`
	left        int          // further errors that were not listed
}

func check(w io.Writer, name string, asJSON bool) error {
	file, err := readScenario(name)
	if err != nil {
		return err
	}
	v, err := judge(file)
	if err != nil {
		return err
	}
	if asJSON {
		err = printJSON(w, v)
	} else {
		_, err = io.WriteString(w, v.String())
	}
	if err == nil && len(v.Findings) > 0 {
		return exitStatus(exitFailure)
	}
	return err
}

func judge(file scenarioFile) (verdict, error) {
	v := verdict{Scenario: file.name, Findings: []finding{}}
	operations, err := operations()
	if err != nil {
		return v, err
	}
	s, err := scenario.Parse(file.name, file.data, scenario.Operations(func() []journal.Op { return operations }))
	if err == nil {
		err = loads(file)
	}
	if e, ok := errors.AsType[*scenario.Error](err); ok {
		for _, p := range e.Problems {
			v.Findings = append(v.Findings, finding{Severity: "error", Line: p.Line, Path: p.Path, Message: p.Message})
		}
		v.left = e.Left
		return v, nil
	}
	if err != nil {
		return v, err
	}
	for _, w := range s.Lint() {
		v.Findings = append(v.Findings, finding{Severity: "warning", Line: w.Line, Path: w.Path, Rule: w.Rule, Message: w.Message})
	}
	if len(v.Findings) == 0 {
		v.Identifiers = identify(s)
	}
	return v, nil
}

// loads finds what only a cloud can tell: that it has no such refusal.
func loads(file scenarioFile) error {
	cloud, err := fakeentra.New(fakeentra.WithScenarioFile(file.name, file.data))
	if err != nil {
		return err
	}
	return cloud.Close()
}

// operations are those that fault rules can be about.
func operations() ([]journal.Op, error) {
	cloud, err := fakeentra.New()
	if err != nil {
		return nil, err
	}
	var ops []journal.Op
	for _, o := range cloud.Operations() {
		ops = append(ops, o.Op)
	}
	return slices.Compact(ops), cloud.Close() // some have several paths
}

// String returns a line for each finding, or the identifiers.
func (v verdict) String() string {
	if len(v.Findings) == 0 {
		return v.Scenario + ": nothing wrong\n" + table(v.Identifiers)
	}
	out := ""
	for _, f := range v.Findings {
		rule := ""
		if f.Rule != "" {
			rule = " [" + f.Rule + "]"
		}
		out += fmt.Sprintf("%s:%d: %s: %s%s\n", v.Scenario, f.Line, f.Severity, f.Message, rule)
	}
	if v.left > 0 {
		out += fmt.Sprintf("%s: and %d more errors\n", v.Scenario, v.left)
	}
	return out
}
