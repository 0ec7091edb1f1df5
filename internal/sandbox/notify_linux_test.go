package sandbox

import (
	"context"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// notifyIn is Notify in one variant.
func notifyIn(v variant) func(context.Context, World, Command) (Result, error) {
	return func(ctx context.Context, w World, c Command) (Result, error) { return notifyBy(ctx, v, w, c) }
}

// eachWay runs a test in both variants, as every user.
func eachWay(t *testing.T, test func(t *testing.T, run func(o order, command ...string) (stdout, stderr string, code int))) {
	t.Helper()
	for _, variant := range []string{"duplicate", "install"} {
		for name, as := range users() {
			t.Run(variant+" as "+name, func(t *testing.T) {
				test(t, func(o order, command ...string) (string, string, int) {
					o.Mode = variant
					return run(t, sandboxed(t, o, command...), as)
				})
			})
		}
	}
}

func TestNotifyAnswersForTheWorld(t *testing.T) {
	eachWay(t, func(t *testing.T, run func(order, ...string) (string, string, int)) {
		out, errs, code := run(order{}, "inside",
			"get=https://login.example.com/token", "get=http://login.example.com/plain", "get=http://169.254.169.254/metadata",
			"lookup=login.example.com", "lookup=LOGIN.example.COM", "lookup=localhost", "lookup=www.example.org.",
			"dial=192.0.2.1:443", "dial=[2001:db8::1]:443", "dial=192.0.2.1:443",
			"dial=127.0.0.1:1", "dial=169.254.169.254:443", "dial=198.18.0.1:8080", "status=NoNewPrivs",
		)
		want := `login.example.com/token
login.example.com/plain
169.254.169.254/metadata
198.18.0.1
198.18.0.1
127.0.0.1
error: no such host
error: network is unreachable
error: network is unreachable
error: network is unreachable
error: connection refused
error: connection refused
error: connection refused
1
`
		if diff := cmp.Diff(want, out); diff != "" || code != 0 {
			t.Errorf("exit code %d, output (-want +got):\n%s", code, diff)
		}
		if want := "leaks: [{connect 192.0.2.1:443 2} {connect [2001:db8::1]:443 1} {dns www.example.org 2}]\n"; errs != want {
			t.Errorf("standard error %q, want %q", errs, want)
		}
	})
}

func TestNotifyOnALaptopHasNoMetadata(t *testing.T) {
	eachWay(t, func(t *testing.T, run func(order, ...string) (string, string, int)) {
		out, errs, code := run(order{Laptop: true}, "inside", "dial=169.254.169.254:80", "get=http://login.example.com/")
		if out != "error: network is unreachable\nlogin.example.com/\n" || errs != "" || code != 0 {
			t.Errorf("exit code %d, output %q, standard error %q", code, out, errs)
		}
	})
}

func TestNotifyEndsAsItsCommandDoes(t *testing.T) {
	eachWay(t, func(t *testing.T, run func(order, ...string) (string, string, int)) {
		for _, end := range []struct {
			command []string
			status  int
		}{
			{[]string{"inside", "exit"}, 42}, {[]string{"true"}, 0}, {[]string{"sh", "-c", "kill -9 $$"}, 137}, {[]string{"sh", "-c", "kill -15 $$"}, 143},
		} {
			if _, errs, code := run(order{}, end.command...); code != end.status || errs != "" {
				t.Errorf("%q: exit code %d, want %d; standard error %q", end.command, code, end.status, errs)
			}
		}
		_, errs, code := run(order{}, "/etc/passwd")
		if want := "outside: exec /etc/passwd: permission denied\n"; errs != want || code != 98 {
			t.Errorf("exit code %d, standard error %q, want %q", code, errs, want)
		}
	})
}
