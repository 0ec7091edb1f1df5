package main

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"net"
	"net/url"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/fakeentra/fakeentra/conformance/driver"
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
	scale   scale
	repeat  int
	chaos   string
	shuffle string
	memory  string
	verbose bool
	wired
	reporting
}

// A wired is what commands are told about how the driver is led to the suite.
type wired struct {
	wiring        string
	image, engine string
	driver        string // URL of one that others started
	anywhere      bool   // also on another machine
	ports         int
}

// wirings are what --wiring can be.
func wirings() []string { return append(suite.CommandWirings(), suite.Attach) }

func (w *wired) flags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&w.wiring, "wiring", suite.Auto, "`WAY` of leading the driver to the suite: "+strings.Join(wirings(), ", "))
	f.StringVar(&w.image, "image", "", "run the driver in containers of `IMAGE`, as --wiring docker does in containers with this machine's files")
	f.StringVar(&w.engine, "engine", "docker", "`PROGRAM` that starts containers: docker or podman")
	f.StringVar(&w.driver, "driver", "", "talk to the driver at `URL`, such as http://127.0.0.1:4711, which runs already, by POST to /fcd (wiring attach)")
	f.BoolVar(&w.anywhere, "driver-anywhere", false, "let --driver be on another machine, which has to lead the ports of --ports here")
	f.IntVar(&w.ports, "ports", 0, "with --driver, give the endpoints the ports of loopback from `N` on (default: free ones)")
	complete(cmd, "wiring", wirings, cobra.ShellCompDirectiveNoFileComp)
	complete(cmd, "engine", func() []string { return []string{"docker", "podman"} }, cobra.ShellCompDirectiveDefault)
}

// check refuses what is no wiring.
func (w *wired) check() error {
	const hint = "fakeentra conform run --help tells what they are"
	switch {
	case !slices.Contains(wirings(), w.wiring):
		return usage(hint, "--wiring is %q; expected one of %s", w.wiring, strings.Join(wirings(), ", "))
	case w.driver != "":
		return w.checkDriver()
	case w.wiring == suite.Attach:
		return usage("fakeentra conform serve is for a client that you run by hand", "the wiring attach needs the URL of a driver that runs; expected --driver")
	case w.ports != 0 || w.anywhere:
		return usage("with one that is started here, the ports are free ones", "--ports and --driver-anywhere are for a driver that runs; expected --driver")
	case w.image == "":
		return nil
	case w.wiring != suite.Auto && w.wiring != suite.Docker:
		return usage("leave one of them out", "--image is for --wiring docker, but --wiring is %s", w.wiring)
	}
	w.wiring = suite.Docker
	return nil
}

// checkDriver refuses what does not go with a driver that runs.
func (w *wired) checkDriver() error {
	switch {
	case w.image != "":
		return usage("leave one of them out", "there are two drivers: the one at %s, and the one in the image %s", w.driver, w.image)
	case w.wiring != suite.Attach && w.wiring != suite.Auto:
		return usage("leave --wiring out", "the wiring %s starts the driver itself; expected none with --driver, or attach", w.wiring)
	case w.ports < 0 || w.ports > maxFirstPort:
		return usage("for instance --ports 18440", "--ports is %d; expected a number from 1 to %d", w.ports, maxFirstPort)
	}
	return w.checkURL()
}

// maxFirstPort leaves room for the ports behind it.
const maxFirstPort = 65000

func (w *wired) checkURL() error {
	u, err := url.Parse(w.driver)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || u.Path != "" && u.Path != "/" || u.RawQuery != "" {
		return usage("requests are sent to the path /fcd", "--driver is %q; expected a URL such as http://127.0.0.1:4711", w.driver)
	}
	ip := net.ParseIP(u.Hostname())
	if loopback := u.Hostname() == "localhost" || ip != nil && ip.IsLoopback(); !loopback && !w.anywhere {
		return usage("--driver-anywhere permits it: what the driver is told to use are ports of loopback here, which its machine has to lead here", "--driver is %q, which is another machine; expected one of loopback", w.driver)
	}
	return nil
}

// leading are the flags that lead to the driver, but for those that say what is so
// without them.
func (w *wired) leading() []string {
	var flags []string
	switch {
	case w.driver != "":
		flags = append(flags, "--driver", w.driver)
		if w.anywhere {
			flags = append(flags, "--driver-anywhere")
		}
		if w.ports != 0 {
			flags = append(flags, "--ports", strconv.Itoa(w.ports))
		}
	case w.image != "":
		flags = append(flags, "--image", w.image)
	case w.wiring != suite.Auto:
		flags = append(flags, "--wiring", w.wiring)
	}
	if w.wiring == suite.Docker && w.engine != "docker" {
		flags = append(flags, "--engine", w.engine)
	}
	return flags
}

// target returns what runs a driver.
func (w *wired) target(args []string, memory int64, scale float64, inspect func(driver.Op, []byte, []byte) error) (suite.Target, error) {
	if w.driver != "" {
		return suite.Remotely(suite.Remote{URL: w.driver, Ports: w.ports, Scale: scale, Inspect: inspect}), nil
	}
	c := suite.Command{Args: args, Wiring: w.wiring, Image: w.image, Engine: w.engine, MaxMemory: memory, Scale: scale, Inspect: inspect}
	if w.image == "" { // else the driver is in there
		var err error
		if c.Path, err = findDriver(args[0]); err != nil {
			return suite.Target{}, err
		}
	}
	return suite.Process(c), nil
}

// driverArguments refuses a command line without a driver, or with two. An image may
// have one.
func driverArguments(cmd *cobra.Command, args []string) error {
	url, image := cmd.Flag("driver").Value.String(), cmd.Flag("image").Value.String()
	switch {
	case cmd.Flag("driver").Changed && url == "":
		return usage("for instance --driver http://127.0.0.1:4711", "--driver is empty; expected a URL")
	case cmd.Flag("image").Changed && image == "":
		return usage("for instance --image my-driver", "--image is empty; expected the name of an image")
	case len(args) == 0 && url == "" && image == "":
		return usage("for instance "+cmd.CommandPath()+" -- node driver.mjs", "there is no driver to run")
	case len(args) > 0 && url != "":
		return usage("leave one of them out", "there are two drivers: the one at %s, and %s", url, quoted(args))
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
  fakeentra conform run --image my-driver
  fakeentra conform run --driver http://127.0.0.1:4711`,
		Long: `Puts the client that a driver drives to the checks, and tells what it does not
do as it should, and how to see it again.

Each case of a check has a cloud of its own, and a process of the driver. How it
is led to the cloud is the wiring:

  netns     as under "fakeentra run --mode netns": with the names and addresses
            of production, and no network besides; every check
  docker    likewise in a container, of --image or with this machine's files,
            where Docker Engine or Podman runs here; every check
  explicit  by URLs of loopback in its configuration (config.endpoints), and by
            variables, on every system; not the checks that need names
  attach    likewise, but one driver, which runs already, for all: --driver
            is its URL; not the checks that need a process or variables. For a
            client that you run by hand, see "fakeentra conform serve"
  auto      netns if this machine permits it, or else explicit

Checks that a wiring cannot have are skipped, and the report says which. In
explicit and attach, a driver that does not go where it is led stops the run. In
explicit nothing keeps it from the network but a proxy in its environment that
leads nowhere, and its memory is limited on Linux alone; in attach nothing does.

The driver's home and its folder for temporary files are empty. It inherits the
environment, but for what leads Azure clients elsewhere and all that begins with
AZURE_ or XDG_. With --image it has that of the image, whose entry point goes
before it, and whose command it is if there is none.

A MUST that is not met fails the run; a SHOULD is a warning, unless --strict;
a MAY is for information. What could not be provoked is inconclusive, which
fails the run, too. What the client is known not to meet may be listed in a file
(see "fakeentra conform xfail"): then it is xfail where it is not met, which
fails nothing, and xpass where it is, which does.

Exit codes: 0 if all is as it has to be, and 1 if it is not, or a report could
not be written; 2 if the command line, or the list of what is known, is wrong; 3
if the driver crashed, or broke the protocol, before any check could begin, or
at the first request of three processes in a row; 4 if no check is selected; 5
if this machine cannot have the wiring; "fakeentra doctor" tells how to mend
netns.`,
		DisableFlagsInUseLine: true,
		Args:                  driverArguments,
		RunE:                  func(cmd *cobra.Command, args []string) error { return c.run(cmd, args) },
	}
	f := cmd.Flags()
	f.SortFlags = false
	f.SetInterspersed(false) // what follows the driver is its own
	c.runFlags(cmd)
	f.StringVar(&c.xpass, "xpass", xpasses[0], "`RESULT` of a check that is met, although it was expected not to be: fail or warn")
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
	c.scale.flag(cmd)
	f.IntVar(&c.repeat, "repeat", 1, "run each check `N` times, and expect the same verdict: several are inconclusive")
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
	p := newConformPrinter(cmd.OutOrStdout(), c.leading(), args, c.verbose)
	o := c.options(p, checks)
	if known != nil {
		o.Expected = known
		p.expectations = fmt.Sprintf("%d in %s", known.Len(), file)
	}
	begin := o.Met
	o.Met = func(r *suite.Report) {
		r.Flags, r.Command, r.Shard = c.leading(), args, c.shard.String()
		begin(r)
	}
	return c.ended(ctx, cmd, p, args, target, o)
}

// ended runs checks to their end, tells what they came to, and writes it.
func (r *reporting) ended(ctx context.Context, cmd *cobra.Command, p *conformPrinter, command []string, target suite.Target, o suite.Options) error {
	r.stream(ctx, &o)
	report, err := suite.Run(ctx, target, o)
	p.stop()
	if report == nil {
		return notRun(ctx, err)
	}
	errs := r.lines.end(report)
	p.end(report)
	errs = append(errs, r.write(ctx, cmd.OutOrStdout(), command, report)...)
	return unwritten(cmd.ErrOrStderr(), errs, runEnded(ctx, report, len(o.Checks), err))
}

// runEnded is the exit code of a run that was to give so many checks their verdict,
// and ended with err.
func runEnded(ctx context.Context, report *suite.Report, checks int, err error) error {
	switch {
	case ctx.Err() != nil:
		return failed("", "the run was interrupted when %d of %d checks had their verdict", len(report.Results), checks)
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
		Checks: checks, Seed: c.seed, Chaos: c.chaos, Jobs: c.jobs, Strict: c.strict, Scale: float64(c.scale), Repeat: c.repeat, Shuffle: c.shuffle, XPassWarns: c.xpass == xpasses[1],
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
	}
	memory, err := parseSize(c.memory)
	if err != nil {
		return nil, suite.Target{}, usage(hint, "--max-memory is %q; expected a size, such as 512m or 2g", c.memory)
	}
	for _, check := range []func() error{c.scale.check, c.wired.check, c.reporting.check} {
		if err := check(); err != nil {
			return nil, suite.Target{}, err
		}
	}
	if c.driver != "" {
		c.jobs = 1
		if c.seed == suite.DefaultSeed {
			if c.shard.Of > 0 {
				return nil, suite.Target{}, usage("name the same --seed for all shards, and another one for the next run, such as the number of the build", "--shard of a driver that runs already takes a --seed")
			}
			c.seed = newSeed()
		}
	}
	target, err := c.target(args, memory, float64(c.scale), nil)
	return checks, target, err
}

// newSeed is a seed that a driver which runs already cannot have seen before: its
// client may have kept what it got.
func newSeed() string { return fmt.Sprintf("%s %d", suite.DefaultSeed, time.Now().UnixMilli()) }

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
	lines := barred(f.text) // which may quote the driver
	for i, line := range lines {
		lines[i] = conformreport.Visible(line)
	}
	f.text, f.hint = strings.Join(lines, "\n"), conformreport.Visible(f.hint)
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

// A scale is how many times as long as usual drivers have to answer.
type scale float64

func (s *scale) flag(cmd *cobra.Command) {
	cmd.Flags().Float64Var((*float64)(s), "timeout-scale", 1, "give the driver `FACTOR` times as long to answer, on a slow machine")
}

// check refuses what no duration can be multiplied with, NaN among it.
func (s *scale) check() error {
	const most = 1000
	if *s > 0 && *s <= most {
		return nil
	}
	return usage("for instance --timeout-scale 2", "--timeout-scale is %v; expected a number over 0, and %d at most", *s, most)
}

// A shard is a part of the checks, as a flag.
type shard struct{ conformreport.Shard }

// Set implements [pflag.Value].
func (s *shard) Set(text string) (err error) {
	s.Shard, err = conformreport.ParseShard(text)
	return err
}

// Type implements [pflag.Value].
func (s *shard) Type() string { return "shard" }

// has reports whether a check is in the shard. Its ID alone decides.
func (s *shard) has(id string) bool {
	if s.Of == 0 {
		return true
	}
	h := fnv.New32a()
	_, _ = io.WriteString(h, id)
	return uint64(h.Sum32())%uint64(s.Of) == uint64(s.Number-1)
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
