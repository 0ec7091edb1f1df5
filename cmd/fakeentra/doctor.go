package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

func doctorCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "doctor [flags]",
		Short:   "find out what works on this machine, and what mends the rest",
		Example: "  fakeentra doctor",
		Long: `Runs a small command in each mode of "fakeentra run", and asks each language on
this machine for its version, to tell what works here, what does not, why, and
what mends it. It looks at the state folder, the signing key, the clock and, if
FAKEENTRA_CONTROL names one, at a cloud on a loopback address.

It asks nothing of any other machine, nor of 169.254.169.254.

The exit code is 0 if at least one mode works, and 1 if none does.`,
		DisableFlagsInUseLine: true,
		Args:                  noArguments,
		ValidArgsFunction:     cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, _ []string) error {
			p, err := newProber()
			if err != nil {
				return err
			}
			machine := patient{system: runtime.GOOS, now: time.Now(), built: builtAt(), musl: hasMusl(), probe: p.probe}
			return errors.Join(diagnose(cmd.Context(), cmd.OutOrStdout(), machine, asJSON), p.close())
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print it as JSON")
	return cmd
}

// A patient is a machine that the doctor looks at.
type patient struct {
	system string // as in [runtime.GOOS]
	now    time.Time
	built  time.Time // when this program was; zero if that is not known
	musl   bool      // whether its programs are linked with musl, as those of Alpine are
	// probe runs a small command in a mode of run.
	probe func(ctx context.Context, mode string) error
}

// A diagnosis is what the doctor says. Everything in it is in a fixed order.
type diagnosis struct {
	Modes    []modeFinding    `json:"modes"`
	Runtimes []runtimeFinding `json:"runtimes"` // those on this machine
	Checks   []checkup        `json:"checks"`
}

// A checkup is something else that was looked at.
type checkup struct {
	Name string `json:"name"`
	OK   bool   `json:"ok"`
	Says string `json:"says"`
	Mend string `json:"mend,omitempty"` // what to do, where it is not
}

func diagnose(ctx context.Context, w io.Writer, p patient, asJSON bool) error {
	d := diagnosis{Runtimes: findRuntimes(ctx, p.system)}
	for _, mode := range modeNames()[1:] { // without auto
		d.Modes = append(d.Modes, p.try(ctx, mode))
	}
	d.Checks = []checkup{checkStateFolder(), checkKey(), p.checkClock(), checkControl(ctx, os.Getenv(controlVariable))}
	var err error
	if asJSON {
		err = printJSON(w, d)
	} else {
		_, err = io.WriteString(w, d.String())
	}
	if err != nil {
		return failed("", "cannot print the diagnosis: %v", cause(err))
	}
	for _, m := range d.Modes {
		if m.Works {
			return nil
		}
	}
	return exitStatus(exitFailure)
}

// String lays a diagnosis out for people.
func (d diagnosis) String() string {
	var b strings.Builder
	line := func(name, says, mend string) {
		fmt.Fprintf(&b, "  %-13s %s\n", name, says)
		if mend != "" {
			fmt.Fprintf(&b, "  %-13s mend: %s\n", "", mend)
		}
	}
	b.WriteString("modes of fakeentra run\n")
	for _, m := range d.Modes {
		line(m.Mode, m.says(), m.Mend)
	}
	b.WriteString("\nlanguages and tools\n")
	for _, r := range d.Runtimes {
		line(r.Name, r.says(), "")
		for _, l := range r.Limits {
			line("", l.Mode+": "+l.Says, l.Mend)
		}
	}
	if len(d.Runtimes) == 0 {
		line("none", "in PATH", "")
	}
	b.WriteString("\nmachine\n")
	for _, c := range d.Checks {
		line(c.Name, c.Says, c.Mend)
	}
	return b.String()
}

// A modeFinding says whether a mode of run works.
type modeFinding struct {
	Mode  string `json:"mode"`
	Works bool   `json:"works"`
	But   string `json:"but,omitempty"`  // where it does, not for every program
	Why   string `json:"why,omitempty"`  // where it does not
	Mend  string `json:"mend,omitempty"` // likewise
}

func (m modeFinding) says() string {
	if m.Works && m.But != "" {
		return "works, but " + m.But
	}
	if m.Works {
		return "works"
	}
	return "does not work: " + m.Why
}

// try finds out whether a mode works by running something in it.
func (p patient) try(ctx context.Context, mode string) modeFinding {
	const limit = 15 * time.Second
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("a command that does next to nothing had not ended after %v", limit))
	defer cancel()
	err := p.probe(ctx, mode)
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	if err == nil && mode == "notify" && p.musl { // sandbox.Notify says why
		return modeFinding{Mode: mode, Works: true, But: "programs linked with musl may need a second try to find a name, and find none on arm64"}
	}
	if err == nil {
		return modeFinding{Mode: mode, Works: true}
	}
	why, mend := obstacle(err)
	return modeFinding{Mode: mode, Why: why, Mend: mend}
}
