package idle

import (
	"sync"
	"testing"
)

func TestWhatWasGivenLastIsTakenFirst(t *testing.T) {
	var p Pool[string]
	if thing, ok := p.Take(); ok {
		t.Errorf("an empty pool has %q", thing)
	}
	p.Give("one")
	p.Give("two")
	for _, want := range []string{"two", "one"} {
		if thing, ok := p.Take(); !ok || thing != want {
			t.Errorf("Take returns %q, %t; want %q", thing, ok, want)
		}
	}
	if thing, ok := p.Take(); ok {
		t.Errorf("a pool that was emptied has %q", thing)
	}
}

func TestNothingIsTakenTwice(t *testing.T) {
	const things = 100
	var p Pool[int]
	var group sync.WaitGroup
	for i := range things {
		group.Go(func() { p.Give(i) })
	}
	group.Wait()
	taken := make([]bool, things)
	var mu sync.Mutex
	for range things {
		group.Go(func() {
			thing, ok := p.Take()
			mu.Lock()
			defer mu.Unlock()
			if !ok || taken[thing] {
				t.Errorf("%d was taken before, or nothing was there: %t", thing, ok)
			}
			taken[thing] = true
		})
	}
	group.Wait()
}
