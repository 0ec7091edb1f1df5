package sandbox

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/fakeentra/fakeentra/internal/pki"
)

// TestMain makes this test binary several programs: the tests, one that makes
// sandboxes, to be run as other users and killed, and others to run inside.
func TestMain(m *testing.M) {
	Child()
	if len(os.Args) > 1 {
		switch os.Args[1] {
		case "outside":
			os.Exit(outside(os.Args[2:]))
		case "inside":
			os.Exit(inside(os.Args[2:]))
		case "deserter":
			desert()
		case "contained":
			panic(contained(os.Args[2:]))
		case "without6":
			panic(withoutIPv6(os.Args[2:]))
		}
	}
	if err := os.Setenv("GORACE", "atexit_sleep_ms=0 "+os.Getenv("GORACE")); err != nil { // every process would sleep for a second
		panic(err)
	}
	os.Exit(m.Run())
}

// deadline is how long anything may take before a test gives up.
const deadline = 30 * time.Second

// An order is what the program that makes sandboxes is told, in the variable
// ORDER.
type order struct {
	Mode             string
	Laptop           bool
	Forward, Publish []int
	Egress           []Egress
	Real             string // address that stands for those of Egress
	Endpoints        []int  // ports
	Mounts           []Mount
	IPv6             []string
}

// outside runs a command in a sandbox whose world knows *.example.com, and ends
// as it does. The leaks are the last line of standard error, if there are any.
func outside(args []string) int {
	var o order
	if err := json.Unmarshal([]byte(os.Getenv("ORDER")), &o); err != nil {
		panic(err)
	}
	w, err := exampleWorld(!o.Laptop)
	if err != nil {
		panic(err)
	}
	w.Mounts, w.IPv6 = o.Mounts, o.IPv6
	for _, port := range o.Endpoints {
		w.Endpoints = append(w.Endpoints, Endpoint{port, echoEndpoint})
	}
	path, err := exec.LookPath(args[0])
	if err != nil {
		path = args[0] // to see how that fails
	}
	ways := map[string]func(context.Context, World, Command) (Result, error){"netns": Netns, "notify": Notify, "duplicate": notifyIn(duplicate), "install": notifyIn(install), "bare": bare}
	result, err := ways[o.Mode](context.Background(), w, Command{
		Path: path, Args: args, Env: os.Environ(), Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr, Forward: o.Forward, Publish: o.Publish, Egress: o.Egress,
		Dial:    func(context.Context, Egress) (net.Conn, error) { return net.Dial("tcp", o.Real) },
		Environ: func(ca, bundle string) []string { return []string{"CA=" + ca, "SSL_CERT_FILE=" + bundle} },
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, "outside:", err)
		if errors.Is(err, ErrUnavailable) {
			return 99
		}
		return 98
	}
	if len(result.Leaks) > 0 {
		fmt.Fprintln(os.Stderr, "leaks:", result.Leaks)
	}
	return result.Status
}

// exampleWorld answers every request with what was asked for.
func exampleWorld(metadata bool) (World, error) {
	authority, err := pki.New(time.Now(), "example.com")
	if err != nil {
		return World{}, err
	}
	echo := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/close" { // before the client does
			w.Header().Set("Connection", "close")
		}
		_, _ = fmt.Fprint(w, r.Host+r.URL.Path)
	})
	return World{
		Knows: func(name string) bool { return strings.HasSuffix(name, ".example.com") },
		Serve: func(ctx context.Context, https, http80 net.Listener) error {
			plain, secure := &http.Server{Handler: echo}, &http.Server{Handler: echo, TLSConfig: authority.TLSConfig("x.example.com")}
			done := make(chan error, 2)
			go func() { done <- plain.Serve(http80) }()
			go func() { done <- secure.ServeTLS(https, "", "") }()
			<-ctx.Done()
			_, _ = plain.Close(), secure.Close()
			_, _ = <-done, <-done
			return nil
		},
		CA: authority.PEM(), Metadata: metadata,
	}, nil
}

// inside does what its words say, and prints the outcome of each.
func inside(words []string) int {
	for _, word := range words {
		verb, object, _ := strings.Cut(word, "=")
		text, err := insideVerbs[verb](object)
		if err != nil {
			text = "error: " + lastCause(err)
		}
		fmt.Println(text)
	}
	return 0
}

var insideVerbs = map[string]func(string) (string, error){
	"get": get,
	"lookup": func(name string) (string, error) {
		all, err := net.LookupHost(name)
		return strings.Join(all, " "), err
	},
	"dial": func(address string) (string, error) {
		c, err := net.DialTimeout("tcp", address, deadline)
		if err != nil {
			return "", err
		}
		return "connected", c.Close()
	},
	"hear":   hear,
	"status": func(field string) (string, error) { return statusField(os.Getpid(), field) },
	"read": func(file string) (string, error) {
		b, err := os.ReadFile(file)
		return strings.TrimSpace(string(b)), err
	},
	"env":   func(name string) (string, error) { return os.Getenv(name), nil },
	"uid":   func(string) (string, error) { return fmt.Sprintf("%d %d", os.Getuid(), os.Getgid()), nil },
	"serve": serveOnce,
	"wait":  func(string) (string, error) { select {} },
	"raise": func(number string) (string, error) {
		var n syscall.Signal
		if _, err := fmt.Sscan(number, &n); err != nil {
			return "", err
		}
		signal.Reset(n)
		return "", syscall.Kill(os.Getpid(), n)
	},
	"many":     getMany,
	"connect":  timeConnect,
	"reuse":    reusePort,
	"datagram": sendDatagram,
	"exit":     func(string) (string, error) { os.Exit(42); return "", nil },
}

func get(url string) (string, error) {
	pool := x509.NewCertPool()
	bundle, err := os.ReadFile(os.Getenv("SSL_CERT_FILE"))
	if err != nil {
		return "", err
	}
	pool.AppendCertsFromPEM(bundle)
	resp, err := http.Get(url)
	if err != nil {
		return "", err
	}
	body, err := io.ReadAll(resp.Body)
	return string(body), errors.Join(err, resp.Body.Close())
}

// serveOnce says that it listens on a port, and answers one connection with what
// it read up to the end.
func serveOnce(port string) (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:"+port)
	if err != nil {
		return "", err
	}
	fmt.Println("listening")
	c, err := l.Accept()
	if err != nil {
		return "", err
	}
	text, err := io.ReadAll(c)
	if err != nil {
		return "", err
	}
	if _, err := fmt.Fprintf(c, "got %s", text); err != nil {
		return "", err
	}
	return "served", errors.Join(c.Close(), l.Close())
}

func lastCause(err error) string {
	if errno, ok := errors.AsType[syscall.Errno](err); ok {
		return errno.Error()
	}
	if e, ok := errors.AsType[*net.DNSError](err); ok {
		return e.Err
	}
	return err.Error()
}

func statusField(pid int, field string) (string, error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	for line := range strings.Lines(string(status)) {
		if name, value, _ := strings.Cut(line, ":"); name == field {
			return strings.TrimSpace(value), nil
		}
	}
	return "", err
}

// sandboxed is the command that runs this binary outside and a command inside.
func sandboxed(t testing.TB, o order, command ...string) *exec.Cmd {
	t.Helper()
	text, err := json.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	if command[0] == "inside" {
		command = slices.Concat([]string{"/proc/self/exe"}, command)
	}
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, "/proc/self/exe", append([]string{"outside"}, command...)...)
	cmd.Env = append(os.Environ(), "ORDER="+string(text))
	return cmd
}
