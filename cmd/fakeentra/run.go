package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"os/signal"
	"strings"

	"github.com/spf13/cobra"

	"github.com/fakeentra/fakeentra"
)

// A runner is what run is told.
type runner struct {
	start
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
stops the cloud when the command ends. The command keeps its production URLs:
it is led to the cloud by variables such as HTTPS_PROXY and SSL_CERT_FILE.
Input, output and signals are the command's own.

When the command fails, what it asked for is written to standard error, with the
reason for each answer.

Exit codes: that of the command; 128 and the number of the signal that killed
it; 127 if it was not found, 126 if it could not be executed, and 125 if
fakeentra itself failed.`,
		DisableFlagsInUseLine: true,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usage("for instance fakeentra run -- go test ./...", "there is no command to run")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error { return r.run(cmd, args) },
	}
	r.flags(cmd)
	f := cmd.Flags()
	f.SortFlags = false
	f.SetInterspersed(false) // what follows the command is its own
	f.BoolVar(&r.transcript, "transcript", false, "write what was asked for also when the command succeeds")
	return cmd
}

func (r *runner) run(cmd *cobra.Command, args []string) (err error) {
	stderr := cmd.ErrOrStderr()
	path, err := find(args[0])
	if err != nil {
		return err
	}
	cloud, host, err := r.cloud(stderr)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, cloud.Close()) }()
	if host == "" {
		return failed("add one under hosts in the scenario, as in vm1: {source: imds}", "the scenario %s has no host to run on", r.scenario)
	}
	if _, err := cloud.CertificateFiles(); err != nil {
		return err
	}
	child := &exec.Cmd{Path: path, Args: args, Env: cloud.Host(host).Environ(), Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr}
	status, err := supervise(child)
	if err != nil {
		return &failure{exitNotExecutable, fmt.Sprintf("cannot execute %s: %v", args[0], cause(err)), "is it a program for this system?"}
	}
	if err := cloud.Close(); err != nil { // what is in flight belongs to the transcript
		warn(stderr, "", "%v", err)
	}
	if r.transcript || status != 0 {
		transcribe(stderr, args[0], status, cloud)
	}
	if status != 0 {
		return exitStatus(status)
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
	}
	return "", &failure{exitNotExecutable, fmt.Sprintf("cannot execute %s: %v", name, cause(err)), hint}
}

// supervise runs a child to its end and passes signals on to it. The child
// stays in the process group of its parent, so that it can use the terminal and
// gets from it what is typed, such as Ctrl-C. The parent outlives it.
func supervise(child *exec.Cmd) (status int, err error) {
	signals := make(chan os.Signal, 16)
	signal.Notify(signals, passedOn()...)
	defer signal.Stop(signals)
	if err := child.Start(); err != nil {
		return 0, err
	}
	ended := make(chan struct{})
	go func() {
		_ = child.Wait() // its state says what is of interest
		close(ended)
	}()
	for {
		select {
		case s := <-signals:
			if !typed(s) {
				_ = child.Process.Signal(s) // it fails when the child has just ended
			}
		case <-ended:
			return statusOf(child.ProcessState), nil
		}
	}
}

// transcribe writes what the command asked for.
func transcribe(w io.Writer, name string, status int, cloud *fakeentra.Cloud) {
	end := "succeeded"
	if status != 0 {
		end = fmt.Sprintf("failed with exit code %d", status)
	}
	text := cloud.Journal().String()
	if text == "" {
		_, _ = fmt.Fprintf(w, "fakeentra: %s %s and asked for nothing\n", name, end)
		return
	}
	_, _ = fmt.Fprintf(w, "fakeentra: %s %s; this is what it asked for:\n  %s\n", name, end, strings.ReplaceAll(strings.TrimSuffix(text, "\n"), "\n", "\n  "))
}
