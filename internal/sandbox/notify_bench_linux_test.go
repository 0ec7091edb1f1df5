package sandbox

import (
	"context"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"
)

// BenchmarkNotifyStartUp runs a command with and without a sandbox, in turns,
// and reports what the sandbox adds, in the median. A part of it is the start of
// this test binary, which is larger than a program.
func BenchmarkNotifyStartUp(b *testing.B) {
	for name, v := range map[string]variant{"duplicate": duplicate, "install": install} {
		b.Run(name, func(b *testing.B) {
			w, err := exampleWorld(true)
			if err != nil {
				b.Fatal(err)
			}
			c := Command{Path: "/bin/true", Args: []string{"true"}, Env: []string{"PATH=/bin"}, Environ: func(ca, bundle string) []string { return []string{ca, bundle} }}
			var bare, inside []time.Duration
			for b.Loop() {
				start := time.Now()
				if err := exec.Command("/bin/true").Run(); err != nil {
					b.Fatal(err)
				}
				between := time.Now()
				if _, err := notifyBy(context.Background(), v, w, c); err != nil {
					b.Fatal(err)
				}
				bare, inside = append(bare, between.Sub(start)), append(inside, time.Since(between))
			}
			b.ReportMetric(float64(median(inside)-median(bare))/1e6, "added-ms")
		})
	}
}

func median(d []time.Duration) time.Duration {
	slices.Sort(d)
	return d[len(d)/2]
}

// BenchmarkNotifyConnect is what one connection takes, in the median: without a
// sandbox, in one to another port of this machine, and in one to the world.
func BenchmarkNotifyConnect(b *testing.B) {
	for _, way := range []struct{ mode, address string }{
		{"bare", ""}, {"duplicate", ""}, {"duplicate", "169.254.169.254:80"}, {"install", ""}, {"install", "169.254.169.254:80"},
	} {
		b.Run(way.mode+" "+way.address, func(b *testing.B) {
			cmd := sandboxed(b, order{Mode: way.mode}, "inside", "connect="+way.address)
			cmd.Stderr = os.Stderr
			out, err := cmd.Output()
			if err != nil {
				b.Fatal(err)
			}
			each, err := time.ParseDuration(strings.TrimSpace(string(out)))
			if err != nil {
				b.Fatal(err)
			}
			for b.Loop() { // the program inside has measured
			}
			b.ReportMetric(float64(each)/1e3, "µs/connect")
		})
	}
}
