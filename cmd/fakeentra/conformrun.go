package main

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	conformreport "github.com/fakeentra/fakeentra/conformance/report"
	"github.com/fakeentra/fakeentra/conformance/suite"
)

// The exit codes of conform run, besides those of all commands.
const (
	exitBroken      = 3 // the driver crashed or broke the protocol, so that the run was stopped
	exitUnavailable = 5 // this machine cannot have the wiring
)

// A conformer is what conform run is told.
type conformer struct {
	selecting
	expecting
	strict  bool
	jobs    int
	shard   shard
	seed    string
	scale   float64
	repeat  int
	chaos   string
	shuffle string
	memory  string
	verbose bool
	wired
	reporting
}

// A wired is what commands are told about how the driver is led to the suite.
type wired struct{ wiring, image, engine string }

func (w *wired) flags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&w.wiring, "wiring", suite.Auto, "`WAY` of leading the driver to the suite: "+strings.Join(suite.CommandWirings(), ", "))
	cmd.Flags().StringVar(&w.image, "image", "", "run the driver in containers of `IMAGE`, as --wiring docker does in containers with this machine's files")
	cmd.Flags().StringVar(&w.engine, "engine", "docker", "`PROGRAM` that starts containers: docker or podman")
	complete(cmd, "wiring", suite.CommandWirings, cobra.ShellCompDirectiveNoFileComp)
	complete(cmd, "engine", func() []string { return []string{"docker", "podman"} }, cobra.ShellCompDirectiveDefault)
}

// check refuses what is no wiring.
func (w *wired) check() error {
	if !slices.Contains(suite.CommandWirings(), w.wiring) {
		return usage("fakeentra conform run --help tells what they are", "--wiring is %q; expected one of %s", w.wiring, strings.Join(suite.CommandWirings(), ", "))
	}
	if w.image == "" {
		return nil
	}
	if w.wiring != suite.Auto && w.wiring != suite.Docker {
		return usage("leave one of them out", "--image is for --wiring docker, but --wiring is %s", w.wiring)
	}
	w.wiring = suite.Docker
	return nil
}

// arguments is what leads to a driver, for a shell.
func (w *wired) arguments(args []string) string {
	var flags []string
	switch {
	case w.image != "":
		flags = append(flags, "--image", w.image)
	case w.wiring == suite.Docker:
		flags = append(flags, "--wiring", w.wiring)
	}
	if w.wiring == suite.Docker && w.engine != "docker" {
		flags = append(flags, "--engine", w.engine)
	}
	if len(args) > 0 {
		flags = append(append(flags, "--"), args...)
	}
	return quoted(flags)
}

// command returns a driver with its wiring.
func (w *wired) command(args []string) (suite.Command, error) {
	c := suite.Command{Args: args, Wiring: w.wiring, Image: w.image, Engine: w.engine}
	if w.image != "" { // the driver is in there
		return c, nil
	}
	var err error
	c.Path, err = findDriver(args[0])
	return c, err
}

// driverArguments refuses a command line without a driver. An image may have one.
func driverArguments(cmd *cobra.Command, args []string) error {
	if image := cmd.Flags().Lookup("image"); len(args) == 0 && (image == nil || !image.Changed) {
		return usage("for instance "+cmd.CommandPath()+" -- node driver.mjs", "there is no driver to run")
	}
	return nil
}

func conformRunCommand() *cobra.Command {
	c := &conformer{}
	cmd := &cobra.Command{
		Use:   "run [flags] -- DRIVER [ARG]...",
		Short: "put a client to the checks",
		Example: `  fakeentra conform run -- node driver.mjs
  fakeentra conform run --only 'IMDS-*' --strict --report r.json -- ./driver
  fakeentra conform run --image my-driver`,
		Long: `Puts the client that a driver drives to the checks, and tells what it does not
do as it should, and how to see it again.

Each case of a check has a cloud of its own, and a process of the driver. How it
is led to the cloud is the wiring:

  netns     as under "fakeentra run --mode netns": with the names and addresses
            of production, and no network besides; every check
  docker    likewise in a container, of --image or with this machine's files,
            where Docker Engine or Podman runs here; every check
  explicit  by URLs in its configuration (not available yet)
  attach    likewise, started by hand (not available yet)
  auto      netns if this machine permits it, or else explicit

Checks that a wiring cannot have are skipped, and the report says which.

The driver's home and its folder for temporary files are empty. It inherits the
environment, but for what leads Azure clients elsewhere and all that begins with
AZURE_ or XDG_. With --image it has that of the image, whose entry point goes
before it, and whose command it is if there is none.

A MUST that is not met fails the run; a SHOULD is a warning, unless --strict;
a MAY is for information. What could not be provoked is inconclusive, which
fails the run, too. What the client is known not to meet may be listed in a file
(see "fakeentra conform xfail"): then it is xfail where it is not met, which
fails nothing, and xpass where it is, which does.

Exit codes: 0 if all is as it has to be, and 1 if it is not; 2 if the command
line, or the list of what is known, is wrong; 3 if the driver crashed, or broke
the protocol, before any check could begin; 4 if no check is selected; 5 if this
machine cannot have the wiring; "fakeentra doctor" tells how to mend netns.`,
		DisableFlagsInUseLine: true,
		Args:                  driverArguments,
		RunE:                  func(cmd *cobra.Command, args []string) error { return c.run(cmd, args) },
	}
	f := cmd.Flags()
	f.SortFlags = false
	f.SetInterspersed(false) // what follows the driver is its own
	c.runFlags(cmd)
	f.StringVar(&c.xpass, "xpass", xpasses[0], "what becomes of a check that is met, although it was expected not to be: `fail` or warn")
	complete(cmd, "xpass", func() []string { return xpasses }, cobra.ShellCompDirectiveNoFileComp)
	c.reporting.flags(cmd)
	return cmd
}

// runFlags are those of all commands that run checks.
func (c *conformer) runFlags(cmd *cobra.Command) {
	f := cmd.Flags()
	c.selecting.flags(cmd)
	c.expecting.flags(cmd)
	c.wired.flags(cmd)
	f.BoolVar(&c.strict, "strict", false, "fail for a SHOULD that is not met")
	f.IntVar(&c.jobs, "jobs", 0, "run `N` cases at once (default: twelve for each processor, up to 32, since they mostly wait)")
	f.Var(&c.shard, "shard", "take the `I/N`-th part of the checks, such as 2/5, which the IDs decide on")
	f.StringVar(&c.seed, "seed", suite.DefaultSeed, "`TEXT` that identifiers and keys are derived from")
	f.Float64Var(&c.scale, "timeout-scale", 1, "give the driver `FACTOR` times as long to answer, on a slow machine")
	f.IntVar(&c.repeat, "repeat", 1, "run each check `N` times, and expect the same verdict")
	f.StringVar(&c.shuffle, "shuffle", "", "run the cases in an order that `TEXT` decides on")
	f.StringVar(&c.chaos, "chaos", "", "disturb answers by what clients have to ignore, which `TEXT` decides on: unknown members and headers, another order, and delays")
	f.StringVar(&c.memory, "max-memory", "2g", "end a driver that takes more memory than `SIZE`; 0 permits any")
	f.BoolVarP(&c.verbose, "verbose", "v", false, "show the requests of each check, also of one that is met")
}

func (c *conformer) run(cmd *cobra.Command, args []string) error {
	checks, target, err := c.prepare(args)
	if err != nil {
		return err
	}
	known, file, err := c.load(args)
	if err != nil {
		return err
	}
	ctx, stop := untilSignal(cmd.Context())
	defer stop()
	p := newConformPrinter(cmd.OutOrStdout(), c.wired, args, c.verbose)
	o := c.options(p, checks)
	if known != nil {
		o.Expected = known
		p.expectations = fmt.Sprintf("%d in %s", known.Len(), file)
	}
	lines, err := c.stream()
	if err != nil {
		return err
	}
	o.Met = func(r *suite.Report) {
		r.Command, r.Shard = args, c.shard.String()
		lines.each(func(l conformreport.Lines) error { return l.Begin(r) })
		p.begin(r, len(checks), c.jobs)
	}
	o.Done = func(r suite.Result) {
		lines.each(func(l conformreport.Lines) error { return l.Result(r) })
		p.done(r)
	}
	report, err := suite.Run(ctx, target, o)
	p.stop()
	if report == nil {
		_ = lines.end(nil) // there are no more
		return notRun(ctx, err)
	}
	written := lines.end(report)
	p.end(report)
	if written != nil {
		return written
	}
	if err := c.write(cmd.OutOrStdout(), args, report); err != nil {
		return err
	}
	switch {
	case ctx.Err() != nil:
		return failed("", "the run was interrupted when %d of %d checks had their verdict", len(report.Results), len(checks))
	case err != nil:
		return notRun(ctx, err)
	}
	return concluded(report)
}

// concluded is the exit code that reports come to.
func concluded(reports ...*suite.Report) error {
	stale := false
	for _, r := range reports {
		if len(r.Unexpected()) > 0 || r.Incomplete != "" {
			return exitStatus(exitFailure)
		}
		stale = stale || len(r.Stale) > 0
	}
	if stale {
		return exitStatus(exitUsage)
	}
	return nil
}

// options are those of a run that people see.
func (c *conformer) options(p *conformPrinter, checks []*suite.Check) suite.Options {
	return suite.Options{
		Checks: checks, Seed: c.seed, Chaos: c.chaos, Jobs: c.jobs, Strict: c.strict, Scale: c.scale, Repeat: c.repeat, Shuffle: c.shuffle, XPassWarns: c.xpass == xpasses[1],
		Met:  func(r *suite.Report) { p.begin(r, len(checks), c.jobs) },
		Done: p.done,
	}
}

// prepare finds the checks and the driver.
func (c *conformer) prepare(args []string) ([]*suite.Check, suite.Target, error) {
	checks, err := c.checks()
	if err != nil {
		return nil, suite.Target{}, err
	}
	checks = slices.DeleteFunc(checks, func(k *suite.Check) bool { return !c.shard.has(k.ID) })
	if len(checks) == 0 {
		return nil, suite.Target{}, &failure{exitNothing, "no check is in shard " + c.shard.String(), "take fewer shards"}
	}
	if c.jobs == 0 {
		c.jobs = min(32, 12*runtime.NumCPU())
	}
	const hint = "fakeentra conform run --help lists the flags"
	switch {
	case c.jobs < 1 || c.repeat < 1:
		return nil, suite.Target{}, usage(hint, "--jobs is %d and --repeat is %d; expected 1 or more", c.jobs, c.repeat)
	case c.xpass != "" && !slices.Contains(xpasses, c.xpass):
		return nil, suite.Target{}, usage(hint, "--xpass is %q; expected fail or warn", c.xpass)
	case c.scale <= 0:
		return nil, suite.Target{}, usage(hint, "--timeout-scale is %v; expected a number over 0", c.scale)
	}
	memory, err := parseSize(c.memory)
	if err != nil {
		return nil, suite.Target{}, usage(hint, "--max-memory is %q; expected a size, such as 512m or 2g", c.memory)
	}
	for _, check := range []func() error{c.wired.check, c.reporting.check} {
		if err := check(); err != nil {
			return nil, suite.Target{}, err
		}
	}
	command, err := c.command(args)
	if err != nil {
		return nil, suite.Target{}, err
	}
	command.MaxMemory, command.Scale = memory, c.scale
	return checks, suite.Process(command), nil
}

// findDriver returns the path of a driver.
func findDriver(name string) (string, error) {
	path, err := find(name)
	if f, ok := errors.AsType[*failure](err); ok {
		return "", usage(f.hint, "%s", f.text)
	}
	if err != nil {
		return "", err
	}
	return filepath.Abs(path)
}

// notRun explains why there is nothing to report.
func notRun(ctx context.Context, err error) error {
	f := *explain(err)
	var broken *suite.BrokenDriver
	switch {
	case ctx.Err() != nil:
		return failed("", "the run was interrupted before any check had its verdict")
	case suite.IsUnavailable(err):
		f.code = exitUnavailable
	case errors.Is(err, exec.ErrNotFound): // in an image
		f.code = exitUsage
	case errors.As(err, &broken):
		f.code = exitBroken
	}
	return &f
}

// A shard is a part of the checks.
type shard struct{ number, of int }

// String implements [pflag.Value].
func (s *shard) String() string {
	if s.of == 0 {
		return ""
	}
	return fmt.Sprintf("%d/%d", s.number, s.of)
}

// Set implements [pflag.Value].
func (s *shard) Set(text string) error {
	number, of, ok := strings.Cut(text, "/")
	var errs [2]error
	s.number, errs[0] = strconv.Atoi(number)
	s.of, errs[1] = strconv.Atoi(of)
	if !ok || errors.Join(errs[:]...) != nil || s.number < 1 || s.number > s.of {
		return errors.New("expected a number and how many there are, such as 2/5")
	}
	return nil
}

// Type implements [pflag.Value].
func (s *shard) Type() string { return "shard" }

// has reports whether a check is in the shard. Its ID alone decides.
func (s *shard) has(id string) bool {
	if s.of == 0 {
		return true
	}
	h := fnv.New32a()
	_, _ = io.WriteString(h, id)
	return int(h.Sum32()%uint32(s.of)) == s.number-1
}

// parseSize reads a number of bytes, such as 512m.
func parseSize(text string) (int64, error) {
	unit := int64(1)
	for i, suffix := range []string{"k", "m", "g"} {
		if rest, ok := strings.CutSuffix(strings.ToLower(text), suffix); ok {
			text, unit = rest, 1<<(10*(i+1))
		}
	}
	n, err := strconv.ParseInt(text, 10, 32)
	if err == nil && n < 0 {
		err = strconv.ErrRange
	}
	return n * unit, err
}
