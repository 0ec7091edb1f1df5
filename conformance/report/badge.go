package report

import (
	"encoding/json"
	"io"

	"github.com/fakeentra/fakeentra/conformance/suite"
)

// Badge writes what a client's standing at a level looks like, in the form that the
// endpoint badges of shields.io have. A level with gaps has another colour than one
// without.
func Badge(w io.Writer, s suite.Standing) error {
	colour := "brightgreen"
	switch {
	case !s.Reached():
		colour = "red"
	case len(s.Gaps) > 0:
		colour = "yellow"
	}
	return json.NewEncoder(w).Encode(map[string]any{
		"schemaVersion": 1, "label": "workload identity conformance", "message": s.String(), "color": colour,
	})
}
