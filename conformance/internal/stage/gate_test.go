package stage

import (
	"runtime"
	"testing"
	"testing/synctest"
	"time"
)

func TestFewDriversBeginAtATime(t *testing.T) {
	for name, pass := range map[string]func(*beginning){
		"two answers":           func(b *beginning) { b.answered(); b.answered() },
		"its end":               func(b *beginning) { b.end(); b.end() },
		"a first answer, later": func(b *beginning) { b.answered(); time.Sleep(3 * time.Second) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var g gate
				var all []*beginning
				for range 2 * runtime.NumCPU() {
					all = append(all, g.enter())
				}
				in := make(chan *beginning, 1)
				go func() { in <- g.enter() }()
				time.Sleep(time.Second) // no real time
				if len(in) > 0 {
					t.Fatal("one more than there is place for has begun")
				}
				pass(all[0])
				synctest.Wait()
				if len(in) == 0 {
					t.Fatal("nobody takes the place that is free")
				}
				for _, b := range append(all, <-in) {
					b.end()
				}
				time.Sleep(time.Hour) // what is left to happen
			})
		})
	}
}
