package scenario

import (
	"encoding/base64"
	"net/netip"
	"net/url"
	"time"

	"github.com/fakeentra/fakeentra/internal/pattern"
)

// This file is the format. A change here is a change of
// fixtures/scenario.schema.json, and a test compares the two.

var (
	nameText = pattern.New(`^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$`)
	// The names of accounts and containers follow Azure's page "Naming and
	// referencing containers, blobs, and metadata"; $root and $web are the
	// containers that Azure itself names.
	accountName   = pattern.New(`^[a-z0-9]{3,24}$`)
	containerName = pattern.New(`^(\$root|\$web|[a-z0-9]+(-[a-z0-9]+)*)$`)
	guidText      = pattern.New(`^[0-9A-Fa-f]{8}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{12}$`)
	durationText  = pattern.New(`^([0-9]+(\.[0-9]+)?(ms|s|m|h))+$`)
	instantText   = pattern.New(`^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]+(Z|[+-][0-9]{2}:[0-9]{2})$`)
	domainText    = pattern.New(`^[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+$`)
	issuerURL     = pattern.New(`^https://[^/?#@\s]+[^?#\s]*$`)
	resourceText  = pattern.New(`^/subscriptions/[^/\s]+(/[^/\s]+)*$`)
	refusal       = pattern.New(`^[A-Za-z0-9_./-]+$`)
	headerName    = pattern.New(`^[A-Za-z0-9-]+$`)
	regionName    = pattern.New(`^[a-z0-9]+$`)
	// Names of Kubernetes, GitHub and Azure DevOps.
	serviceAccount = pattern.New(`^[a-z0-9-]+/[a-z0-9.-]+$`)
	repositoryName = pattern.New(`^[A-Za-z0-9-]+/[A-Za-z0-9._-]+$`)
	refName        = pattern.New(`^refs/[^\s]+$`)
	eventName      = pattern.New(`^[a-z_]+$`)
	digits         = pattern.New(`^[0-9]+$`)
	slashless      = pattern.New(`^[^/?#%\\:*"<>|]+$`)
	operation      = pattern.New(`^[a-z][a-z0-9-]*(\.[a-z][a-z0-9-]*)+$`)
)

const nameRule = "letters, digits, hyphens and underscores, 64 at most, beginning with a letter or digit"

var (
	anyText    = &shape{kind: text, expected: "text"}
	count      = &shape{kind: number, expected: "a whole number, 0 or more"}
	onlyTrue   = &shape{kind: flag, choices: []string{"true"}, expected: "true"}
	yesOrNo    = &shape{kind: flag, expected: "true or false"}
	guid       = &shape{kind: text, pattern: guidText, expected: "a GUID such as 11111111-1111-1111-1111-111111111111"}
	instant    = &shape{kind: text, pattern: instantText, parses: isInstant, tags: []string{"!!timestamp"}, expected: "a time in RFC 3339 such as 2025-01-15T12:00:00Z"}
	duration   = &shape{kind: text, pattern: durationText, parses: isDuration, expected: "a duration such as 2s, 90m or 24h"}
	domain     = &shape{kind: text, pattern: domainText, expected: "a domain such as contoso.onmicrosoft.com"}
	resource   = &shape{kind: text, pattern: resourceText, expected: "the identifier of an Azure resource, /subscriptions/..."}
	issuer     = &shape{kind: text, pattern: issuerURL, parses: isURL, expected: "an https URL without a query"}
	gitHubID   = &shape{kind: text, pattern: digits, tags: []string{"!!int"}, expected: "the number that GitHub has for it"}
	devOpsName = &shape{kind: text, pattern: slashless, expected: "a name of Azure DevOps"}
	reference  = &shape{kind: text, pattern: nameText, expected: "a name that is defined in this file"}
	texts      = listOf(anyText, 0, "a list of text")
	roles      = oneOrMore(anyText, "a role such as Storage Blob Data Reader, or a list of roles")
	grants     = byName("an application or a managed identity", nameText, nameRule, roles)
)

var scenarioFile = recordOf(
	key{"fakeentra", &shape{kind: number, choices: []string{"1"}, expected: "1, the version of the format"}, true},
	key{"cloud", choice("public", "usgov", "china"), false},
	key{"clock", instant, false},
	key{"seed", anyText, false},
	key{"era", &shape{kind: text, tags: []string{"!!int"}, choices: []string{"2022", "2023", "2025"}, expected: "2022, 2023 or 2025"}, false},
	key{"token-lifetimes", recordOf(
		key{"managed-identity", duration, false},
		key{"application", duration, false},
	), false},
	key{"tenants", byName("a tenant", nameText, nameRule, tenant), false},
	key{"issuers", byName("an issuer", nameText, nameRule, recordOf(key{"url", issuer, true})), false},
	key{"hosts", byName("a host", nameText, nameRule, host), false},
	key{"storage-accounts", byName("a storage account", accountName, "3 to 24 lower-case letters and digits", storageAccount), false},
	key{"faults", listOf(faultRule, 0, "a list of faults"), false},
)

var tenant = recordOf(
	key{"id", guid, false},
	key{"display-name", anyText, false},
	key{"domains", listOf(domain, 1, "a list of domains"), false},
	key{"policies", recordOf(
		key{"workload-identity-federation", choice("enabled", "disabled"), false},
		key{"github-enterprises", texts, false},
	), false},
	key{"managed-identities", byName("a managed identity", nameText, nameRule, managedIdentity), false},
	key{"applications", byName("an application", nameText, nameRule, application), false},
	key{"service-principals", byName("an application", nameText, nameRule, recordOf(servicePrincipal...)), false},
)

var managedIdentity = recordOf(
	key{"client-id", guid, false},
	key{"principal-id", guid, false},
	key{"resource-id", resource, false},
	key{"kind", choice("user-assigned", "system-assigned"), false},
	key{"federated-identity-credentials", credentials, false},
)

var application = recordOf(append([]key{
	{"client-id", guid, false},
	{"object-id", guid, false},
	{"sign-in-audience", choice("AzureADMyOrg", "AzureADMultipleOrgs"), false},
	{"public-client", yesOrNo, false},
	{"secrets", listOf(recordOf(key{"value", anyText, true}, key{"expires", instant, false}), 0, "a list of secrets"), false},
	{"certificates", listOf(anyOne("a certificate in PEM, or {file: path}", anyText, recordOf(key{"file", anyText, true})), 0, "a list of certificates"), false},
	{"identifier-uris", texts, false},
	{"requested-access-token-version", &shape{kind: number, choices: []string{"1", "2"}, expected: "1 or 2"}, false},
	{"app-role-assignment-required", yesOrNo, false},
	{"federated-identity-credentials", credentials, false},
	{"service-principal", yesOrNo, false},
}, servicePrincipal...)...)

// servicePrincipal is what can be said of an application's presence in a
// tenant. For the home tenant it is said at the application itself.
var servicePrincipal = []key{
	{"principal-id", guid, false},
	{"disabled", yesOrNo, false},
	{"blocked-by-conditional-access", yesOrNo, false},
	{"app-roles", byName("a resource", nil, "", listOf(anyText, 1, "a list of app roles")), false},
}

var credentials = byName("a federated identity credential", nil, "", recordOf(
	key{"trusts", reference, false},
	key{"issuer", anyText, false},
	key{"subject", anyText, false},
	key{"audiences", texts, false},
	key{"claims-matching-expression", anyText, false},
	key{"description", anyText, false},
	key{"visible-after", duration, false},
))

var host = recordOf(
	key{"source", choice(SourceIMDS, SourceAppService, SourceFunctions, SourceContainerApps, SourceArc, SourceServiceFabric, SourceCloudShell, SourceAzureML,
		SourceAKS, SourceGitHub, SourceAzurePipelines, SourceNone), true},
	key{"tenant", reference, false},
	key{"resource-id", resource, false},
	key{"identities", listOf(reference, 0, "a list of managed identities"), false},
	key{"os", choice("Linux", "Windows"), false},
	key{"older-agent", yesOrNo, false},
	key{"machine", machine, false},
	key{"rate-limits", yesOrNo, false},
	key{"imdsv2", yesOrNo, false},
	key{"scheduled-events", listOf(scheduledEvent, 0, "a list of scheduled events"), false},

	key{"client-id", reference, false},
	key{"issuer", reference, false},
	key{"service-account", &shape{kind: text, pattern: serviceAccount, expected: "a service account, namespace/name"}, false},
	key{"identity-binding", yesOrNo, false},

	key{"repository", &shape{kind: text, pattern: repositoryName, expected: "a repository, owner/name"}, false},
	key{"ref", &shape{kind: text, pattern: refName, expected: "a ref such as refs/heads/main"}, false},
	key{"environment", anyText, false},
	key{"event-name", &shape{kind: text, pattern: eventName, expected: "an event such as push or pull_request"}, false},
	key{"repository-id", gitHubID, false},
	key{"repository-owner-id", gitHubID, false},
	key{"job-workflow-ref", anyText, false},
	key{"enterprise", anyText, false},
	key{"immutable-subject", yesOrNo, false},

	key{"organization", devOpsName, false},
	key{"project", devOpsName, false},
	key{"pipeline", devOpsName, false},
	key{"service-connection", devOpsName, false},
)

// machine is what instance metadata tells of a host.
var machine = recordOf(
	key{"location", &shape{kind: text, pattern: regionName, expected: "a region such as westeurope"}, false},
	key{"size", anyText, false},
	key{"os", choice("Linux", "Windows"), false},
	key{"zone", &shape{kind: text, tags: []string{"!!int"}, expected: "an availability zone such as 1"}, false},
	key{"tags", byName("a tag", nil, "", &shape{kind: text, tags: []string{"!!int"}, expected: "text"}), false},
	key{"user-data", &shape{kind: text, parses: isBase64, expected: "base64"}, false},
	key{"public-ip", &shape{kind: text, parses: isAddress, expected: "an IP address such as 203.0.113.4"}, false},
)

var scheduledEvent = recordOf(
	key{"type", choice("Freeze", "Reboot", "Redeploy", "Preempt", "Terminate"), true},
	key{"in", duration, false},
	key{"description", anyText, false},
	key{"source", choice("Platform", "User"), false},
	key{"duration", duration, false},
)

var storageAccount = recordOf(
	key{"tenant", reference, false},
	key{"resource-id", resource, false},
	key{"allow-blob-public-access", yesOrNo, false},
	key{"containers", byName("a container", containerName, "lower-case letters and digits with single hyphens between them", blobs), false},
	key{"roles", grants, false},
	key{"container-roles", byName("a container", nil, "", grants), false},
)

var blobs = byName("a blob", nil, "", anyOne("text, or content with content-type", anyText, recordOf(
	key{"content", anyText, false},
	key{"content-base64", anyText, false},
	key{"content-type", anyText, false},
)))

var faultRule = recordOf(
	key{"name", anyText, false},
	key{"op", &shape{kind: text, pattern: operation, expected: "an operation such as imds.token"}, true},
	key{"after", count, false},
	key{"times", count, false},
	key{"for", duration, false},
	key{"respond", recordOf(
		key{"status", &shape{kind: number, expected: "a status such as 429"}, true},
		key{"header", byName("a header", headerName, "letters, digits and hyphens",
			&shape{kind: text, tags: []string{"!!int"}, expected: "text"}), false},
		key{"body", anyText, false},
	), false},
	key{"delay", duration, false},
	key{"hang", onlyTrue, false},
	key{"hangup", onlyTrue, false},
	key{"reset", onlyTrue, false},
	key{"refuse", &shape{kind: text, pattern: refusal, expected: "a code of the service, such as AADSTS90033 or ServerBusy"}, false},
)

func recordOf(all ...key) *shape { return &shape{kind: record, keys: all, expected: "keys and values"} }

func listOf(of *shape, least int, expected string) *shape {
	return &shape{kind: list, of: of, least: least, expected: expected}
}

func byName(noun string, names *pattern.Pattern, rule string, of *shape) *shape {
	return &shape{kind: named, noun: noun, pattern: names, named: rule, of: of, expected: "names and what they stand for"}
}

func choice(all ...string) *shape {
	return &shape{kind: text, choices: all, expected: anyOf(all)}
}

func anyOne(expected string, all ...*shape) *shape {
	return &shape{kind: either, either: all, expected: expected}
}

func oneOrMore(one *shape, expected string) *shape {
	return anyOne(expected, one, listOf(one, 1, expected))
}

func isURL(s string) bool {
	_, err := url.Parse(s)
	return err == nil
}

func isBase64(s string) bool {
	_, err := base64.StdEncoding.DecodeString(s)
	return err == nil
}

func isAddress(s string) bool {
	_, err := netip.ParseAddr(s)
	return err == nil
}

func isInstant(s string) bool {
	_, err := time.Parse(time.RFC3339, s)
	return err == nil
}

// isDuration also refuses what does not fit a duration, about 290 years.
func isDuration(s string) bool {
	_, err := time.ParseDuration(s)
	return err == nil
}
