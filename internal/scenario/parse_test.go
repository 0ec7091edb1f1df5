package scenario

import (
	"errors"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/fakeentra/fakeentra/emulator/environment"
)

// inTenant returns a file in which text, indented by four, is said of the
// tenant contoso from line 4 on.
func inTenant(text string) string { return "fakeentra: 1\ntenants:\n  contoso:\n" + text }

// trusting returns a file with the managed identity agent (line 5) and the
// application exporter, whose credential "fic" says text from line 10 on.
func trusting(text string) string {
	return inTenant("    managed-identities:\n      agent: {client-id: 44444444-4444-4444-4444-444444444444}\n    applications:\n      exporter:\n" +
		"        federated-identity-credentials:\n          fic:\n" + text)
}

// with returns a file with the tenant contoso (line 2), its application
// exporter and its managed identity agent, followed by text from line 3 on.
func with(text string) string {
	return "fakeentra: 1\ntenants: {contoso: {applications: {exporter: {}}, managed-identities: {agent: {}}}, fabrikam: {}}\n" + text
}

func TestProblemsNameTheLineAndWhatWasExpected(t *testing.T) {
	for name, tc := range map[string]struct{ in, want string }{
		"empty file":     {"", `f.yaml:1: the file is empty; expected "fakeentra: 1" and what the cloud consists of`},
		"only a comment": {"# later\n", `f.yaml:1: the file is empty; expected "fakeentra: 1" and what the cloud consists of`},
		"empty mapping":  {"{}", `f.yaml:1: the file says nothing; expected "fakeentra: 1", the version of the format`},
		"not a mapping":  {"hello", `f.yaml:1: the file is the text "hello"; expected keys and values`},
		"a list":         {"[a]", `f.yaml:1: the file is a list; expected keys and values`},
		"version is not first": {"tenants: {}\nfakeentra: 1",
			`f.yaml:1: the first key is "tenants"; expected "fakeentra: 1", the version of the format`},
		"another version": {"fakeentra: 2\nfuture: 1",
			`f.yaml:1: fakeentra is "2", a version of the format that this program does not know; expected 1`},
		"version as text":          {"fakeentra: '1'", `f.yaml:1: fakeentra is the text "1"; expected 1, the version of the format`},
		"syntax":                   {"fakeentra: 1\nseed: b: c", `f.yaml:2: not YAML: mapping values are not allowed in this context`},
		"syntax in a list":         {"fakeentra: 1\nfaults: [}", `f.yaml:2: not YAML: did not find expected node content while parsing a flow node`},
		"a tab":                    {"fakeentra: 1\ntenants:\n\tcontoso: {}", `f.yaml:3: not YAML: a tab cannot indent a line; expected spaces`},
		"an open list":             {"fakeentra: 1\nfaults: [a", `f.yaml:2: not YAML: did not find expected ',' or ']' while parsing a flow sequence`},
		"a broken second document": {"fakeentra: 1\n---\n{}}\n", `f.yaml:3: not YAML: did not find expected <document start>`},
		"two documents":            {"fakeentra: 1\n---\nfakeentra: 1\n", `f.yaml:2: a second YAML document begins here; expected one document`},
		"NUL":                      {"fakeentra: 1\nseed: \x00", `f.yaml:2: the control character U+0000 is not allowed; expected text (in double quotes it can be written as \x00)`},
		"not UTF-8":                {"fakeentra: 1\nseed: \xff", `f.yaml:2: the byte 0xff is not UTF-8; expected text in UTF-8`},
		"too long":                 {strings.Repeat("#", MaxSize+1), `f.yaml:1: the file has more than 1048576 bytes; expected 1048576 at most`},
		"too deep":                 {"fakeentra: 1\nseed: " + strings.Repeat("[", 40), `f.yaml:2: not YAML: exceeded max depth of 32 while increasing flow level`},
		"anchor and alias": {"fakeentra: 1\nseed: &a x\nera: *a", "f.yaml:2: seed has an anchor (&a); expected a plain value, aliases are not part of the format\n" +
			"f.yaml:3: era is an alias (*a); expected the value itself"},
		"merge key":     {"fakeentra: 1\n<<: {seed: a}", `f.yaml:2: merge keys (<<) are not part of the format; expected the keys themselves`},
		"tag":           {"fakeentra: 1\nseed: !secret a", `f.yaml:2: seed has the tag !secret; expected a value without one`},
		"list as a key": {"fakeentra: 1\n? [a]\n: b", `f.yaml:2: a key in the file is a list; expected text`},
		"unknown key": {trusting("            trust: agent"),
			`f.yaml:10: unknown key "trust"; did you mean "trusts"? expected one of: trusts, issuer, subject, audiences, claims-matching-expression, description, visible-after`},
		"unknown key of what is inside": {inTenant("    applications: {exporter: {trusts: agent}}"),
			`f.yaml:4: unknown key "trusts"; it belongs inside federated-identity-credentials; expected one of: client-id, object-id, sign-in-audience, public-client, secrets, certificates, identifier-uris, requested-access-token-version, app-role-assignment-required, federated-identity-credentials, service-principal, principal-id, disabled, blocked-by-conditional-access, app-roles`},
		"unknown key without a likeness": {"fakeentra: 1\ntoken-lifetimes: {xyz: 1h}", `f.yaml:2: unknown key "xyz"; expected one of: managed-identity, application`},
		"key twice":                      {"fakeentra: 1\nseed: a\nera: 2023\nseed: b", `f.yaml:4: "seed" is written twice, first in line 2; expected it once`},
		"list for text":                  {"fakeentra: 1\nseed: [a]", `f.yaml:2: seed is a list; expected text`},
		"number for text":                {"fakeentra: 1\nseed: 007", `f.yaml:2: seed is the number 007; expected text, so put it in quotes: "007"`},
		"date for text":                  {"fakeentra: 1\nseed: 2025-01-01", `f.yaml:2: seed is the date 2025-01-01; expected text, so put it in quotes: "2025-01-01"`},
		"nothing for text":               {"fakeentra: 1\nseed:", `f.yaml:2: seed is empty; expected text`},
		"nothing for a name":             {"fakeentra: 1\ntenants:\n  contoso:", `f.yaml:3: contoso is empty; expected keys and values; write {} if there is nothing to say`},
		"text for a list":                {inTenant("    domains: contoso.example"), `f.yaml:4: domains is the text "contoso.example"; expected a list of domains`},
		"yes for true":                   {inTenant("    applications: {exporter: {public-client: yes}}"), `f.yaml:4: public-client is the text "yes"; expected true or false`},
		"substitution without quotes": {trusting("            issuer: a\n            subject: {agent.principal-id}"),
			`f.yaml:11: subject is a mapping; expected text, so put it in quotes: "{agent.principal-id}"`},
		"choice":       {"fakeentra: 1\ncloud: azure", `f.yaml:2: cloud is "azure"; expected public, usgov or china`},
		"era":          {"fakeentra: 1\nera: 2024", `f.yaml:2: era is "2024"; expected 2022, 2023 or 2025`},
		"time":         {"fakeentra: 1\nclock: 2025-02-30T00:00:00Z", `f.yaml:2: clock is "2025-02-30T00:00:00Z"; expected a time in RFC 3339 such as 2025-01-15T12:00:00Z`},
		"duration":     {"fakeentra: 1\ntoken-lifetimes: {application: 1 day}", `f.yaml:2: application is "1 day"; expected a duration such as 2s, 90m or 24h`},
		"endless":      {"fakeentra: 1\ntoken-lifetimes: {application: 99999999h}", `f.yaml:2: application is "99999999h"; expected a duration such as 2s, 90m or 24h`},
		"no lifetime":  {"fakeentra: 1\ntoken-lifetimes: {application: 0s}", `f.yaml:2: application is "0s"; expected tokens to live longer than that`},
		"GUID":         {inTenant("    id: 1234"), `f.yaml:4: id is the number 1234; expected a GUID such as 11111111-1111-1111-1111-111111111111`},
		"name":         {"fakeentra: 1\ntenants:\n  the tenant: {}", `f.yaml:3: "the tenant" cannot be the name of a tenant; expected letters, digits, hyphens and underscores, 64 at most, beginning with a letter or digit`},
		"issuer's URL": {"fakeentra: 1\nissuers:\n  github: {url: github.com}", `f.yaml:3: url is "github.com"; expected an https URL without a query`},
		"no URL":       {"fakeentra: 1\nissuers:\n  github: {}", `f.yaml:3: github has no "url"; expected an https URL without a query`},
	} {
		t.Run(name, func(t *testing.T) { refused(t, tc.in, tc.want) })
	}
}

func refused(t *testing.T, in, want string) {
	t.Helper()
	s, err := Parse("f.yaml", []byte(in))
	if err == nil {
		t.Fatalf("accepted, want %s", want)
	}
	if s != nil {
		t.Error("a scenario was returned besides the error")
	}
	if diff := cmp.Diff(want, err.Error()); diff != "" {
		t.Errorf("error differs (-want +got):\n%s", diff)
	}
}

func TestProblemsWithNamesNameBothPlaces(t *testing.T) {
	for name, tc := range map[string]struct{ in, want string }{
		"an application twice": {"fakeentra: 1\ntenants:\n  a:\n    applications: {exporter: {}}\n  b:\n    applications: {exporter: {}}",
			`f.yaml:6: application "exporter" is defined twice, first in line 4; expected a name that no other application has`},
		"an application named like an identity": {inTenant("    managed-identities: {agent: {}}\n    applications: {agent: {}}"),
			`f.yaml:5: application "agent" has the name of the managed identity of line 4; expected another, because roles name both`},
		"an identifier of Microsoft": {inTenant("    applications:\n      exporter:\n        client-id: FB60F99C-7A34-4190-8149-302F77469936"),
			`f.yaml:6: "fb60f99c-7a34-4190-8149-302f77469936" is Azure AD Token Exchange of Microsoft; expected an identifier that is free`},
		"an issuer twice": {"fakeentra: 1\nissuers:\n  a: {url: 'https://example.com/'}\n  b: {url: 'https://example.com'}",
			`f.yaml:4: "https://example.com" is the URL of a already (line 3); expected another for the URL of b`},
		"an issuer of Entra": {"fakeentra: 1\nissuers:\n  a: {url: 'https://login.microsoftonline.com/x/v2.0'}",
			`f.yaml:3: "https://login.microsoftonline.com/x/v2.0" is an issuer of Entra, whose issuers are its tenants; expected one outside Entra`},
		"no URL at all": {"fakeentra: 1\nissuers:\n  a: {url: 'https://%'}", `f.yaml:3: url is "https://%"; expected an https URL without a query`},
		"an identifier twice": {inTenant("    id: 44444444-4444-4444-4444-444444444444\n    managed-identities:\n      agent:\n        client-id: 44444444-4444-4444-4444-444444444444"),
			`f.yaml:7: "44444444-4444-4444-4444-444444444444" is the tenant ID of contoso already (line 4); expected another for the client ID of agent`},
		"a domain twice": {"fakeentra: 1\ntenants:\n  contoso: {}\n  fabrikam: {domains: [contoso.onmicrosoft.com]}",
			`f.yaml:4: "contoso.onmicrosoft.com" is the domain of contoso already (line 3); expected another for the domain of fabrikam`},
		"an identifier URI twice": {inTenant("    applications:\n      a: {identifier-uris: [api://x]}\n      b: {identifier-uris: [API://X]}"),
			`f.yaml:6: "API://X" is the identifier URI of a already (line 5); expected another for the identifier URI of b`},
		"trust in nobody": {trusting("            trusts: agnet"),
			`f.yaml:10: there is no managed identity or issuer "agnet"; did you mean "agent"? expected agent`},
		"a placeholder for two": {trusting("            issuer: a\n            subject: \"{contoso}\"") + "\nissuers:\n  contoso: {url: https://example.com}",
			`f.yaml:11: "contoso" is both the tenant of line 3 and the issuer of line 13; expected different names`},
		"trust in two": {trusting("            trusts: agent") + "\nissuers:\n  agent: {url: https://example.com}",
			`f.yaml:10: "agent" is both the managed identity of line 5 and the issuer of line 12; expected different names`},
		"trust and issuer": {trusting("            trusts: agent\n            issuer: https://example.com"),
			`f.yaml:11: fic says issuer besides trusts: agent, which stands for it; expected one of the two`},
		"trust in an issuer, no subject": {trusting("            trusts: github") + "\nissuers:\n  github: {url: https://example.com}",
			`f.yaml:9: fic has no subject; expected the sub claim of the tokens of github, or claims-matching-expression`},
		"no issuer":        {trusting("            subject: x"), `f.yaml:9: fic names nobody to trust; expected trusts: <managed identity>, or issuer and subject`},
		"no subject":       {trusting("            issuer: https://example.com"), `f.yaml:9: fic has no subject; expected subject or claims-matching-expression`},
		"two audiences":    {trusting("            trusts: agent\n            audiences: [a, b]"), `f.yaml:9: federated identity credential "fic": has 2 audiences; it must have exactly one`},
		"credential twice": {trusting("            trusts: agent\n          again: {trusts: agent}"), `f.yaml:8: exporter: federated identity credentials "fic" and "again" have the same issuer and subject, which have to be unique together`},
		"expression": {trusting("            issuer: https://token.actions.githubusercontent.com\n            claims-matching-expression: claims.sub eq 'x'"),
			`f.yaml:9: federated identity credential "fic": claims matching expression: expected claims['name'] eq 'value' or claims['name'] matches 'pattern' at "claims.sub eq 'x'"`},
		"long description": {trusting("            trusts: agent\n            description: " + strings.Repeat("x", 601)),
			`f.yaml:11: description has 601 characters; expected 600 at most`},
		"substitution of nothing": {trusting("            issuer: https://login.microsoftonline.com/{consoto}/v2.0\n            subject: x"),
			`f.yaml:10: there is no "{consoto}" in this file; did you mean "contoso"? expected contoso, agent or exporter`},
		"substitution of no property": {trusting("            issuer: https://login.microsoftonline.com/{contoso}/v2.0\n            subject: \"{agent}\""),
			`f.yaml:11: "{agent}" stands for nothing; expected {agent.client-id}, {agent.principal-id} or {agent.resource-id}`},
		"half a substitution": {trusting("            issuer: https://login.microsoftonline.com/{contoso/v2.0\n            subject: x"),
			`f.yaml:10: issuer has a brace without its partner in "https://login.microsoftonline.com/{contoso/v2.0"; expected {name.property}`},
		"federation of a system-assigned identity": {inTenant("    managed-identities:\n      agent:\n        kind: system-assigned\n        federated-identity-credentials: {}"),
			`f.yaml:7: agent is system-assigned and has federated-identity-credentials; expected a user-assigned managed identity or an application`},
		"service principal that is not there": {inTenant("    applications:\n      exporter:\n        service-principal: false\n        disabled: true"),
			`f.yaml:7: exporter has no service principal here and says disabled; expected service-principal: true`},
		"consent to nobody":       {inTenant("    service-principals:\n      exporter: {}"), `f.yaml:5: there is no application "exporter"; expected it to be defined in this file`},
		"consent to one's own":    {inTenant("    applications: {exporter: {}}\n    service-principals:\n      exporter: {}"), `f.yaml:6: "exporter" is an application of contoso itself (line 4); expected what is said here to be said there`},
		"app role of no resource": {inTenant("    applications:\n      exporter: {app-roles: {order: [Read]}}\n      orders: {}"), `f.yaml:5: there is no resource "order"; did you mean "orders"? expected exporter or orders`},
		"certificate":             {inTenant("    applications:\n      exporter: {certificates: [MIIB]}"), `f.yaml:5: certificates[0] holds something else than certificates; expected PEM that begins with -----BEGIN CERTIFICATE-----`},
		"file":                    {inTenant("    applications:\n      exporter: {certificates: [{file: one.pem}]}"), `f.yaml:5: the file "one.pem" cannot be read here; expected the PEM text itself`},
	} {
		t.Run(name, func(t *testing.T) { refused(t, tc.in, tc.want) })
	}
}

func TestProblemsWithHostsAccountsAndFaults(t *testing.T) {
	for name, tc := range map[string]struct{ in, want string }{
		"no source":           {"fakeentra: 1\nhosts:\n  vm1: {}", `f.yaml:3: vm1 has no "source"; expected imds, appservice, functions, containerapps, arc, servicefabric, cloudshell, azureml, aks, github, azurepipelines or none`},
		"source of tomorrow":  {"fakeentra: 1\nhosts:\n  vm1: {source: batch}", `f.yaml:3: source is "batch"; expected imds, appservice, functions, containerapps, arc, servicefabric, cloudshell, azureml, aks, github, azurepipelines or none`},
		"nobody's host":       {with("hosts:\n  vm1: {source: imds, identities: [exporter]}"), `f.yaml:4: there is no managed identity "exporter"; expected agent`},
		"identity twice":      {with("hosts:\n  vm1: {source: imds, identities: [agent, agent]}"), `f.yaml:4: identities[1] is "agent" again, as in line 4; expected it once`},
		"laptop's identity":   {with("hosts:\n  vm1: {source: none, identities: [agent]}"), `f.yaml:4: vm1 has identities and source: none, which hands out no tokens; expected source: imds, or no identities`},
		"users of a session":  {"fakeentra: 1\ntenants: {contoso: {managed-identities: {a: {}, b: {}}}}\nhosts:\n  shell: {source: cloudshell, identities: [a, b]}", `f.yaml:4: shell has 2 identities, and a session of Cloud Shell has one user; expected the one that stands for them`},
		"system of a machine": {with("hosts:\n  vm1: {source: imds, os: Windows}"), `f.yaml:4: os is said of a host where it changes nothing; expected source: appservice or functions`},
		"agent of a machine":  {with("hosts:\n  vm1: {source: imds, older-agent: true}"), `f.yaml:4: older-agent is said of a host where it changes nothing; expected source: arc`},
		"identities of a pod": {with("hosts:\n  pod: {source: aks, identities: [agent]}"), `f.yaml:4: pod has identities and source: aks, which hands out no tokens; expected source: imds, or no identities`},
		"tenant of a host":    {with("hosts:\n  vm1: {source: imds, tenant: contosso}"), `f.yaml:4: there is no tenant "contosso"; did you mean "contoso"? expected contoso or fabrikam`},
		"identity of another tenant": {"fakeentra: 1\ntenants: {contoso: {managed-identities: {a: {}}}, fabrikam: {managed-identities: {b: {}}}}\nhosts:\n  vm1: {source: imds, identities: [a, b]}",
			`f.yaml:4: vm1 is in the tenant contoso and b in fabrikam, and Azure assigns identities within a tenant only; expected identities of one tenant`},
		"shared system-assigned": {inTenant("    managed-identities: {own: {kind: system-assigned}}\nhosts:\n  vm1: {source: imds, identities: [own]}\n  vm2: {source: imds, identities: [own]}"),
			`f.yaml:7: own is system-assigned and belongs to vm1 (line 6) already; expected a user-assigned managed identity, which hosts can share`},
		"two system-assigned": {inTenant("    managed-identities: {one: {kind: system-assigned}, two: {kind: system-assigned}}\nhosts:\n  vm1: {source: imds, identities: [one, two]}"),
			`f.yaml:6: vm1 has two system-assigned identities, one and two; expected one at most`},
		"account name":         {with("storage-accounts:\n  Data: {}"), `f.yaml:4: "Data" cannot be the name of a storage account; expected 3 to 24 lower-case letters and digits`},
		"nobody's account":     {with("storage-accounts:\n  data: {}"), `f.yaml:4: data has no tenant; expected tenant: contoso or fabrikam`},
		"container name":       {with("storage-accounts:\n  data: {tenant: contoso, containers: {a--b: {}}}"), `f.yaml:4: "a--b" cannot be the name of a container; expected lower-case letters and digits with single hyphens between them`},
		"short container name": {with("storage-accounts:\n  data: {tenant: contoso, containers: {ab: {}}}"), `f.yaml:4: the container name "ab" has 2 characters; expected 3 to 63`},
		"blob name":            {with("storage-accounts:\n  data: {tenant: contoso, containers: {abc: {'': x}}}"), `f.yaml:4: the blob name "" has 0 characters and 1 segments; expected 1 to 1024 characters and 254 segments at most`},
		"blob without content": {with("storage-accounts:\n  data: {tenant: contoso, containers: {abc: {x: {content-type: a/b}}}}"), `f.yaml:4: x has no content; expected content or content-base64`},
		"blob with two":        {with("storage-accounts:\n  data: {tenant: contoso, containers: {abc: {x: {content: a, content-base64: YQ==}}}}"), `f.yaml:4: x has content and content-base64; expected one of the two`},
		"base64":               {with("storage-accounts:\n  data: {tenant: contoso, containers: {abc: {x: {content-base64: '!'}}}}"), `f.yaml:4: content-base64 is not base64 (illegal base64 data at input byte 0); expected RFC 4648 base64 with padding`},
		"role":                 {with("storage-accounts:\n  data: {tenant: contoso, roles: {exporter: Storage Blob Reader}}"), `f.yaml:4: there is no role "Storage Blob Reader"; expected Storage Blob Data Reader, Storage Blob Data Contributor, Storage Blob Data Owner, Storage Blob Delegator, Owner, Contributor or Reader`},
		"role of nobody":       {with("storage-accounts:\n  data: {tenant: contoso, roles: {export: Reader}}"), `f.yaml:4: there is no application or managed identity "export"; did you mean "exporter"? expected agent or exporter`},
		"role twice":           {with("storage-accounts:\n  data: {tenant: contoso, roles: {exporter: [Reader, Reader]}}"), `f.yaml:4: exporter[1] is "Reader" again, as in line 4; expected it once`},
		"role without consent": {with("storage-accounts:\n  data: {tenant: fabrikam, roles: {exporter: Reader}}"), `f.yaml:4: exporter has no service principal in fabrikam, the tenant of the account; expected it in tenants.fabrikam.service-principals`},
		"role abroad":          {with("storage-accounts:\n  data: {tenant: fabrikam, roles: {agent: Reader}}"), `f.yaml:4: the managed identity agent is of the tenant contoso and the account is of fabrikam; expected a principal of fabrikam`},
		"role without principal": {inTenant("    applications: {exporter: {service-principal: false}}\nstorage-accounts:\n  data: {roles: {exporter: Reader}}"),
			`f.yaml:6: exporter has no service principal; expected its service-principal to be true`},
		"role on no container": {with("storage-accounts:\n  data: {tenant: contoso, containers: {reports: {}}, container-roles: {report: {exporter: Reader}}}"), `f.yaml:4: there is no container "report" in data; did you mean "reports"? expected reports`},
		"fault without op":     {"fakeentra: 1\nfaults:\n- {delay: 1s}", `f.yaml:3: faults[0] has no "op"; expected an operation such as imds.token`},
		"fault without action": {"fakeentra: 1\nfaults:\n- {op: imds.token}", `f.yaml:3: faults[0] says nothing to do; expected one of: respond, delay, hang, hangup, reset, refuse`},
		"fault with two":       {"fakeentra: 1\nfaults:\n- {op: imds.token, delay: 1s, hangup: true}", `f.yaml:3: faults[0] says delay and hangup to do; expected one of: respond, delay, hang, hangup, reset, refuse`},
		"status":               {"fakeentra: 1\nfaults:\n- {op: imds.token, respond: {status: 42}}", `f.yaml:3: fault "faults[0]": cannot respond with status 42; expected 200 to 599`},
		"header":               {"fakeentra: 1\nfaults:\n- {op: imds.token, respond: {status: 429, header: {A: \"b\\r\\nC: d\"}}}", `f.yaml:3: A is "b\r\nC: d", with a control character; expected one line`},
		"fault's name twice":   {"fakeentra: 1\nfaults:\n- {name: x, op: imds.token, hangup: true}\n- {name: x, op: sts.token, hangup: true}", `f.yaml:4: two faults are named "x", the other in line 3; expected different names`},
		"negative count":       {"fakeentra: 1\nfaults:\n- {op: imds.token, hangup: true, times: -1}", `f.yaml:3: times is -1; expected a whole number, 0 or more`},
	} {
		t.Run(name, func(t *testing.T) { refused(t, tc.in, tc.want) })
	}
}

func TestAllProblemsAreListedFromTopToBottomWithTheirPaths(t *testing.T) {
	_, err := Parse("f.yaml", []byte(trusting("            trusts: nobody\n            visible-after: soon\nstorage-accounts:\n  data: {roles: {someone: Reader}}\nsead: x")))
	var problems *Error
	if !errors.As(err, &problems) {
		t.Fatalf("error %v, want an *Error", err)
	}
	want := []Problem{
		{10, 13, "tenants.contoso.applications.exporter.federated-identity-credentials.fic.trusts", `there is no managed identity or issuer "nobody"; expected agent`},
		{11, 13, "tenants.contoso.applications.exporter.federated-identity-credentials.fic.visible-after", `visible-after is "soon"; expected a duration such as 2s, 90m or 24h`},
		{13, 18, "storage-accounts.data.roles.someone", `there is no application or managed identity "someone"; expected agent or exporter`},
		{14, 1, "sead", `unknown key "sead"; did you mean "seed"? expected one of: fakeentra, cloud, clock, seed, era, token-lifetimes, tenants, issuers, hosts, storage-accounts, faults`},
	}
	if diff := cmp.Diff(want, problems.Problems); diff != "" {
		t.Errorf("problems differ (-want +got):\n%s", diff)
	}
}

func TestOnlyTheFirstHundredProblemsAreListed(t *testing.T) {
	_, err := Parse("f.yaml", []byte("fakeentra: 1\nfaults: ["+strings.Repeat("x, ", 150)+"]"))
	lines := strings.Split(err.Error(), "\n")
	if len(lines) != 101 || lines[100] != "f.yaml: and 50 more problems" {
		t.Errorf("%d lines, the last %q", len(lines), lines[len(lines)-1])
	}
}

func TestFilesAreReadFromTheGivenFileSystemOnly(t *testing.T) {
	for file, want := range map[string]string{
		"keys/none.pem": `f.yaml:5: the file "keys/none.pem" cannot be read: file does not exist; expected a file beside the scenario`,
		"../one.pem":    `f.yaml:5: "../one.pem" is not a path below the scenario; expected one with slashes and without ..`,
		"keys/key.pem":  `f.yaml:5: "keys/key.pem" holds something else than certificates; expected PEM that begins with -----BEGIN CERTIFICATE-----`,
	} {
		key := "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"
		_, err := Parse("f.yaml", []byte(inTenant("    applications:\n      exporter: {certificates: [{file: "+file+"}]}")),
			Files(fstest.MapFS{"keys/key.pem": {Data: []byte(key)}}))
		if err == nil || err.Error() != want {
			t.Errorf("error %v, want %s", err, want)
		}
	}
}

func TestLargeFilesAreReadInTime(t *testing.T) {
	repeat := func(line string) string {
		var b strings.Builder
		for i := 0; b.Len() < MaxSize/2; i++ {
			b.WriteString(strings.ReplaceAll(line, "%", strconv.Itoa(i)))
		}
		return b.String()
	}
	for name, text := range map[string]string{
		"one name in many tenants": "tenants:\n" + repeat("  t%: {applications: {a: {}}}\n"),
		"many applications":        "tenants:\n  t:\n    applications:\n" + repeat("      a%: {}\n"),
		"unknown references":       "hosts:\n" + repeat("  h%: {source: imds, identities: [x]}\n"),
		"many containers":          "tenants: {t: {}}\nstorage-accounts:\n  data:\n    containers:\n" + repeat("      c%: {}\n"),
		"many credentials":         "tenants:\n  t:\n    applications:\n      a:\n        federated-identity-credentials:\n" + repeat("          fic%: {issuer: a, subject: b}\n"),
		"one long name":            "tenants:\n  " + strings.Repeat("x", MaxSize/2) + ": {}",
		"nothing but substitution": "tenants:\n  t:\n    applications:\n      a: {identifier-uris: ['" + strings.Repeat("{t.x}", MaxSize/6) + "']}",
	} {
		start := time.Now()
		if s, err := Parse(name, []byte("fakeentra: 1\n"+text)); err == nil {
			s.LintAt(start)
		}
		if took := time.Since(start); took > time.Minute {
			t.Errorf("%s: it took %v", name, took)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, text := range embedded(f) {
		f.Add(text)
	}
	f.Add(everything)
	for _, seed := range []string{"", "fakeentra: 1\n? [a]\n: b", "fakeentra: 1\nseed: &a [*a]", "fakeentra: 1\n<<: *a", "a: \x00", "fakeentra: 1\nissuers: {i: {url: 'https://%'}}",
		trusting("            trusts: agent"), with("hosts: {h: {source: none}}"), "fakeentra: 1\nfaults: [{op: a.b, respond: {status: 200}}]"} {
		f.Add(seed)
	}
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, text string) {
		s, err := Parse("f.yaml", []byte(text))
		if (s == nil) == (err == nil) {
			t.Fatalf("scenario %v and error %v", s, err)
		}
		if err != nil {
			var problems *Error
			if !errors.As(err, &problems) || len(problems.Problems) == 0 || problems.Problems[0].Line < 1 {
				t.Fatalf("error without a line: %v", err)
			}
			return
		}
		if _, known := environment.Named(s.Cloud); !known {
			t.Fatalf("cloud %q", s.Cloud)
		}
		for _, w := range s.LintAt(now) {
			if w.Line < 1 || w.Path == "" {
				t.Fatalf("warning without a place: %+v", w)
			}
		}
	})
}
