package main

import (
	"bufio"
	"crypto/tls"
	"encoding/json"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/fakeentra/fakeentra/internal/toolchain"
)

// program builds the real thing, as a release is built, and installs it; the test
// binary is several times as large. The linker leaves its file in the cache of
// Linux page by page, and a process that maps it so takes a millisecond longer.
func program(b *testing.B) string {
	b.Helper()
	folder := b.TempDir()
	linked, path := filepath.Join(folder, "linked"), filepath.Join(folder, "fakeentra")
	build := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", linked, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		b.Fatalf("%v\n%s", err, out)
	}
	content, err := os.ReadFile(linked)
	if err == nil {
		err = os.WriteFile(path, content, 0o755)
	}
	if err != nil {
		b.Fatal(err)
	}
	return path
}

// startServer starts a server, and returns it when it is ready.
func startServer(b *testing.B, path, state string, args ...string) (*exec.Cmd, ready) {
	b.Helper()
	readyFile := filepath.Join(b.TempDir(), "up")
	server := exec.Command(path, append([]string{"serve", "--ready-file", readyFile}, args...)...)
	server.Env = append(os.Environ(), "XDG_STATE_HOME="+state)
	stdout, err := server.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := server.Start(); err != nil {
		b.Fatal(err)
	}
	for lines := bufio.NewScanner(stdout); lines.Scan() && !strings.HasPrefix(lines.Text(), "export FAKEENTRA_CONTROL="); {
	}
	raw, err := os.ReadFile(readyFile)
	if err != nil {
		b.Fatal(err)
	}
	var up ready
	if err := json.Unmarshal(raw, &up); err != nil {
		b.Fatal(err)
	}
	return server, up
}

// firstExchange starts a server and lists blobs through its proxy, which takes
// an exchange. It returns the server, to be stopped.
func firstExchange(b *testing.B, path, state string, args ...string) *exec.Cmd {
	b.Helper()
	server, up := startServer(b, path, state, args...)
	proxy, err := url.Parse(up.Proxy)
	if err != nil {
		b.Fatal(err)
	}
	client := &http.Client{Transport: &http.Transport{Proxy: http.ProxyURL(proxy), TLSClientConfig: &tls.Config{RootCAs: trusting(b, up.Bundle)}, DisableKeepAlives: true}}
	if blobs, err := listBlobs(client); err != nil || len(blobs) != 3 {
		b.Fatalf("%v, %v", blobs, err)
	}
	return server
}

func stop(b *testing.B, server *exec.Cmd) {
	b.Helper()
	if err := server.Process.Signal(os.Interrupt); err != nil {
		b.Fatal(err)
	}
	if err := server.Wait(); err != nil {
		b.Fatal(err)
	}
}

// BenchmarkServeToFirstExchange goes from the start of the process to the first
// list of blobs over TLS. To reach: 100 ms with the key of an earlier start,
// 400 ms with a new one. Both are medians, and the ratio is to that of a process
// that only prints its version.
func BenchmarkServeToFirstExchange(b *testing.B) {
	path := program(b)
	for name, args := range map[string][]string{"kept-key": nil, "fresh-key": {"--fresh-keys"}} {
		b.Run(name, func(b *testing.B) {
			state := b.TempDir()
			stop(b, firstExchange(b, path, state, args...))
			var took, bare []time.Duration
			for b.Loop() {
				begin := time.Now()
				server := firstExchange(b, path, state, args...)
				took = append(took, time.Since(begin))
				stop(b, server)
				begin = time.Now()
				if err := exec.Command(path, "version").Run(); err != nil {
					b.Fatal(err)
				}
				bare = append(bare, time.Since(begin))
			}
			slices.Sort(took)
			slices.Sort(bare)
			b.ReportMetric(float64(took[0].Microseconds())/1000, "ms-at-best")
			b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "ms/start")
			b.ReportMetric(float64(took[len(took)/2])/float64(bare[len(bare)/2]), "x-bare-process")
		})
	}
}

// BenchmarkMemoryAtRest reports what a server holds after its first exchange. To
// reach: 40 MiB. The ratio is to one that has a control plane and no request.
func BenchmarkMemoryAtRest(b *testing.B) {
	path := program(b)
	var held, bare float64
	for b.Loop() {
		server := firstExchange(b, path, b.TempDir())
		held += resident(b, server.Process.Pid)
		stop(b, server)
		idle, _ := startServer(b, path, b.TempDir(), "--https", "", "--imds", "", "--proxy", "")
		bare += resident(b, idle.Process.Pid)
		stop(b, idle)
	}
	b.ReportMetric(held/float64(b.N), "MiB")
	b.ReportMetric(held/bare, "x-bare-server")
}

// resident returns the memory that a process has in MiB, on Linux.
func resident(b *testing.B, pid int) float64 {
	b.Helper()
	raw, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/status")
	if err != nil {
		toolchain.Without(b, "/proc", "run it on Linux ("+err.Error()+")")
	}
	for line := range strings.Lines(string(raw)) {
		if fields := strings.Fields(line); len(fields) == 3 && fields[0] == "VmRSS:" {
			kib, err := strconv.Atoi(fields[1])
			if err != nil {
				b.Fatal(err)
			}
			return float64(kib) / 1024
		}
	}
	b.Fatal("the process says nothing of its memory")
	return 0
}

// BenchmarkRun is what run adds to a command: the median of the time from the
// start of "fakeentra run -- /bin/true" to its end, over that of a bare
// /bin/true, in turns, on a machine that does little else. To reach: 15 ms in
// mode netns, 8 ms in mode notify.
func BenchmarkRun(b *testing.B) {
	path := program(b)
	for _, mode := range []string{"netns", "notify", "proxy"} {
		b.Run(mode, func(b *testing.B) {
			state := b.TempDir()
			timed := func(name string, args ...string) time.Duration {
				cmd := exec.Command(name, args...)
				cmd.Env = append(os.Environ(), "XDG_STATE_HOME="+state)
				begin := time.Now()
				if out, err := cmd.CombinedOutput(); err != nil {
					toolchain.Without(b, "the mode "+mode, string(out))
				}
				return time.Since(begin)
			}
			run := []string{"run", "--mode", mode, "--", "/bin/true"}
			timed(path, run...) // makes the key that later starts use
			var with, bare []time.Duration
			for b.Loop() {
				with = append(with, timed(path, run...))
				bare = append(bare, timed("/bin/true"))
			}
			slices.Sort(with)
			slices.Sort(bare)
			over := func(percent int) float64 {
				at := (len(with) - 1) * percent / 100
				return float64((with[at] - bare[at]).Microseconds()) / 1000
			}
			b.ReportMetric(over(50), "ms-over-bare")
			b.ReportMetric(over(95), "ms-over-bare-p95")
		})
	}
}
