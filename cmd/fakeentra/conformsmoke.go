package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/fakeentra/fakeentra/conformance/driver"
	"github.com/fakeentra/fakeentra/conformance/schema"
	"github.com/fakeentra/fakeentra/conformance/suite"
)

func conformSmokeCommand() *cobra.Command {
	var times scale
	var w wired
	cmd := &cobra.Command{
		Use:     "smoke [flags] -- DRIVER [ARG]...",
		Short:   "check whether a driver works",
		Example: "  fakeentra conform smoke -- node driver.mjs",
		Long: `Checks whether a driver works, which says nothing of the client yet: it has to
say who it is, to get a token, and to say so when the token service refuses. All
that it writes has to be as the JSON Schema of the protocol has it.

The exit code is 0 if it works.`,
		DisableFlagsInUseLine: true,
		Args:                  driverArguments,
		RunE:                  func(cmd *cobra.Command, args []string) error { return smoke(cmd, args, w, times) },
	}
	cmd.Flags().SortFlags = false
	cmd.Flags().SetInterspersed(false)
	w.flags(cmd)
	times.flag(cmd)
	return cmd
}

// inspect compares a message with its schema.
func inspect(op driver.Op, request, answer []byte) error {
	if answer != nil {
		return schema.Answer(op, answer)
	}
	return schema.Request(request)
}

func smoke(cmd *cobra.Command, args []string, w wired, times scale) error {
	for _, check := range []func() error{times.check, w.check} {
		if err := check(); err != nil {
			return err
		}
	}
	target, err := w.target(args, 0, float64(times), inspect)
	if err != nil {
		return err
	}
	ctx, stop := untilSignal(cmd.Context())
	defer stop()
	p := newConformPrinter(cmd.OutOrStdout(), w.leading(), args, false)
	p.again = "fakeentra conform smoke"
	seed := suite.DefaultSeed
	if w.driver != "" {
		seed = newSeed()
	}
	report, err := suite.Run(ctx, target, suite.Options{
		Checks: suite.Smoke(), Seed: seed, Jobs: 1, Scale: float64(times),
		Met: func(r *suite.Report) {
			p.driver(r)
			p.wiring(r)
			p.line(suite.Result{ID: "SMOKE-0", Level: suite.Must, Verdict: suite.Pass, Title: "the driver says who it is"})
		},
		Done: p.done,
	})
	if err != nil {
		return notRun(ctx, err)
	}
	for _, result := range report.Results {
		if result.Verdict == suite.Skip {
			return failed("declare one of imds, appservice, servicefabric and azureml with identity.client_id, or arc with identity.system", "the driver can get a token from no source: %s", result.Why)
		}
	}
	if len(report.Unexpected()) > 0 {
		return exitStatus(exitFailure)
	}
	_, err = fmt.Fprintln(cmd.OutOrStdout(), "the driver works; next: fakeentra conform run "+p.command)
	return err
}
