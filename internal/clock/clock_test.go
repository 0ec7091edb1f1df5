package clock

import (
	"testing"
	"testing/synctest"
	"time"
)

func TestAdjustableFollowsVirtualTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c Adjustable
		start := c.Now()
		time.Sleep(time.Hour)
		if got := c.Now().Sub(start); got != time.Hour {
			t.Fatalf("after sleeping an hour the clock moved %v", got)
		}
		c.Advance(30 * time.Minute)
		if got := c.Now().Sub(start); got != 90*time.Minute {
			t.Fatalf("after Advance(30m) the clock shows %v after the start, want 1h30m", got)
		}
		c.Set(time.Date(2025, 1, 15, 12, 0, 0, 0, time.UTC))
		time.Sleep(time.Second)
		if got, want := c.Now(), time.Date(2025, 1, 15, 12, 0, 1, 0, time.UTC); !got.Equal(want) {
			t.Fatalf("after Set the clock shows %v, want %v", got, want)
		}
	})
}
