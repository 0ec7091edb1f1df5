package control

import (
	"errors"
	"net/http"

	"github.com/fakeentra/fakeentra/emulator/fault"
	"github.com/fakeentra/fakeentra/internal/edge"
)

type wireFaults struct {
	Faults []fault.Status `json:"faults"`
}

func (c *call) faults() edge.Response {
	all := c.Faults()
	if all == nil {
		all = []fault.Status{} // [] and not null
	}
	return edge.JSON(http.StatusOK, wireFaults{all})
}

func getFaults(c *call) (edge.Response, *refusal) { return c.faults(), nil }

func postFaults(c *call) (edge.Response, *refusal) {
	specs, err := fault.ParseSpecs(c.body)
	if err != nil {
		return edge.Response{}, badRule(err)
	}
	rules, err := fault.Rules(specs...)
	if err != nil {
		return edge.Response{}, badRule(err)
	}
	if err := c.Inject(rules...); err != nil {
		return edge.Response{}, refuse("cannot", err).expecting("rules for operations that this cloud has, named as in the journal")
	}
	return c.faults(), nil
}

func badRule(err error) *refusal {
	var wrong *fault.SpecError
	if errors.As(err, &wrong) {
		return refuse("bad-body", "fault rule: "+wrong.What()).expecting(wrong.Expected)
	}
	return refuse("bad-body", err.Error()).expecting("a fault rule, or a list of them")
}

func deleteFaults(c *call) (edge.Response, *refusal) {
	c.ClearFaults()
	return done(), nil
}
