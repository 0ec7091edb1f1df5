package suite

// A Verdict is what a run says of a check.
type Verdict string

// The verdicts.
const (
	Pass         Verdict = "pass"
	Fail         Verdict = "fail"         // a MUST was not met
	Warn         Verdict = "warn"         // a SHOULD was not met
	Info         Verdict = "info"         // a MAY was not met
	Skip         Verdict = "skip"         // the client cannot do what the check is about
	Inconclusive Verdict = "inconclusive" // the client never came to what the check provokes
	Error        Verdict = "error"        // the driver crashed or broke the protocol
	Timeout      Verdict = "timeout"      // the driver did not answer in time
	XFail        Verdict = "xfail"        // not met, as is expected of this client
	XPass        Verdict = "xpass"        // met, though it was expected not to be
)

// Verdicts lists all there are, the best one first.
func Verdicts() []Verdict {
	return []Verdict{Pass, XFail, Info, Warn, Skip, XPass, Inconclusive, Fail, Timeout, Error}
}

// Unexpected reports whether a verdict fails a run, which may be a strict one.
func (v Verdict) Unexpected(strict bool) bool {
	switch v {
	case Fail, Inconclusive, Error, Timeout, XPass:
		return true
	case Warn:
		return strict
	}
	return false
}

// unmet is the verdict on a requirement that was not met.
func (l Level) unmet() Verdict {
	switch l {
	case Should:
		return Warn
	case May:
		return Info
	}
	return Fail
}

// A Condition is one thing that a case looked at. Its ID begins with that of the
// check, as in AST-13.trap.
type Condition struct {
	ID       string `json:"id"`
	Met      bool   `json:"met"`
	Expected string `json:"expected"`
	Actual   string `json:"actual"` // what there was instead; it means nothing if the condition is met
}

// Worse returns the verdict that counts of two.
func Worse(a, b Verdict) Verdict {
	if rank(a) > rank(b) {
		return a
	}
	return b
}

func rank(v Verdict) int {
	for i, other := range []Verdict{Skip, Pass, XFail, Info, Warn, XPass, Fail, Inconclusive, Timeout, Error} {
		if v == other {
			return i
		}
	}
	return -1
}
