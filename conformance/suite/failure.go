package suite

import (
	"fmt"

	"github.com/fakeentra/fakeentra/conformance/internal/lab"
)

// failureChecks are about errors and retries at the token endpoint.
func failureChecks() []*Check { return nil }

// entraRefusal is a refusal as the token endpoint writes them.
func entraRefusal(status int, oauth string, code int, text string) *lab.Answer {
	const trace, correlation, when = "7c1a2b3d-0001-4a5b-8c9d-0e1f2a3b4c5d", "7c1a2b3d-0002-4a5b-8c9d-0e1f2a3b4c5d", "2026-11-28 12:00:00Z"
	return lab.JSON(status, map[string]any{
		"error":             oauth,
		"error_description": fmt.Sprintf("AADSTS%d: %s Trace ID: %s Correlation ID: %s Timestamp: %s", code, text, trace, correlation, when),
		"error_codes":       []int{code}, "timestamp": when, "trace_id": trace, "correlation_id": correlation,
		"error_uri": fmt.Sprintf("https://login.microsoftonline.com/error?code=%d", code),
	})
}
