package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"
)

func healthCommand() *cobra.Command {
	var p plane
	cmd := &cobra.Command{
		Use:     "health [flags]",
		Short:   "tell whether a cloud is up, for container health checks",
		Example: `  fakeentra health --control http://127.0.0.1:8090`,
		Long: `Asks the control plane of a cloud whether it is up. The exit code is 0 if it is,
and 1 if it is not, or does not answer in time.`,
		DisableFlagsInUseLine: true,
		Args:                  noArguments,
		ValidArgsFunction:     cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, _ []string) error {
			client, err := p.client()
			if err != nil {
				return err
			}
			ctx, cancel := context.WithTimeout(cmd.Context(), p.timeout)
			defer cancel()
			health, err := client.Health(ctx)
			if err != nil {
				return p.explain(err)
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), health.Status, health.Scenario)
			return err
		},
	}
	p.flags(cmd, 5*time.Second)
	return cmd
}
