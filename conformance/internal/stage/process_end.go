package stage

import (
	"cmp"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/fakeentra/fakeentra/internal/sandbox"
)

// How long a driver has to end, when it is asked to and when it is told to. A busy
// machine takes seconds to end an interpreter.
const (
	askedLimit = 4 * time.Second
	toldLimit  = 4 * time.Second
)

// finish waits for the end of the driver, which was asked to end or is to be told
// so at once. What it writes meanwhile is taken.
func (r *process) finish(asked bool, lines <-chan []byte, take func([]byte)) {
	patience := time.NewTimer(0)
	if asked {
		patience.Reset(askedLimit)
	}
	defer patience.Stop()
	over, told := r.over, false
	for {
		select {
		case line, more := <-lines:
			if !more {
				lines = nil
				continue
			}
			take(line)
		case <-patience.C:
			if told {
				r.killed = true
				r.kill()
				continue
			}
			told = true
			r.signals <- syscall.SIGTERM
			patience.Reset(toldLimit)
		case <-over: // what follows is no fault of its
			over = nil
			patience.Stop()
		case <-r.ended:
			return
		}
	}
}

// misbehaved says what was wrong with the end of a driver, which was due after
// something. All of its output was read.
func (r *process) misbehaved(after string) error {
	var err error
	if r.killed {
		err = fmt.Errorf("the driver went on after %s and SIGTERM, and had to be killed", after)
	}
	return also(err, r.behind())
}

// behind says what a driver left running.
func (r *process) behind() error {
	var err error
	if len(r.result.Left) > 0 {
		err = fmt.Errorf("the driver ended, but left programs running, which had to be killed: %s", strings.Join(r.result.Left, ", "))
	}
	holders := slices.Concat(r.out.holders, r.errs.holders)
	if slices.Sort(holders); len(holders) > 0 {
		err = also(err, fmt.Errorf("the driver ended, but left programs running, which still do, and hold its output: %s; have it end what it starts", strings.Join(slices.Compact(holders), ", ")))
	}
	return err
}

// also joins what is wrong in two ways, in one line. Either may be nil.
func also(err, more error) error {
	if err == nil || more == nil {
		return cmp.Or(err, more)
	}
	return fmt.Errorf("%w; %w", err, more)
}

// crash says how a driver ended too early.
func (r *process) crash(when string) error {
	how := fmt.Sprintf("ended with exit code %d", r.result.Status)
	switch {
	case r.err != nil:
		return fmt.Errorf("%w: %w", errNotStarted, r.err)
	case r.result.TooBig:
		how = "was killed because it took too much memory"
	case r.result.Status > killedBy:
		how = fmt.Sprintf("was killed by a signal (%v)", syscall.Signal(r.result.Status-killedBy))
	}
	lines := strings.Split(strings.TrimSpace(r.log.String()), "\n")
	words := ""
	if last := lines[len(lines)-1]; last != "" {
		words = ", with the last words " + shown([]byte(last))
	}
	return fmt.Errorf("the driver %s %s%s", how, when, words)
}

// killedBy is added to the number of the signal that killed a process.
const killedBy = 128

// leaks lists what a driver asked for in vain, which is known when it has ended.
func leaks(r sandbox.Result) []string {
	var all []string
	for _, l := range r.Leaks {
		all = append(all, l.Kind+" "+l.Name)
	}
	return all
}

// connects are leaks to some hosts.
func connects(hosts []string) []string {
	var all []string
	for _, host := range hosts {
		all = append(all, "connect "+host)
	}
	return all
}

// tidy notes what the driver left behind and removes it. It has ended.
func (r *process) tidy() error {
	closeAll([]*os.File{r.in, r.out.file})
	r.left = map[string]Leftover{}
	for folder, seenAs := range map[string]string{"home": "~", "tmp": "$TMPDIR"} {
		base := filepath.Join(r.folder, folder)
		_ = filepath.WalkDir(base, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return nil // what cannot be read is removed all the same
			}
			if info, err := d.Info(); err == nil {
				r.left[seenAs+strings.TrimPrefix(path, base)] = Leftover{info, head(path, info)}
			}
			return nil
		})
	}
	return removeAll(r.folder)
}

// head returns the beginning of a file.
func head(path string, info fs.FileInfo) []byte {
	if !info.Mode().IsRegular() {
		return nil
	}
	f, err := os.Open(path)
	if err != nil {
		return nil // whoever cannot read it has no use for what is in it
	}
	defer func() { _ = f.Close() }()
	content, _ := io.ReadAll(io.LimitReader(f, maxLeft)) // as far as it goes
	return content
}

// maxLeft is how much of a file is kept.
const maxLeft = 1 << 20

// removeAll removes a folder, also one with folders that must not be written, such
// as those of Go's modules.
func removeAll(folder string) error {
	if os.RemoveAll(folder) == nil {
		return nil
	}
	_ = filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			_ = os.Chmod(path, 0o700)
		}
		return nil
	})
	return os.RemoveAll(folder)
}
