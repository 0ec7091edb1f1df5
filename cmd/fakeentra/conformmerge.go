package main

import (
	"slices"
	"strings"

	"github.com/spf13/cobra"

	conformreport "github.com/fakeentra/fakeentra/conformance/report"
	"github.com/fakeentra/fakeentra/conformance/suite"
)

func conformMergeCommand() *cobra.Command {
	r := &reporting{}
	cmd := &cobra.Command{
		Use:   "merge --report FILE REPORT...",
		Short: "join the reports of shards and of clients",
		Example: `  fakeentra conform merge --report all.json shard-*.json
  fakeentra conform merge --report clients.html python.json node.json`,
		Long: `Joins reports in JSON or JSON Lines. Those about one client are parts of one
run, as --shard makes them: the same checks, seed and versions, none twice and
none missing. Those about several clients are put side by side, and have a
folder of their own in those of --har and --badges.

A report of another version's catalogue of checks stays as it is, which is said:
its levels and expectations are those that it names. Parts of one are refused.

Exit codes, as of conform run: 0 if all is as it has to be, 1 if a report says
that it is not, or that its run was interrupted, and 2 if an expectation came to
nothing in all shards, or the reports do not belong together.`,
		DisableFlagsInUseLine: true,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usage("for instance fakeentra conform merge --report all.json shard-*.json", "there are no reports to merge")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(r.files) == 0 {
				return usage("for instance --report all.html", "--report is missing: there is nowhere to write to")
			}
			if err := r.check(); err != nil {
				return err
			}
			merged, err := mergeFiles(args)
			if err == nil {
				err = r.checkSeveral(len(merged))
			}
			if err != nil {
				return err
			}
			for _, one := range merged {
				if conformreport.Foreign(one) {
					warn(cmd.ErrOrStderr(), "run it anew to have it judged by this one", "the report on %s is of the catalogue of checks %s, and this version of fakeentra has %s: it stays as it is", clientOf(one), conformreport.Visible(one.Suite.Digest), suite.Digest())
				}
				p := newConformPrinter(cmd.OutOrStdout(), one.Flags, one.Command, false)
				p.driver(one)
				p.end(one)
			}
			return unwritten(cmd.ErrOrStderr(), r.write(cmd.Context(), cmd.OutOrStdout(), merged[0].Command, merged...), concluded(merged...))
		},
	}
	cmd.Flags().SortFlags = false
	r.flags(cmd)
	return cmd
}

// clientOf names the client of a report.
func clientOf(r *suite.Report) string {
	return conformreport.Visible(strings.TrimSpace(r.Driver.Implementation.Name + " " + r.Driver.Implementation.Version))
}

// mergeFiles reads reports, and joins those about one client.
func mergeFiles(files []string) ([]*suite.Report, error) {
	var clients []string
	parts := map[string][]*suite.Report{}
	names := map[string][]string{} // of files
	for _, file := range files {
		one, err := readReport(file)
		if err != nil {
			return nil, err
		}
		i := one.Driver.Implementation
		client := i.Language + " " + i.Name + " " + i.Version + " " + i.Runtime
		if !slices.Contains(clients, client) {
			clients = append(clients, client)
		}
		parts[client] = append(parts[client], one)
		names[client] = append(names[client], file)
	}
	var merged []*suite.Report
	for _, client := range clients {
		one, err := conformreport.Merge(parts[client]...)
		if err != nil {
			return nil, usage("merge the shards of one run with one --seed, or one report of each client", "of %s: %v", strings.Join(names[client], ", "), err)
		}
		merged = append(merged, one)
	}
	if different := slices.ContainsFunc(merged, func(r *suite.Report) bool { return r.Suite.Digest != merged[0].Suite.Digest }); different {
		return nil, usage("run them with one version of fakeentra", "the reports are of different catalogues of checks")
	}
	return merged, nil
}
