package main

import (
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/fakeentra/fakeentra/emulator/journal"
	"github.com/fakeentra/fakeentra/emulator/token"
)

// A step says what an operation means in the exchange.
type step struct{ who, what string }

var steps = map[journal.Op]step{
	"sts.instance-discovery":   {"MSAL -> Entra", "is this a login host of Microsoft?"},
	"sts.openid-configuration": {"MSAL -> Entra", "where are the tenant's endpoints?"},
	"imds.token":               {"MSAL -> IMDS", "a token of build-agent, for the exchange"},
	"sts.token":                {"MSAL -> Entra", "a token of exporter, for that token"},
	"blob.list-blobs":          {"program -> Blob", "the blobs, with exporter's token"},
}

// show prints what was added to the journal since it was called last.
func (d *demonstration) show() {
	entries := d.cloud.Journal().Entries
	for _, e := range entries[d.shown:] {
		d.showEntry(e)
	}
	d.shown = len(entries)
}

func (d *demonstration) showEntry(e journal.Entry) {
	s := steps[e.Op]
	target, _, _ := strings.Cut(e.Request.URL, "?")
	d.say("#%d  %-16s %s\n", e.Seq, s.who, s.what)
	d.say("      %s %s\n", e.Request.Method, target)
	for _, line := range asked(e) {
		d.say("      %s\n", line)
	}
	if e.Decision.Code != "" {
		d.say("    = %d refused: %s\n      why: %s\n\n", e.Response.Status, e.Decision.Code, wrap(e.Decision.Why, 70, "           "))
		return
	}
	d.say("    = %d %s\n", e.Response.Status, outcome(e))
	for _, line := range d.claims(e) {
		d.say("      %s\n", line)
	}
	d.say("\n")
}

// outcome says what was decided in the developer's favour.
func outcome(e journal.Entry) string {
	switch e.Op {
	case "imds.token":
		return "granted: build-agent is assigned to vm1"
	case "sts.token":
		i := slices.IndexFunc(e.Facts, func(f journal.Fact) bool { return f.Key == "credential" })
		if i >= 0 {
			return "granted: issuer, audience and subject are those of " + e.Facts[i].Value
		}
	case "blob.list-blobs":
		return "granted: exporter is Storage Blob Data Reader"
	}
	return "answered"
}

// asked returns the parameters that matter.
func asked(e journal.Entry) []string {
	values, _ := url.ParseQuery(string(e.Request.Body)) // the body of a token request is a form
	if u, err := url.Parse(e.Request.URL); err == nil && e.Op == "imds.token" {
		values = u.Query()
	}
	var out []string
	for _, name := range []string{"resource", "client_id", "scope"} {
		if v := values.Get(name); v != "" && (e.Op == "imds.token" || e.Op == "sts.token") {
			out = append(out, fmt.Sprintf("%-16s = %s", name, v))
		}
	}
	for _, seq := range e.Used {
		name := map[journal.Op]string{"sts.token": "client_assertion"}[e.Op]
		if name == "" {
			name = "Authorization"
		}
		out = append(out, fmt.Sprintf("%-16s = the token of #%d", name, seq))
	}
	return out
}

// claims returns what the token in an answer says, with the names of the
// identifiers in it.
func (d *demonstration) claims(e journal.Entry) []string {
	var body struct {
		AccessToken string `json:"access_token"`
	}
	if json.Unmarshal(e.Response.Body, &body) != nil || body.AccessToken == "" {
		return nil
	}
	t, err := token.Parse(body.AccessToken)
	if err != nil {
		return []string{err.Error()}
	}
	out := []string{"the token says:"}
	for _, c := range []struct{ name, value string }{
		{"iss", t.Claims.Issuer}, {"sub", d.name(t.Claims.Subject)}, {"aud", d.name(strings.Join(t.Claims.Audience, " "))},
		{"azp", d.name(t.Claims.AZP)}, {"appid", d.name(t.Claims.AppID)},
		{"valid", fmt.Sprintf("%s from now on", t.Claims.Expires.Time().Sub(e.Time).Round(time.Minute))},
	} {
		if c.value != "" {
			out = append(out, fmt.Sprintf("  %-6s %s", c.name, c.value))
		}
	}
	return out
}

// name adds what an identifier is to it.
func (d *demonstration) name(id string) string {
	known := map[string]string{
		string(d.agent.ObjectID): "principal ID of build-agent", string(d.agent.ClientID): "client ID of build-agent",
		string(d.app.ClientID): "client ID of exporter", string(d.app.PrincipalID()): "service principal of exporter",
		"fb60f99c-7a34-4190-8149-302f77469936": "api://AzureADTokenExchange",
	}
	if what := known[id]; what != "" {
		return id + "  (" + what + ")"
	}
	return id
}

// wrap breaks text into lines of a width; all but the first are indented.
func wrap(text string, width int, indent string) string {
	var b strings.Builder
	column := 0
	for word := range strings.FieldsSeq(text) {
		if column > 0 && column+1+len(word) > width {
			b.WriteString("\n" + indent)
			column = 0
		} else if column > 0 {
			b.WriteByte(' ')
			column++
		}
		b.WriteString(word)
		column += len(word)
	}
	return b.String()
}
