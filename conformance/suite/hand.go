package suite

import (
	"time"

	"github.com/fakeentra/fakeentra/conformance/driver"
	"github.com/fakeentra/fakeentra/conformance/internal/lab"
	"github.com/fakeentra/fakeentra/conformance/internal/stage"
	"github.com/fakeentra/fakeentra/emulator/journal"
)

// A ByHand is a client that people run, who are told when, and how it has to be
// configured. Its functions are called from one goroutine at a time, and none may be
// nil.
type ByHand struct {
	// Ports is the first of the ports of loopback that the endpoints get; free ones
	// if 0.
	Ports int
	// Lines are what people type: an empty one says that the client has ended, and
	// then one says what it came to, its token or its error; an empty one, that it is
	// as was assumed. It is closed where there is nobody to type.
	Lines <-chan string
	// Wait is how long a client is waited for; any time if 0 and there is somebody to
	// type, and a minute if there is nobody.
	Wait time.Duration
	// Settle is how long nothing has to come in after an exchange that succeeded to
	// say that the client has ended, and five times as long after another one.
	Settle time.Duration

	// Place says how the client of a session has to be configured, which the tasks name.
	Place    func(session string, c driver.Config, variables []string)
	Task     func(r driver.Request, again bool)       // what it is to do; again: by the same process
	Seen     func(op, method, url string, status int) // what came in, when it was answered
	Stray    func(host string)                        // what it asked the proxy for
	Question func(assumed string)                     // what did it come to?
}

// Manually returns the target of a client that people run, in the wiring [Attach]. What
// it makes of an exchange is taken from the wire where nobody says it; cases that are
// about its words are inconclusive then. [Options.Steady] and a large [Options.Scale]
// suit it.
func Manually(h ByHand) Target {
	return Target{&stage.Hand{
		Ports: h.Ports, Lines: h.Lines, Wait: h.Wait, Settle: h.Settle, Place: h.Place, Task: h.Task, Stray: h.Stray,
		Seen: func(x *lab.Exchange) {
			h.Seen(string(x.Op), x.Method, journal.Redact(x.URL.Redacted()), x.Status)
		},
		Question: func(o driver.Outcome) {
			assumed := Got{Outcome: o}.String()
			if o.Error != nil {
				assumed = "an error"
			}
			h.Question(assumed)
		},
	}}
}
