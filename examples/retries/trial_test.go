package retries

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/fakeentra/fakeentra"
	"github.com/fakeentra/fakeentra/emulator/journal"
)

// patience is how long a program is waited for, from its first request on. The
// table says two minutes; no SDK gives up between the two.
const patience = 140 * time.Second

// identity is the argument of the program: one that is assigned to both hosts.
const identity = "client-id=44444444-4444-4444-4444-444444444444"

// starting bounds the number of programs that have not asked for anything yet:
// starting takes processors, and waiting does not.
var starting = make(chan struct{}, 2)

// A trial is a program of an SDK in trouble.
type trial struct {
	trouble
	fakeentra, folder string
	command           []string
}

// run returns what the program did. It takes its turn from starting.
func (r trial) run(t *testing.T) (outcome, error) {
	started := sync.OnceFunc(func() { <-starting })
	defer started()
	scenario, err := os.ReadFile("../sources/sources.yaml")
	if err != nil {
		return outcome{}, err
	}
	cloud, err := fakeentra.New(fakeentra.WithScenario(scenario))
	if err != nil {
		return outcome{}, err
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	waiting := sync.OnceFunc(func() {
		started()
		time.AfterFunc(patience, cancel)
	})
	r.rule.When = func(journal.Request) bool {
		waiting()
		return true
	}
	cloud.Inject(r.rule)
	var then string
	var end time.Time
	err = errors.Join(serving(cloud, string(r.source), func(doors fakeentra.Doors) (err error) {
		then, err = r.execute(ctx, t, cloud, doors)
		end = cloud.Now()
		return err
	}), cloud.Close())
	return outcomeOf(cloud.Journal().Of(r.rule.Op), end, then), err
}

// serving does something while the doors of a host are open.
func serving(cloud *fakeentra.Cloud, host string, do func(fakeentra.Doors) error) error {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	const free = "127.0.0.1:0"
	doors, served := make(chan fakeentra.Doors, 1), make(chan error, 1)
	go func() {
		served <- cloud.Serve(ctx, fakeentra.Listen{HTTPS: free, IMDS: free, Proxy: free, Control: free, Host: host, Ready: func(d fakeentra.Doors) { doors <- d }})
	}()
	select {
	case err := <-served:
		return err
	case d := <-doors:
		err := do(d)
		cancel()
		return errors.Join(err, <-served)
	}
}

// execute runs the program, and says in Markdown what it was told in the end.
func (r trial) execute(ctx context.Context, t *testing.T, cloud *fakeentra.Cloud, doors fakeentra.Doors) (string, error) {
	up := filepath.Join(t.TempDir(), "up")
	ready := map[string]any{"control": doors.Control, "environ": map[string]string{"FAKEENTRA_CONTROL": doors.Control}}
	for _, v := range cloud.Host(string(r.source)).VariablesAt(doors.IMDS) {
		name, value, _ := strings.Cut(v, "=")
		ready["environ"].(map[string]string)[name] = value
	}
	content, err := json.Marshal(ready)
	if err := errors.Join(err, os.WriteFile(up, content, 0o600)); err != nil {
		return "", err
	}
	args := append([]string{"run", "--mode", "netns", "--attach", up, "--"}, r.command...)
	cmd := exec.CommandContext(ctx, r.fakeentra, append(args, identity)...)
	cmd.Dir = r.folder
	// With a resource, the program exchanges nothing.
	cmd.Env = append(os.Environ(), "XDG_STATE_HOME="+t.TempDir(), "RESOURCE=api://AzureADTokenExchange")
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err = cmd.Run()
	said, ok := strings.CutPrefix(strings.TrimSpace(stdout.String()), identity+"\t")
	switch {
	case ctx.Err() != nil:
		return unfinished, nil
	case err != nil || !ok:
		return "", fmt.Errorf("%w, standard output %q\n%s", err, stdout.String(), stderr.String())
	}
	return quoted(said), nil
}
