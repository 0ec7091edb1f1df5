package stage

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"

	"github.com/fakeentra/fakeentra"
	"github.com/fakeentra/fakeentra/conformance/internal/lab"
	"github.com/fakeentra/fakeentra/internal/sandbox"
)

// A process is a driver that runs in a sandbox.
type process struct {
	name    string // of its program
	front   *lab.Front
	way     Way
	folder  string // for all below
	mounts  []mount
	in      *os.File
	out     *outlet
	errs    *outlet // standard error
	log     output  // what is no answer
	signals chan os.Signal
	kill    context.CancelFunc

	over   chan struct{} // closed when the driver has ended
	ended  chan struct{} // closed after over, when all that it wrote to standard error is in log
	result sandbox.Result
	err    error // why it was not started
	group  sync.WaitGroup
	killed bool // by finish

	left     map[string]Leftover
	programs programs
}

// errNotStarted is wrapped by errors of drivers that never ran. They may also be
// [Unavailable].
var errNotStarted = errors.New("the driver cannot be started")

// caFile is where a sandbox has the certificate of the lab.
const caFile = "/etc/ssl/certs/fakeentra.pem"

// start starts the driver in a lab, which may be nil. environ returns more variables
// of the driver; it may be nil.
func (p *Process) start(ctx context.Context, l *lab.Lab, place Place, args []string, environ func(Way) []string) (_ *process, err error) {
	front, err := lab.NewFront()
	if err != nil {
		return nil, err
	}
	r := &process{name: p.name(), front: front, signals: make(chan os.Signal, 1), over: make(chan struct{}), ended: make(chan struct{})}
	if r.folder, err = os.MkdirTemp(p.Temp, "fakeentra-"); err != nil {
		return nil, fmt.Errorf("%w: there is no place for its files: %w; set TMPDIR to a folder that can be written", errNotStarted, err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("%w: %w", errNotStarted, err), os.RemoveAll(r.folder))
		}
	}()
	if r.way, err = p.wired().Lay(front); err != nil {
		return nil, err
	}
	w := sandbox.World{
		Knows: front.Knows, IPv6: place.IPv6, CA: front.CA(), Metadata: true, MetadataTLS: true,
		Serve: func(ctx context.Context, https, http net.Listener) error {
			var group sync.WaitGroup
			defer group.Wait()
			group.Go(func() { _ = front.ServeHTTP(ctx, http) }) // it ends with ctx
			return front.ServeTLS(ctx, https)
		},
	}
	if place.Proxy {
		w.Endpoints = append(w.Endpoints, sandbox.Endpoint{Port: ProxyPort, Serve: front.ServeProxy})
	}
	variables := place.Environ
	if l != nil {
		front.Show(l)
		if place.Watch {
			l.Observe(r.programs.look)
		}
		variables = l.At(front, place.Environ)
		if port, serve, ok := endpoint(front, l); ok {
			w.Endpoints = append(w.Endpoints, sandbox.Endpoint{Port: port, Serve: serve})
		}
		if r.mounts, err = mounts(r.folder, l, place); err != nil {
			return nil, err
		}
	}
	for _, m := range r.mounts {
		shown := sandbox.Mount{Folder: m.folder, SeenAs: m.seenAs}
		if m.seenAs == keyFolder {
			shown.Over = filepath.Dir(keyFolder) // clouds beside this one make and remove it
		}
		w.Mounts = append(w.Mounts, shown)
	}
	for _, folder := range []string{"home", "tmp"} {
		if err := os.Mkdir(filepath.Join(r.folder, folder), 0o700); err != nil {
			return nil, err
		}
	}
	if at, ok := r.way.(placed); ok {
		defer func() {
			if err != nil {
				at.close()
			}
		}()
		if variables, err = at.place(r.folder, w, r.mounts, l, variables); err != nil {
			return nil, err
		}
	}
	if environ != nil {
		variables = append(variables, environ(r.way)...)
	}
	c := sandbox.Command{
		Path: p.Path, Args: args, Env: slices.Concat(r.inherited(p.environ()), variables), Signals: r.signals, MaxMemory: p.MaxMemory,
		Began: r.programs.follow,
		Environ: func(ca, bundle string) []string {
			return fakeentra.Doors{}.Environ(fakeentra.Certificates{CA: ca, Bundle: bundle})
		},
	}
	if way, ok := r.way.(entered); ok {
		if err := way.enter(ctx, w); err != nil {
			return nil, err
		}
	}
	if at, ok := r.way.(placed); ok && at.Err() != nil {
		return nil, at.Err()
	}
	return r, r.launch(w, c)
}

// launch runs a command with pipes.
func (r *process) launch(w sandbox.World, c sandbox.Command) error {
	var theirs, ours [3]*os.File
	for i := range theirs {
		read, write, err := os.Pipe()
		if err != nil {
			closeAll(theirs[:i], ours[:i])
			return err
		}
		theirs[i], ours[i] = read, write
		if i > 0 {
			theirs[i], ours[i] = write, read
		}
	}
	c.Stdin, c.Stdout, c.Stderr = theirs[0], theirs[1], theirs[2]
	r.in, r.out, r.errs = ours[0], newOutlet(ours[1], r.over), newOutlet(ours[2], r.over)
	ctx, cancel := context.WithCancel(context.Background())
	r.kill = cancel
	r.group.Go(func() {
		defer func() { _ = r.errs.file.Close() }()
		_, _ = io.Copy(&r.log, r.errs) // it ends soon after the driver
	})
	go func() {
		defer close(r.ended)
		defer cancel()
		r.result, r.err = r.way.Run(ctx, w, c)
		closeAll(theirs[:]) // whoever reads comes to the end
		close(r.over)
		r.out.expire()
		r.errs.expire()
		r.group.Wait()
	}()
	return nil
}

func closeAll(lists ...[]*os.File) {
	for _, f := range slices.Concat(lists...) {
		_ = f.Close() // of a pipe, it cannot fail
	}
}

// toolFolders are where tools keep what they have fetched and built below the home
// of the user, by the variable that names them: drivers may be scripts that need
// it, and have another home.
var toolFolders = []struct{ variable, folder string }{
	{"GOPATH", "go"}, {"CARGO_HOME", ".cargo"}, {"RUSTUP_HOME", ".rustup"}, {"NUGET_PACKAGES", ".nuget/packages"}, {"GEM_HOME", ".gem"},
	{"GOCACHE", ".cache/go-build"}, {"GOCACHE", "Library/Caches/go-build"}, {"GOCACHE", "AppData/Local/go-build"}, // of Linux, macOS and Windows
	{"PYTHONUSERBASE", ".local"}, {"PYTHONUSERBASE", "AppData/Roaming/Python"},
}

// inherited is the environment of this process without what would lead a client
// elsewhere, or to the credentials of the user.
func (r *process) inherited(environ []string) []string {
	home := cmp.Or(variable(environ, "HOME"), variable(environ, "USERPROFILE"))
	env := slices.DeleteFunc(fakeentra.CleanEnviron(environ), func(v string) bool {
		name, _, _ := strings.Cut(strings.ToUpper(v), "=")
		return strings.HasPrefix(name, "AZURE_") || strings.HasPrefix(name, "XDG_")
	})
	for _, tool := range toolFolders {
		path := filepath.Join(home, tool.folder)
		if _, err := os.Stat(path); err == nil && home != "" && variable(env, tool.variable) == "" {
			env = append(env, tool.variable+"="+path)
		}
	}
	env = append(env, "HOME="+filepath.Join(r.folder, "home"), "TMPDIR="+filepath.Join(r.folder, "tmp"))
	if runtime.GOOS == "windows" {
		for _, name := range []string{"USERPROFILE", "APPDATA", "LOCALAPPDATA"} {
			env = append(env, name+"="+filepath.Join(r.folder, "home"))
		}
		env = append(env, "TMP="+filepath.Join(r.folder, "tmp"), "TEMP="+filepath.Join(r.folder, "tmp"))
	}
	return env
}

// variable returns the value that counts: the last one.
func variable(env []string, name string) string {
	for _, v := range slices.Backward(env) {
		if value, ok := strings.CutPrefix(v, name+"="); ok {
			return value
		}
	}
	return ""
}
