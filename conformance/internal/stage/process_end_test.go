package stage

import (
	"os"
	"testing"
	"testing/synctest"
	"time"
)

func TestADriverIsMadeToEndAsLongAsItHasNot(t *testing.T) {
	const ever = time.Hour
	for name, c := range map[string]struct {
		asked       bool
		over, ended time.Duration // from the beginning
		told        int           // how often
		killed      bool
	}{
		"it ends when it is asked to":       {true, time.Second, time.Second, 0, false},
		"what it left running goes on":      {true, askedLimit - 1, ever, 0, false},
		"it ends when it is told to":        {true, askedLimit + 1, askedLimit + 1, 1, false},
		"it is told so at once":             {false, time.Second, time.Second, 1, false},
		"it is told so, what it left is on": {false, toldLimit - 1, ever, 1, false},
		"it is deaf":                        {true, askedLimit + toldLimit + 1, askedLimit + toldLimit + 1, 1, true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				killed := false
				r := &process{over: make(chan struct{}), ended: make(chan struct{}), signals: make(chan os.Signal, 1), kill: func() { killed = true }}
				time.AfterFunc(c.over, func() { close(r.over) })
				time.AfterFunc(c.ended, func() { close(r.ended) })
				r.finish(c.asked, nil, nil)
				if len(r.signals) != c.told || killed != c.killed || r.killed != c.killed {
					t.Errorf("told %d times, killed %v, said to be killed %v; want %d, %v", len(r.signals), killed, r.killed, c.told, c.killed)
				}
			})
		})
	}
}
