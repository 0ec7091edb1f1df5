package control

import (
	"net/http"
	"strconv"
	"time"

	"github.com/fakeentra/fakeentra/internal/edge"
)

const clockExample = `{"advance": "2h"} or {"set": "2025-01-15T12:00:00Z"}`

type wireClock struct {
	Now string `json:"now"` // RFC 3339 with fractions of a second
}

func (c *call) clock() edge.Response {
	return edge.JSON(http.StatusOK, wireClock{c.Now().Format(time.RFC3339Nano)})
}

func getClock(c *call) (edge.Response, *refusal) { return c.clock(), nil }

func postClock(c *call) (edge.Response, *refusal) {
	texts, no := readTexts(c.body, clockExample, "advance", "set")
	if no != nil {
		return edge.Response{}, no
	}
	advance, hasAdvance := texts["advance"]
	set, hasSet := texts["set"]
	switch {
	case hasAdvance && hasSet:
		no = refuse("bad-body", "the request body says both advance and set").expecting(clockExample)
	case hasAdvance:
		no = c.advance(advance)
	case hasSet:
		no = c.set(set)
	default:
		no = refuse("bad-body", "the request body says neither advance nor set").expecting(clockExample)
	}
	if no != nil {
		return edge.Response{}, no
	}
	return c.clock(), nil
}

func (c *call) advance(by string) *refusal {
	d, err := time.ParseDuration(by)
	if err != nil {
		return refuse("bad-body", "advance is "+strconv.Quote(by)).expecting("a duration, such as 2h, 90m or -30s")
	}
	if no := showable(c.Now().Add(d)); no != nil {
		return no
	}
	return moved(c.Advance(d))
}

func (c *call) set(to string) *refusal {
	t, err := time.Parse(time.RFC3339, to)
	if err != nil {
		return refuse("bad-body", "set is "+strconv.Quote(to)).expecting("a time in RFC 3339, such as 2025-01-15T12:00:00Z")
	}
	if no := showable(t); no != nil {
		return no
	}
	return moved(c.SetTime(t))
}

// showable keeps the clock where tokens can carry its time and where its offset
// to the host's clock does not overflow.
func showable(t time.Time) *refusal {
	if year := t.UTC().Year(); year < 1970 || year > 2199 {
		return refuse("time-out-of-range", year)
	}
	return nil
}

func moved(err error) *refusal {
	if err != nil {
		return refuse("cannot", err).expecting("a cloud whose clock can be moved")
	}
	return nil
}
