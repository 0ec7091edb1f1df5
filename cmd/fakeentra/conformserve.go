package main

import (
	"bufio"
	"cmp"
	"context"
	"fmt"
	"io"
	"maps"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/fakeentra/fakeentra/conformance/driver"
	"github.com/fakeentra/fakeentra/conformance/suite"
)

// A manual is what conform serve is told.
type manual struct {
	selecting
	reporting
	strict       bool
	seed, shell  string
	ports        int
	wait, settle time.Duration
}

func conformServeCommand() *cobra.Command {
	m := &manual{}
	cmd := &cobra.Command{
		Use:   "serve [flags]",
		Short: "put a client that you run by hand to the checks",
		Example: `  fakeentra conform serve --only AST-04,AST-05
  fakeentra conform serve --only 'IMDS-*' --ports 18440 --shell fish`,
		Long: `Puts a client that you run by hand to the checks, one after the other, without a
driver: it serves what the check is about at ports of loopback, prints how the
client has to be configured (variables, and what belongs in its code), says when
to run it, shows what comes in, and then the verdict. This is for looking at one
check closely: what is asked of the client several times at once, at an exact
moment, or in a process that is watched, takes a driver, and is skipped.

A client has ended when its exchange was answered and nothing more came in for a
while (--settle), or when you press Enter. You are asked what it came to then:
Enter if it is what the wire says, or its token, or its error in a line.

Where standard input is closed, as in a script, nobody is asked: a client is
waited for a minute (--wait), what it came to is taken from the wire, and checks
of what it says are inconclusive.

Run the client anew for each check, unless it is said to go on: all of them have
the same tenant, application and identity, so that it has to be configured once,
unless a check is about variables. Nothing keeps it from the network but a proxy
in those variables, which leads nowhere.

The exit codes are those of "fakeentra conform run".`,
		DisableFlagsInUseLine: true,
		Args:                  noArguments,
		ValidArgsFunction:     cobra.NoFileCompletions,
		RunE:                  func(cmd *cobra.Command, _ []string) error { return m.run(cmd) },
	}
	f := cmd.Flags()
	f.SortFlags = false
	m.selecting.flags(cmd)
	f.IntVar(&m.ports, "ports", 0, "take the ports of loopback from `N` on (default: free ones)")
	f.DurationVar(&m.wait, "wait", 0, "wait for a client no longer than `DURATION` (default: for ever, or 1m if standard input is closed)")
	f.DurationVar(&m.settle, "settle", time.Second, "a client has ended when nothing came in for `DURATION` after an exchange, and five times as long after one that failed")
	f.StringVar(&m.shell, "shell", "", "`SHELL` to print variables for: "+strings.Join(shellNames(), ", ")+" (default: as env)")
	f.BoolVar(&m.strict, "strict", false, "fail for a SHOULD that is not met")
	f.StringVar(&m.seed, "seed", suite.DefaultSeed, "`TEXT` that identifiers and keys are derived from")
	complete(cmd, "shell", shellNames, cobra.ShellCompDirectiveNoFileComp)
	m.reporting.flags(cmd)
	return cmd
}

func (m *manual) run(cmd *cobra.Command) error {
	checks, err := m.checks()
	if err != nil {
		return err
	}
	const hint = "fakeentra conform serve --help lists the flags"
	switch {
	case m.ports < 0 || m.ports > maxFirstPort:
		return usage("for instance --ports 18440", "--ports is %d; expected a number from 1 to %d", m.ports, maxFirstPort)
	case m.wait < 0 || m.settle <= 0:
		return usage(hint, "--wait is %v and --settle is %v; expected durations over 0", m.wait, m.settle)
	}
	if m.shell == "" {
		m.shell = detectShell(runtime.GOOS, os.Getenv)
	}
	sh, err := findShell(m.shell)
	if err == nil {
		err = m.check()
	}
	if err != nil {
		return err
	}
	ctx, stop := untilSignal(cmd.Context())
	defer stop()
	p := newConformPrinter(cmd.OutOrStdout(), nil, nil, false)
	h := &handPrinter{conformPrinter: p, shell: sh}
	target := suite.Manually(suite.ByHand{
		Ports: m.ports, Lines: typed(ctx, cmd.InOrStdin()), Wait: m.wait, Settle: m.settle,
		Place: h.place, Task: h.task, Seen: h.seen, Stray: h.stray, Question: h.question,
	})
	const anyTime = 1000 // times as long as a driver may take
	return m.ended(ctx, cmd, p, nil, target, suite.Options{
		Checks: checks, Seed: m.seed, Strict: m.strict, Steady: true, Scale: anyTime,
		Met: func(r *suite.Report) {
			p.begin(r, len(checks), 1)
			p.printf("Press Enter when your client has ended, where that is not seen by itself.\n")
		},
		Begins: func(c *suite.Check, name string) { h.begins(c, name, checks) },
		Done: func(r suite.Result) {
			p.again = "fakeentra conform serve --only " + r.ID
			p.done(r)
		},
	})
}

// typed returns what is typed, until the end of it or of ctx.
func typed(ctx context.Context, r io.Reader) <-chan string {
	out := make(chan string)
	go func() { // a read cannot be broken off: it ends with the program
		defer close(out)
		for s := bufio.NewScanner(r); s.Scan(); {
			select {
			case out <- s.Text():
			case <-ctx.Done():
				return
			}
		}
	}()
	return out
}

// A handPrinter tells people what to do by hand.
type handPrinter struct {
	*conformPrinter
	shell     shell
	variables map[string]string // that were printed last
	config    string            // likewise
	check     *suite.Check      // likewise
}

func (h *handPrinter) begins(c *suite.Check, name string, of []*suite.Check) {
	title := c.Title
	if name != "" {
		title += ": " + name
	}
	h.printf("\n%d of %d: %s %s, %s\n", slices.Index(of, c)+1, len(of), c.ID, c.Level, title)
	if c != h.check {
		h.member("", "Requirement", c.Requirement)
		h.member("", "Done to it", c.Provokes)
	}
	h.check = c
}

// place tells how the client has to be configured, if that is not as before.
func (h *handPrinter) place(session string, c driver.Config, variables []string) {
	var b strings.Builder
	row := func(name, value string) {
		if value != "" {
			fmt.Fprintf(&b, "    %-18s %s\n", name, value)
		}
	}
	row("authority", c.Endpoints.Authority)
	row("tenant", c.Tenant)
	row("client ID", c.AppClientID)
	row("audience", c.Audience)
	row("source", c.Source)
	row("identity", strings.TrimSpace(strings.ReplaceAll(c.Identity.Kind, "_", " ")+" "+c.Identity.Value))
	if c.Source == "imds" {
		row("IMDS", c.Endpoints.IMDS)
	}
	row("storage account", c.Endpoints.Blob)
	row("certificate", c.Endpoints.CAFile)
	row("instance discovery", "off: nobody knows these hosts")
	if !slices.Equal(c.AllowedTenants, []string{"*"}) {
		row("further tenants", cmp.Or(strings.Join(c.AllowedTenants, ", "), "none"))
	}
	if c.CAE {
		row("CAE", "on")
	}
	h.environ(variables)
	if b.String() == h.config {
		h.printf("  The configuration of your client%s is as before.\n", number(session))
		return
	}
	h.config = b.String()
	h.printf("  The configuration of your client%s:\n%s", number(session), ours(h.config))
}

// number tells a second client of a check from the first one.
func number(session string) string {
	if _, n, _ := strings.Cut(session, "/"); n != "" && n != "1" {
		return " number " + n
	}
	return ""
}

// environ tells which variables are others than before. Of several values of one, the
// last counts.
func (h *handPrinter) environ(variables []string) {
	now := map[string]string{}
	var names []string
	for _, v := range variables {
		name, value, _ := strings.Cut(v, "=")
		if _, again := now[name]; !again {
			names = append(names, name)
		}
		now[name] = value
	}
	var b strings.Builder
	for _, name := range names {
		if before, ok := h.variables[name]; !ok || before != now[name] {
			b.WriteString("    " + h.shell.set(name, now[name]))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(h.variables)) {
		if _, ok := now[name]; !ok && h.shell.unset != nil {
			b.WriteString("    " + h.shell.unset(name))
		} else if !ok {
			fmt.Fprintf(&b, "    without %s\n", name)
		}
	}
	if b.Len() > 0 && h.variables == nil {
		h.printf("  Variables of the client, and none besides that are Azure's:\n%s", ours(b.String()))
	} else if b.Len() > 0 {
		h.printf("  Variables of the client that are others than before:\n%s", ours(b.String()))
	}
	h.variables = now
}

// task tells what the client has to do.
func (h *handPrinter) task(r driver.Request, again bool) {
	what := ""
	switch {
	case r.Op == driver.OpMIToken:
		what = "get the token of the managed identity for " + r.Resource
	case r.Op == driver.OpResource:
		what = "list the blobs of " + r.URL
	case r.TokenRequest != nil:
		what = "get a token for " + strings.Join(r.Scopes, " ")
		if r.Tenant != "" {
			what += ", in the tenant " + r.Tenant
		}
		if r.Claims != "" {
			what += ", with the claims " + r.Claims
		}
		if r.CAE {
			what += ", saying that it understands CAE"
		}
	}
	if again {
		h.printf("  Now have your client%s, in the same process, %s.\n", number(r.Session), what)
		return
	}
	h.printf("  Run your client%s now: it has to %s.\n", number(r.Session), what)
}

func (h *handPrinter) seen(op, method, url string, status int) {
	answer := fmt.Sprint(status)
	if status == 0 {
		answer = "no answer"
	}
	h.printf("    %-18s %s %s -> %s\n", op, method, url, answer)
}

func (h *handPrinter) stray(host string) {
	h.printf("    it asked the proxy for %s, which was refused: that is not in its configuration\n", host)
}

func (h *handPrinter) question(assumed string) {
	h.printf("  What did it come to? Enter for %s, or its token, or its error in a line: ", assumed)
}
