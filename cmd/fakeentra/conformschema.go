package main

import (
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/fakeentra/fakeentra/conformance/schema"
)

func conformSchemaCommand() *cobra.Command {
	names := strings.Join(schema.Names(), ", ")
	return &cobra.Command{
		Use:   "schema NAME",
		Short: "print a JSON Schema of the suite",
		Example: `  fakeentra conform schema report >report.schema.json
  fakeentra conform schema answer`,
		Long: `Prints a JSON Schema (draft 2020-12): of the lines that a driver reads
(request), of those that it writes (answer), or of reports (report). In the
last, $defs/line is a line of a report in .jsonl.`,
		DisableFlagsInUseLine: true,
		ValidArgs:             schema.Names(),
		Args: func(_ *cobra.Command, args []string) error {
			const hint = "for instance fakeentra conform schema report"
			if len(args) != 1 {
				return usage(hint, "schema takes the name of one schema, but there are %d; expected one of %s", len(args), names)
			}
			if !slices.Contains(schema.Names(), args[0]) {
				return usage(hint, "there is no schema %q; expected one of %s", args[0], names)
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			_, err := cmd.OutOrStdout().Write(schema.Text(args[0]))
			return err
		},
	}
}
