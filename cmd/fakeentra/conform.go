package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/fakeentra/fakeentra/conformance/driver"
	"github.com/fakeentra/fakeentra/conformance/suite"
)

func conformCommand() *cobra.Command {
	return group(&cobra.Command{
		Use:   "conform COMMAND",
		Short: "check whether a client does the exchange as it should",
		Example: `  fakeentra conform smoke -- node driver.mjs
  fakeentra conform run --report report.json -- node driver.mjs`,
		Long: `Puts a client, in any language, to the checks of the conformance suite. It is
judged by what it sends, and by what it makes of the answers, and needs not be
changed: a small driver that you write tells it what to do. The driver reads
requests in JSON, a line each, from standard input, and answers each of them
with a line on standard output.`,
	}, conformListCommand(), conformExplainCommand(), conformInitCommand(), conformSmokeCommand(), conformRunCommand(), conformServeCommand(), conformMergeCommand(), conformXfailCommand(), conformSchemaCommand())
}

// group makes a command that only has others.
func group(cmd *cobra.Command, others ...*cobra.Command) *cobra.Command {
	cmd.Args = func(cmd *cobra.Command, args []string) error {
		if len(args) > 0 {
			return unknownCommand(cmd, args[0])
		}
		return nil
	}
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
	cmd.DisableFlagsInUseLine = true
	cmd.AddCommand(others...)
	return cmd
}

// A selecting is what commands are told about the checks that are wanted.
type selecting struct{ only, skip, tags, levels, costs []string }

func (s *selecting) flags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringSliceVar(&s.only, "only", nil, "take the checks with an `ID` alone, such as AST-13, or IMDS-* for all of a kind; several are separated by commas")
	f.StringSliceVar(&s.skip, "skip", nil, "leave out the checks with an `ID`")
	f.StringSliceVar(&s.tags, "tag", nil, "take the checks with a `TAG` alone, such as core or sec")
	f.StringSliceVar(&s.levels, "level", nil, "take the checks of a `LEVEL` alone: MUST, SHOULD or MAY")
	f.StringSliceVar(&s.costs, "cost", nil, "take the checks of a `COST` alone: fast (under 3 s), timed (15 s) or slow (2 min)")
	complete(cmd, "only", checkIDs, cobra.ShellCompDirectiveNoFileComp)
	complete(cmd, "skip", checkIDs, cobra.ShellCompDirectiveNoFileComp)
	complete(cmd, "tag", suite.Tags, cobra.ShellCompDirectiveNoFileComp)
	complete(cmd, "level", func() []string { return []string{"MUST", "SHOULD", "MAY"} }, cobra.ShellCompDirectiveNoFileComp)
	complete(cmd, "cost", func() []string { return []string{"fast", "timed", "slow"} }, cobra.ShellCompDirectiveNoFileComp)
}

func checkIDs() []string {
	var ids []string
	for _, c := range suite.Checks() {
		ids = append(ids, c.ID)
	}
	return ids
}

// exitNothing is the exit code of a run of no checks.
const exitNothing = 4

// checks returns the checks that are wanted.
func (s *selecting) checks() ([]*suite.Check, error) {
	selection := suite.Selection{IDs: s.only, Skip: s.skip, Tags: s.tags}
	for _, level := range s.levels {
		selection.Levels = append(selection.Levels, suite.Level(strings.ToUpper(level)))
	}
	for _, cost := range s.costs {
		selection.Costs = append(selection.Costs, suite.Cost(strings.ToLower(cost)))
	}
	checks, err := suite.Select(selection)
	if err != nil {
		f := explain(err)
		return nil, usage(f.hint, "%s", f.text)
	}
	if len(checks) == 0 {
		return nil, &failure{exitNothing, "no check is all that was asked for", "leave out one of --only, --skip, --tag, --level and --cost"}
	}
	return checks, nil
}

func conformListCommand() *cobra.Command {
	var s selecting
	var asJSON bool
	cmd := &cobra.Command{
		Use:                   "list [flags]",
		Short:                 "list the checks",
		Example:               "  fakeentra conform list --level MUST --tag core",
		Long:                  "Lists the checks of the conformance suite: ID, level, cost, tags and title.",
		DisableFlagsInUseLine: true,
		Args:                  noArguments,
		ValidArgsFunction:     cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, _ []string) error {
			checks, err := s.checks()
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(cmd.OutOrStdout(), listed(checks))
			}
			return listChecks(cmd.OutOrStdout(), checks)
		},
	}
	cmd.Flags().SortFlags = false
	s.flags(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print them as JSON, with all that is known of them")
	return cmd
}

func listChecks(w io.Writer, checks []*suite.Check) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, c := range checks {
		_, _ = fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\n", c.ID, c.Level, c.Takes(), strings.Join(c.Tags, ","), c.Title)
	}
	return t.Flush()
}

// A listedCheck is a check as it is printed.
type listedCheck struct {
	ID          string              `json:"id"`
	Level       suite.Level         `json:"level"`
	Tags        []string            `json:"tags"`
	Cost        suite.Cost          `json:"cost"`
	Title       string              `json:"title"`
	Requirement string              `json:"requirement"`
	Provokes    string              `json:"provokes"`
	Passes      string              `json:"passes"`
	Sources     []string            `json:"sources"`
	Needs       []driver.Capability `json:"needs,omitempty"`
	Known       []string            `json:"known,omitempty"`
	Cases       []string            `json:"cases,omitempty"`
}

func listed(checks []*suite.Check) []listedCheck {
	out := []listedCheck{}
	for _, c := range checks {
		l := listedCheck{
			ID: c.ID, Level: c.Level, Tags: c.Tags, Cost: c.Takes(), Title: c.Title, Requirement: c.Requirement,
			Provokes: c.Provokes, Passes: c.Passes, Sources: c.Sources, Needs: c.Needs, Known: c.Known,
		}
		for _, k := range c.Cases {
			if k.Name != "" {
				l.Cases = append(l.Cases, k.Name)
			}
		}
		out = append(out, l)
	}
	return out
}

func conformExplainCommand() *cobra.Command {
	return &cobra.Command{
		Use:                   "explain ID",
		Short:                 "show what a check requires, and why",
		Example:               "  fakeentra conform explain IMDS-10",
		Long:                  "Shows what a check requires and who says so, what is done to the client to see\nwhether it meets it, and which releases of clients are known not to.",
		DisableFlagsInUseLine: true,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usage("for instance fakeentra conform explain IMDS-10", "explain takes the ID of one check, but there are %d", len(args))
			}
			return nil
		},
		ValidArgsFunction: func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			if len(args) > 0 {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			return checkIDs(), cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			c := suite.Find(strings.ToUpper(args[0]))
			if c == nil {
				return usage("fakeentra conform list lists them", "no check is called %q", args[0])
			}
			_, err := io.WriteString(cmd.OutOrStdout(), explained(c))
			return err
		},
	}
}

// explained lays a check out for people.
func explained(c *suite.Check) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s: %s\n\n", c.ID, c.Level, c.Title)
	b.WriteString(wrapped("Requirement", c.Requirement))
	b.WriteString(wrapped("Done to it", c.Provokes))
	b.WriteString(wrapped("Met if", c.Passes))
	for _, k := range c.Cases {
		if k.Name != "" {
			b.WriteString(wrapped("Case", k.Name))
		}
	}
	for _, source := range c.Sources {
		b.WriteString(wrapped("Source", source))
	}
	for _, known := range c.Known {
		b.WriteString(wrapped("Known", known))
	}
	b.WriteString(wrapped("Takes", map[suite.Cost]string{suite.Fast: "less than 3 s", suite.Timed: "up to 15 s, most of which it waits", suite.Slow: "up to 2 min, most of which it waits"}[c.Takes()]))
	b.WriteString(wrapped("Tags", strings.Join(c.Tags, ", ")))
	b.WriteString(wrapped("Alone", "fakeentra conform run --only "+c.ID+" -- DRIVER"))
	return b.String()
}

// wrapped is a name and a text, in lines that fit a terminal.
func wrapped(name, text string) string {
	const indent = 13
	var b strings.Builder
	line := fmt.Sprintf("%-*s", indent, name)
	for _, word := range strings.Fields(text) {
		if len(line)+len(word) > width-1 && strings.TrimSpace(line) != "" && len(line) > indent {
			b.WriteString(strings.TrimRight(line, " ") + "\n")
			line = strings.Repeat(" ", indent)
		}
		line += word + " "
	}
	return b.String() + strings.TrimRight(line, " ") + "\n"
}
