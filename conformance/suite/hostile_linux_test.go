package suite_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fakeentra/fakeentra/conformance/driver"
	"github.com/fakeentra/fakeentra/conformance/reference"
)

// victim is the check in which a hostile driver misbehaves. In others it is right.
const victim = "IMDS-01"

// asOne is how drivers end that wait for each other, at an address that comes next.
const asOne = "as one"

// A host is a driver that misbehaves.
type host struct {
	mode       string
	dispatcher *driver.Dispatcher
	angry      bool // the victim has been seen
}

// serveHostile answers requests until it does what its mode says.
func serveHostile(mode string) {
	d := reference.New(nil)
	if mode != asOne {
		d = withoutReset{d}
	}
	h := &host{mode: mode, dispatcher: driver.NewDispatcher(d)}
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var r driver.Request
		if err := json.Unmarshal(lines.Bytes(), &r); err != nil {
			panic(err)
		}
		h.angry = h.angry || strings.HasPrefix(r.Session, victim+"/")
		if r.Op == driver.OpHello || h.angry || mode == "crash at every open" {
			h.before(r)
		}
		a := h.dispatcher.Do(context.Background(), r)
		if h.angry {
			h.change(r, &a)
		}
		write(a)
		if h.angry {
			h.after(r, a)
		}
		if r.Op == driver.OpStop {
			os.Exit(0)
		}
	}
	os.Exit(0)
}

func write(a driver.Answer) {
	text, err := json.Marshal(a)
	if err != nil {
		panic(err)
	}
	fmt.Printf("%s\n", text)
}

// before is what it does instead of an answer, or before it.
func (h *host) before(r driver.Request) {
	switch at := h.mode + " at " + string(r.Op); at {
	case "crash at hello at hello", "crash at open at open", "crash at every open at open", "crash at token at token":
		fmt.Fprintln(os.Stderr, "some words")
		fmt.Fprintln(os.Stderr, "the last words")
		os.Exit(3)
	case "unsupported at token":
		os.Exit(77)
	case "killed at token":
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		idle()
	case "hang at token":
		idle()
	case "deaf at stop":
		signal.Ignore(syscall.SIGTERM)
		idle()
	case asOne + " at stop":
		signal.Ignore(syscall.SIGTERM)
		conn, err := net.Dial("tcp", os.Args[3])
		if err != nil {
			panic(err)
		}
		_, _ = io.Copy(io.Discard, conn) // until it is closed
	case "no end of line at token":
		_, _ = os.Stdout.Write(bytes.Repeat([]byte("x"), 2<<20))
		idle()
	case "no end of lines at token":
		flood(os.Stdout)
	case "rubbish at token":
		fmt.Println("ready")
	case "log at token":
		fmt.Println(`{"level":"info","msg":"ready"}`)
	case "memory at token":
		var all [][]byte
		for range 1 << 10 {
			all = append(all, bytes.Repeat([]byte("x"), 1<<20))
		}
		fmt.Fprintln(os.Stderr, len(all))
	case "child of the deaf at token":
		leave(asHolder, nil)
		signal.Ignore(syscall.SIGTERM)
	default:
		if r.Op == driver.OpToken {
			burden(h.mode)
		}
	}
}

// burden is what drivers of both kinds do before they answer.
func burden(mode string) {
	switch mode {
	case "noise":
		_, _ = os.Stderr.Write(bytes.Repeat([]byte("so much to tell\n"), 1<<20))
	case "child":
		leave(asChild, os.Environ())
	case "child of a crash":
		leave(asChild, os.Environ())
		os.Exit(3)
	case "child in disguise":
		leave(asHolder, nil)
	}
}

// leave leaves a program running, in a session of its own, with what this one writes to.
func leave(as string, env []string) {
	cmd := exec.Command("/proc/self/exe", as)
	cmd.Env, cmd.Stdout, cmd.Stderr = append([]string{}, env...), os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		panic(err)
	}
}

// change makes another answer of one.
func (h *host) change(r driver.Request, a *driver.Answer) {
	switch h.mode + " at " + string(r.Op) {
	case "another id at token":
		a.ID = json.RawMessage(`"another"`)
	case "two members at token":
		a.Error = &driver.Failure{Message: "no"}
	case "too few results at token":
		a.OK = json.RawMessage(`{"results":[]}`)
	case "another session at token":
		*a = h.dispatcher.Do(context.Background(), driver.Request{ID: r.ID, Op: r.Op, Session: "another"})
	case "child of the deaf at token":
		idle()
	case "a wrong member at token":
		a.OK = json.RawMessage(`{"results":[{"token":"t","expiresOn":1}]}`)
	}
}

// after is what it does after an answer.
func (h *host) after(r driver.Request, a driver.Answer) {
	switch h.mode + " at " + string(r.Op) {
	case "twice at token":
		write(a)
	case "child of a babbler at token":
		leave(asChild, os.Environ())
		write(a)
	case "unasked at open":
		a.ID = json.RawMessage(`"unasked"`)
		write(a)
	}
}

// idle does nothing for longer than any test takes.
func idle() { time.Sleep(time.Hour) }

// stay is what a driver leaves running.
func stay() {
	signal.Ignore(syscall.SIGTERM, syscall.SIGHUP)
	idle()
}

// hold ends when nobody reads what it could write any more (poll(2)).
func hold() {
	signal.Ignore(syscall.SIGTERM, syscall.SIGHUP)
	for {
		if n, err := unix.Poll([]unix.PollFd{{Fd: 2}}, -1); n > 0 || err != unix.EINTR {
			os.Exit(0)
		}
	}
}

// answerOnce answers one request, as scripts do.
func answerOnce(mode string) {
	dispatcher := driver.NewDispatcher(withoutReset{reference.New(nil)})
	line, err := bufio.NewReader(os.Stdin).ReadBytes('\n')
	if err != nil {
		os.Exit(9)
	}
	var r driver.Request
	if err := json.Unmarshal(line, &r); err != nil {
		panic(err)
	}
	if r.Op == driver.OpHello {
		write(dispatcher.Do(context.Background(), r))
		os.Exit(0)
	}
	dispatcher.Do(context.Background(), driver.Request{Op: driver.OpOpen, Session: r.Session, Config: r.Config})
	a := dispatcher.Do(context.Background(), r)
	if !strings.HasPrefix(r.Session, victim+"/") {
		mode = ""
	}
	switch mode {
	case "words":
		fmt.Fprintln(os.Stderr, "curl: (22) 401")
		os.Exit(1)
	case "unsupported":
		os.Exit(77)
	case "crash":
		fmt.Fprintln(os.Stderr, "the last words")
		os.Exit(3)
	case "silence":
		os.Exit(0)
	case "twice":
		write(a)
	case "another id":
		a.ID = json.RawMessage(`"another"`)
	case "hang":
		idle()
	case "deaf":
		signal.Ignore(syscall.SIGTERM)
		idle()
	case "flood":
		flood(os.Stdout)
	case "deaf flood":
		signal.Ignore(syscall.SIGTERM)
		flood(os.Stdout)
	case "flood of words":
		flood(os.Stderr)
	default:
		burden(mode)
	}
	write(a)
	os.Exit(0)
}

// flood writes without end.
func flood(to *os.File) {
	for {
		_, _ = fmt.Fprintln(to, "working on it")
	}
}
