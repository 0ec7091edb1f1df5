package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/fakeentra/fakeentra/conformance/expect"
	"github.com/fakeentra/fakeentra/conformance/suite"
)

// An expecting is what commands are told about expectations.
type expecting struct {
	file  string // empty for the one beside the driver
	xpass string
}

func (e *expecting) flags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&e.file, "xfail", "", "`FILE` of what the client is known not to meet (default: "+expect.FileName+" beside the driver, if it is there)")
}

// xpasses are the values of --xpass.
var xpasses = []string{"fail", "warn"}

// driverFolders are where a driver may lie, the likeliest first: the folders of the
// arguments that name files, or that are folders, from the last one on, and the
// working directory.
func driverFolders(args []string) []string {
	var folders []string
	for i, arg := range slices.Backward(args) {
		if i == 0 && filepath.Base(arg) == arg {
			continue // a program of PATH
		}
		info, err := os.Stat(arg)
		switch {
		case err != nil:
		case info.IsDir():
			folders = append(folders, filepath.Clean(arg))
		default:
			folders = append(folders, filepath.Dir(arg))
		}
	}
	return append(folders, ".")
}

// built are the names of folders that tools make, and that belong in no repository.
var built = []string{"target", "bin", "obj", "build", "dist", "out", "node_modules", ".venv", "venv"}

// sources returns the folder in which another one was made by a tool, where the
// sources are, or that one. What is above the working directory, or above a
// repository, was made by nobody for it.
func sources(folder string) string {
	top, err := os.Getwd()
	for at := folder; at != filepath.Dir(at); at = filepath.Dir(at) {
		if _, none := os.Stat(filepath.Join(at, ".git")); none == nil || err == nil && at == top {
			break
		}
		if slices.Contains(built, filepath.Base(at)) {
			folder = filepath.Dir(at)
		}
	}
	return folder
}

// find returns the file of expectations, which is empty if there is none.
func (e *expecting) find(args []string) string {
	if e.file != "" {
		return e.file
	}
	for _, folder := range driverFolders(args) {
		for _, folder := range []string{folder, sources(folder)} {
			file := filepath.Join(folder, expect.FileName)
			if info, err := os.Stat(file); err == nil && info.Mode().IsRegular() {
				return file
			}
		}
	}
	return ""
}

// load reads what the client is known not to meet.
func (e *expecting) load(args []string) (*expect.Set, string, error) {
	file := e.find(args)
	if file == "" {
		return nil, "", nil
	}
	set, err := expect.Read(file, time.Now())
	return set, file, unusable(file, err)
}

// unusable says that a file of expectations cannot be used.
func unusable(file string, err error) error {
	var wrong *expect.Error
	switch {
	case err == nil:
		return nil
	case errors.As(err, &wrong):
		return usage("", "the expectations cannot be used\n%v", wrong)
	}
	return usage("fakeentra conform xfail update makes it", "cannot read the expectations in %s: %v", file, cause(err))
}

func conformXfailCommand() *cobra.Command {
	return group(&cobra.Command{
		Use:   "xfail COMMAND",
		Short: "keep a list of what a client is known not to meet",
		Long: `Keeps a list of what a client is known not to meet, for "fakeentra conform run":
a file in TOML beside the driver, ` + expect.FileName + `, such as

  suite = ">=1.0"

  [[expect]]
  check   = "IMDS-10"            # or a pattern, such as "IMDR-*"
  reason  = "the HTTP pipeline follows redirects"

An expectation may be narrowed: to one condition (assert), to one of the cases
(case), to one verdict (outcome), to clients of some kind (when, a table of
wiring, version and "dependency:NAME"), and until a date (until). One that a
client meets by chance (sometimes = true) may be met. An issue is a URL for
people.

What is expected has to happen: an expectation without a reason, of a check that
there is not, that has expired, or that came to nothing fails the run, as does a
check that is met after all.`,
	}, conformXfailUpdateCommand())
}

func conformXfailUpdateCommand() *cobra.Command {
	c := &conformer{}
	cmd := &cobra.Command{
		Use:     "update [flags] -- DRIVER [ARG]...",
		Short:   "add what fails today",
		Example: "  fakeentra conform xfail update -- node driver.mjs",
		Long: `Puts a client to the checks, as "fakeentra conform run" does, and adds those that
fail the run to the list of what it is known not to meet, without reasons: each
has to be given one before the list can be used.

Nothing that is there is changed, and what is not needed any more is named.`,
		DisableFlagsInUseLine: true,
		Args:                  driverArguments,
		RunE:                  func(cmd *cobra.Command, args []string) error { return c.update(cmd, args) },
	}
	f := cmd.Flags()
	f.SortFlags = false
	f.SetInterspersed(false)
	c.runFlags(cmd)
	return cmd
}

// update adds what fails today to the list.
func (c *conformer) update(cmd *cobra.Command, args []string) error {
	checks, target, err := c.prepare(args)
	if err != nil {
		return err
	}
	file := c.find(args)
	if file == "" {
		file = filepath.Join(sources(driverFolders(args)[0]), expect.FileName)
	}
	if err := checkFolder("--xfail", file, filepath.Dir(file)); err != nil {
		return err
	}
	if err := checkFile("--xfail", file, file); err != nil {
		return err
	}
	known := &expect.Set{}
	if _, err := os.Stat(file); err == nil {
		if known, err = expect.ReadDraft(file); err != nil {
			return unusable(file, err)
		}
	}
	ctx, stop := untilSignal(cmd.Context())
	defer stop()
	p := newConformPrinter(cmd.OutOrStdout(), c.leading(), args, c.verbose)
	o := c.options(p, checks)
	o.Expected = known
	report, err := suite.Run(ctx, target, o)
	p.stop()
	if report != nil && ctx.Err() != nil {
		f := *explain(runEnded(ctx, report, len(checks), err))
		f.text += ", and " + file + " is as it was"
		return &f
	}
	if err != nil {
		return notRun(ctx, err)
	}
	p.end(report)
	n, err := expect.Append(file, report)
	if err != nil {
		return failed("name another file with --xfail", "%v", err)
	}
	var needless []string
	for _, r := range report.Results {
		if r.Verdict == suite.XPass {
			needless = append(needless, r.Expected.Where)
		}
	}
	if len(needless) > 0 {
		p.printf("to be taken away, for what they expect not to be met is: %s\n", strings.Join(needless, ", "))
	}
	if n == 0 {
		p.printf("%s needs no addition\n", file)
		return nil
	}
	_, err = fmt.Fprintf(cmd.OutOrStdout(), "added to %s: %d; give each of them a reason\n", file, n)
	return err
}
