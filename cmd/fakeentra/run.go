package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"strings"

	"github.com/spf13/cobra"

	"github.com/fakeentra/fakeentra/emulator/journal"
	"github.com/fakeentra/fakeentra/internal/sandbox"
)

// A runner is what run is told.
type runner struct {
	start
	attach attachment
	sandboxed
	transcript bool
}

func runCommand() *cobra.Command {
	r := &runner{}
	cmd := &cobra.Command{
		Use:   "run [flags] -- CMD [ARG]...",
		Short: "run a command in a cloud of its own",
		Example: `  fakeentra run -- go test ./...
  fakeentra run --scenario my.yaml --host vm1 -- python export.py`,
		Long: `Starts a cloud, runs a command that behaves as if it ran on a host of it, and
stops the cloud when the command ends. The command keeps its production URLs.
Input, output and signals are its own.

How it is led to the cloud is a matter of --mode:
  netns   by a network and an /etc of its own: 169.254.169.254, DNS and the
          trust stores are those of the cloud, and nothing else is reachable
          but what flags permit; needs Linux and user namespaces, but not root
  notify  by an answer to each of its connections; needs Linux
  proxy   by variables such as HTTPS_PROXY and SSL_CERT_FILE, on every system;
          programs that do not honour them leave the cloud
  auto    by the first of them that this machine permits

When the command fails, what it asked for is written to standard error, with the
reason for each answer, and then what it asked for outside the cloud: names and
addresses or, in mode proxy, what it asked the proxy for.

The managed identity endpoint of the host is where it is in Azure, or at a free
port in mode proxy, and the variables that Azure sets there name it. In mode
netns, key files of Azure Arc and tokens of pods are where they are in Azure.

Exit codes: that of the command; 128 and the number of the signal that killed
it; 127 if it was not found, 126 if it could not be executed, and 125 if
fakeentra itself failed, or by --fail-on-leak.`,
		DisableFlagsInUseLine: true,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usage("for instance fakeentra run -- go test ./...", "there is no command to run")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error { return r.run(cmd, args) },
	}
	f := cmd.Flags()
	f.SortFlags = false
	r.start.flags(cmd)
	r.attach.flags(cmd)
	r.sandboxed.flags(cmd)
	f.SetInterspersed(false) // what follows the command is its own
	f.BoolVar(&r.transcript, "transcript", false, "write what was asked for also when the command succeeds")
	return cmd
}

func (r *runner) run(cmd *cobra.Command, args []string) (err error) {
	stderr := cmd.ErrOrStderr()
	if err := r.attach.check(cmd); err != nil {
		return err
	}
	if err := r.check(); err != nil {
		return err
	}
	path, err := find(args[0])
	if err != nil {
		return err
	}
	var trusted *sandbox.Trusted
	if r.mode != "proxy" {
		trusted = sandbox.ReadTrusted(r.inherited()) // in the background
	}
	p, err := r.place(cmd.Context(), stderr)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.close()) }()
	if err := cmp.Or(r.egress.checkEmulated(p.world.Knows), r.checkEndpoints(p.world.Endpoints)); err != nil {
		return err
	}
	result, err := r.enter(cmd.Context(), stderr, p, sandbox.Command{Path: path, Args: args, Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr, Trusted: trusted})
	if unable, ok := errors.AsType[*fs.PathError](err); ok && strings.HasSuffix(unable.Op, "exec") {
		return &failure{exitNotExecutable, fmt.Sprintf("cannot execute %s: %v", args[0], cause(err)), "is it a program for this system?"}
	}
	if err != nil {
		return err
	}
	log, err := p.journal()
	if err != nil {
		warn(stderr, "", "%v", err)
	}
	return r.conclude(stderr, args[0], result, log, p)
}

// conclude says what there is to say about a command that has ended.
func (r *runner) conclude(stderr io.Writer, name string, result sandbox.Result, log journal.Log, p place) error {
	leaks := leaked(result.Leaks, log)
	if r.transcript || result.Status != 0 {
		transcribe(stderr, name, result.Status, log, p.shared)
	}
	if result.Status != 0 && len(log.Entries) == 0 && p.unheard != "" {
		_, _ = fmt.Fprintln(stderr, "hint:", p.unheard)
	}
	if (r.transcript || result.Status != 0 || r.failOnLeak) && len(leaks) > 0 {
		_, _ = fmt.Fprintf(stderr, "fakeentra: %s asked for what is not in the cloud:\n  %s\n", name, strings.Join(leaks, "\n  "))
	}
	if (r.transcript || result.Status != 0) && len(r.egress.failed) > 0 {
		_, _ = fmt.Fprintf(stderr, "fakeentra: %s asked for hosts of --egress that were not reached:\n  %s\n", name, strings.Join(r.egress.failed, "\n  "))
	}
	switch {
	case result.Status != 0:
		return exitStatus(result.Status)
	case r.failOnLeak && len(leaks) > 0:
		return exitStatus(exitRun)
	}
	return nil
}

// find returns the path of a program.
func find(name string) (string, error) {
	path, err := exec.LookPath(name)
	switch {
	case err == nil:
		return path, nil
	case errors.Is(err, exec.ErrDot):
		return "", &failure{exitNotExecutable, fmt.Sprintf("%s is in the current folder, which is not searched for programs", name), "name it ./" + name}
	case errors.Is(err, exec.ErrNotFound):
		return "", &failure{exitNotFound, fmt.Sprintf("there is no program %q in PATH", name), "name a program in another folder by its path"}
	case errors.Is(err, fs.ErrNotExist):
		return "", &failure{exitNotFound, fmt.Sprintf("there is no program %s", name), ""}
	}
	hint := ""
	if errors.Is(err, fs.ErrPermission) {
		hint = "chmod +x makes a script executable"
		if _, unseen := os.Stat(name); errors.Is(unseen, fs.ErrPermission) {
			hint = "this user may not look into a folder on the way to it, or to what it links to"
		}
	}
	return "", &failure{exitNotExecutable, fmt.Sprintf("cannot execute %s: %v", name, cause(err)), hint}
}

// transcribe writes what the command asked for.
func transcribe(w io.Writer, name string, status int, log journal.Log, shared bool) {
	end := "succeeded"
	if status != 0 {
		end = fmt.Sprintf("failed with exit code %d", status)
	}
	text := log.String()
	if text == "" {
		_, _ = fmt.Fprintf(w, "fakeentra: %s %s and asked nothing of the cloud\n", name, end)
		return
	}
	what := "this is what it asked for"
	if shared {
		what = "this is what it, and whoever shares the cloud, asked for meanwhile"
	}
	_, _ = fmt.Fprintf(w, "fakeentra: %s %s; %s:\n  %s\n", name, end, what, strings.ReplaceAll(strings.TrimSuffix(text, "\n"), "\n", "\n  "))
}
