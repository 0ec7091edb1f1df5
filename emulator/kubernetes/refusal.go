package kubernetes

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/fakeentra/fakeentra/internal/edge"
)

// A row is a refusal as a client sees it.
type row struct {
	name     string // for fault rules and the journal
	status   int
	code     string // reason of a Status, or error of the token proxy
	text     string // {name} stands for a value of the refusal
	form     func(w row, text string) edge.Response
	fidelity edge.Fidelity
	source   string
}

const apiServerSource = "Kubernetes staging/src/k8s.io/apimachinery pkg/api/errors"

// rows are all refusals.
var rows = []row{
	{name: "unauthorized", status: 401, code: "Unauthorized", text: "Unauthorized", form: apiStatus, fidelity: edge.Faithful, source: apiServerSource},
	{name: "malformed", status: 400, code: "BadRequest", text: "the object provided is unrecognized (must be of type TokenRequest)", form: apiStatus, fidelity: edge.Approximate, source: apiServerSource},
	{name: "not-bound", status: 403, code: "Forbidden", text: "node requested token not bound to a pod", form: apiStatus, fidelity: edge.Approximate, source: "Kubernetes plugin/pkg/admission/noderestriction, without the words around it"},
	{name: "invalid", status: 422, code: "Invalid", text: `TokenRequest.authentication.k8s.io "" is invalid: spec.expirationSeconds: Invalid value: {seconds}: {rule}`, form: apiStatus, fidelity: edge.Faithful, source: "Kubernetes pkg/apis/authentication/validation"},
	{name: "no-service-account", status: 404, code: "NotFound", text: `serviceaccounts "{name}" not found`, form: apiStatus, fidelity: edge.Faithful, source: apiServerSource},
	{name: "not-found", status: 404, code: "NotFound", text: "the server could not find the requested resource", form: apiStatus, fidelity: edge.Faithful, source: apiServerSource},
	{name: "method", status: 405, code: "MethodNotAllowed", text: "the server does not allow this method on the requested resource", form: apiStatus, fidelity: edge.Faithful, source: apiServerSource},
	{name: "too-large", status: 413, code: "RequestEntityTooLarge", text: "Request entity too large: limit is 3145728", form: apiStatus, fidelity: edge.Approximate, source: apiServerSource},
	{name: "failed", status: 500, code: "InternalError", text: "Internal error occurred", form: apiStatus, fidelity: edge.Approximate, source: apiServerSource},

	// What the token proxy refuses is not documented: these have the form of the
	// token service, which clients of it expect.
	{name: "proxy-request", status: 400, code: "invalid_request", text: "The token request is malformed.", form: oauth, fidelity: edge.Approximate, source: "RFC 6749 section 5.2"},
	{name: "proxy-assertion", status: 401, code: "invalid_client", text: "The service account token is not valid.", form: oauth, fidelity: edge.Approximate, source: "RFC 6749 section 5.2; bindings for the audience"},
	{name: "proxy-not-bound", status: 403, code: "unauthorized_client", text: "The service account may not use the managed identity.", form: oauth, fidelity: edge.Approximate, source: "RFC 6749 section 5.2; bindings, Authorize namespaces and service accounts"},
	{name: "proxy-failed", status: 502, code: "temporarily_unavailable", text: "The token service does not answer.", form: oauth, fidelity: edge.Approximate, source: "RFC 9110 section 15.6.3"},
}

// apiStatus is the form of an API server: an object of the kind Status.
func apiStatus(w row, text string) edge.Response {
	return edge.JSON(w.status, struct {
		Kind       string   `json:"kind"`
		APIVersion string   `json:"apiVersion"`
		Metadata   struct{} `json:"metadata"`
		Status     string   `json:"status"`
		Message    string   `json:"message"`
		Reason     string   `json:"reason"`
		Code       int      `json:"code"`
	}{"Status", "v1", struct{}{}, "Failure", text, w.code, w.status})
}

// oauth is the form of token endpoints.
func oauth(w row, text string) edge.Response {
	return edge.JSON(w.status, struct {
		Error       string `json:"error"`
		Description string `json:"error_description"`
	}{w.code, text})
}

// A refusal names a row, says why it applies to this request, and holds what
// its text is about.
type refusal struct {
	row, why string
	values   []string
}

func because(row, format string, args ...any) *refusal {
	return &refusal{row: row, why: fmt.Sprintf(format, args...)}
}

func (no *refusal) with(name, value string) *refusal {
	no.values = append(no.values, "{"+name+"}", value)
	return no
}

func named(name string) (row, bool) {
	i := slices.IndexFunc(rows, func(w row) bool { return w.name == name })
	if i < 0 {
		return row{}, false
	}
	return rows[i], true
}

// refuse answers with a refusal and records it under the name of its row.
func refuse(r *edge.Request, no *refusal) edge.Response {
	w, _ := named(no.row) // a test provokes every row
	r.Explain(w.name, no.why)
	return w.render(no.values...)
}

func (w row) render(values ...string) edge.Response {
	resp := w.form(w, strings.NewReplacer(values...).Replace(w.text))
	resp.Header["Content-Type"] = []string{"application/json"}
	return resp
}

// Refuse answers with the row that a fault rule names.
func (s *Service) Refuse(r *edge.Request, code string) (edge.Response, bool) {
	return refuseFor(r, code)
}

// TooLarge answers a request that is larger than the edge accepts.
func (s *Service) TooLarge(*edge.Request) edge.Response { return tooLarge() }

func refuseFor(r *edge.Request, code string) (edge.Response, bool) {
	w, ok := named(code)
	if !ok {
		return edge.Response{}, false
	}
	return refuse(r, because(w.name, "a fault rule asked for this refusal (%d %s)", w.status, w.text)), true
}

func tooLarge() edge.Response {
	w, ok := named("too-large")
	if !ok {
		return edge.Response{Status: http.StatusRequestEntityTooLarge}
	}
	return w.render()
}
