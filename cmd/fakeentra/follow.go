package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"time"

	"github.com/fsnotify/fsnotify"

	"github.com/fakeentra/fakeentra"
	"github.com/fakeentra/fakeentra/fixtures"
	"github.com/fakeentra/fakeentra/internal/scenario"
)

// A follower loads the scenario of a served cloud again.
type follower struct {
	cloud *fakeentra.Cloud
	file  scenarioFile // as it was read last
	says  io.Writer
	why   string // what was last said to be wrong with it
}

// settling is how long after a change a file is read. Editors write in several
// steps.
const settling = 50 * time.Millisecond

// follow loads the scenario whenever its file changes, if it is watched, and when
// a signal asks for it, until ctx is done. The function that it returns waits for
// the end.
func (f *follower) follow(ctx context.Context, watched bool) (wait func()) {
	w, closeWatcher := f.watch(watched)
	signals := make(chan os.Signal, 1)
	if asking := reloadSignals(); len(asking) > 0 {
		signal.Notify(signals, asking...)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		defer closeWatcher()
		defer signal.Stop(signals)
		f.loop(ctx, w, signals)
	}()
	return func() { <-ended }
}

// loop reads the file for the first time soon, because it may have changed before
// it was watched.
func (f *follower) loop(ctx context.Context, w *fsnotify.Watcher, signals <-chan os.Signal) {
	settled := time.After(settling)
	changed := func() {
		if settled == nil { // a folder may never come to rest
			settled = time.After(settling)
		}
	}
	for {
		select {
		case <-ctx.Done():
			return
		case <-w.Events:
			changed()
		case err := <-w.Errors:
			if err != nil { // there were too many events
				changed()
			}
		case <-settled:
			settled = nil
			f.load(false)
		case <-signals:
			f.why = ""
			f.load(true)
		}
	}
}

// watch watches the folder of the file, and that of the file that it is a link
// to: editors put another file in the place of one, and a volume of Kubernetes
// another folder. A watcher that watches nothing never has news.
func (f *follower) watch(wanted bool) (*fsnotify.Watcher, func()) {
	nothing, nobody := &fsnotify.Watcher{}, func() {}
	if !wanted || builtIn(f.file.name) {
		return nothing, nobody
	}
	w, err := fsnotify.NewWatcher()
	if err == nil {
		err = w.Add(filepath.Dir(f.file.name))
	}
	if target, linked := filepath.EvalSymlinks(f.file.name); err == nil && linked == nil {
		err = w.Add(filepath.Dir(target))
	}
	if err != nil {
		if w != nil {
			_ = w.Close()
		}
		warn(f.says, "start again after a change, or pass --no-watch", "changes of %s go unnoticed: %v", f.file.name, cause(err))
		return nothing, nobody
	}
	return w, func() { _ = w.Close() }
}

// builtIn reports whether a scenario comes with this program.
func builtIn(name string) bool {
	_, err := fixtures.Scenarios.Open("scenarios/" + name + ".yaml")
	return err == nil
}

// load reads the file, and gives the cloud its content if that is new or wanted
// all the same.
func (f *follower) load(always bool) {
	file, err := readScenario(f.file.name)
	if err != nil {
		f.kept(explain(err).text)
		return
	}
	if bytes.Equal(file.data, f.file.data) && !always {
		return
	}
	f.file = file
	next, err := f.cloud.Reload(file.name, file.data)
	if err != nil {
		f.kept(firstProblem(err))
		return
	}
	f.cloud, f.why = next, ""
	_, _ = fmt.Fprintf(f.says, "fakeentra: loaded %s again\n", file.name)
	if names := next.Unvouched(); len(names) > 0 {
		warn(f.says, "start again if clients ask for it by TLS", "the certificate authority is older than %s", strings.Join(names, ", "))
	}
}

// kept says why the cloud is as it was, once.
func (f *follower) kept(why string) {
	if why == f.why {
		return
	}
	f.why = why
	warn(f.says, "", "the cloud stays as it was: %s", why)
}

// firstProblem says what is wrong with a scenario in one line.
func firstProblem(err error) string {
	e, ok := errors.AsType[*scenario.Error](err)
	if !ok {
		return err.Error()
	}
	first, rest, _ := strings.Cut(e.Error(), "\n")
	if rest != "" {
		first += fmt.Sprintf(" (and %d more)", len(e.Problems)-1+e.Left)
	}
	return first
}
