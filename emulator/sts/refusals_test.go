package sts

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/fakeentra/fakeentra/emulator/directory"
	"github.com/fakeentra/fakeentra/emulator/environment"
	"github.com/fakeentra/fakeentra/emulator/fault"
	"github.com/fakeentra/fakeentra/emulator/token"
	"github.com/fakeentra/fakeentra/internal/edge"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// fromSts is an Entra credential on the v1.0 issuer and an audience of choice.
func entraCredential(issuer, audience string) directory.FederatedIdentityCredential {
	return directory.FederatedIdentityCredential{Name: "entra", Issuer: issuer, Subject: agentOID, Audiences: []string{audience}}
}

func (w *world) era(e Era) *world {
	w.sts.Era = e
	return w
}

func (w *world) principal(edit func(*directory.ServicePrincipal)) *world {
	p, _ := w.dir.ServicePrincipal(contoso, exporter)
	edit(&p)
	w.dir.PutServicePrincipal(p)
	return w
}

// tenant replaces Contoso's policies. Directories have no update for tenants,
// because nothing but a scenario sets them.
func (w *world) policies(p directory.Policies) *world {
	w.t.Helper()
	dir := directory.New(exchange)
	w.must(dir.AddTenant(directory.Tenant{ID: contoso, Name: "Contoso", Policies: p}))
	app, _ := w.dir.Application(exporter)
	w.must(dir.AddApplication(app))
	sp, _ := w.dir.ServicePrincipal(contoso, exporter)
	dir.PutServicePrincipal(sp)
	m, _ := w.dir.ManagedIdentity(agentCID)
	w.must(dir.AddManagedIdentity(m))
	w.dir, w.sts.Directory = dir, dir
	return w
}

func (w *world) viaFault(code string) reply {
	w.edge.Faults.Add(fault.Rule{Op: "sts.token", Do: fault.Refuse(code)})
	return w.withAssertion(w.identityToken(exchange))
}

// provocations raise every row of the table with a request that deserves it.
var provocations = map[string]func(*world) reply{
	// Federated identity credentials.
	"no-matching-record-2022":  func(w *world) reply { return w.era(Era2022).withAssertion(w.forged(map[string]any{"sub": "other"})) },
	"no-matching-record":       func(w *world) reply { return w.era(Era2023).withAssertion(w.forged(map[string]any{"sub": "other"})) },
	"no-federated-credentials": func(w *world) reply { return w.trusting().withAssertion(w.identityToken(exchange)) },
	"issuer-mismatch": func(w *world) reply {
		return w.trusting(external()).withAssertion(w.identityToken(exchange))
	},
	"audience-mismatch": func(w *world) reply {
		return w.trusting(external()).withAssertion(w.byIssuer(map[string]any{"aud": "api://other"}))
	},
	"entra-audience-mismatch": func(w *world) reply {
		return w.trusting(entraCredential(environment.Public.IssuerV1(contoso), exchange)).withAssertion(w.identityToken("https://management.azure.com/"))
	},
	"subject-mismatch": func(w *world) reply {
		c := msiAsFIC()
		c.Subject = agentCID
		return w.trusting(c).withAssertion(w.identityToken(exchange))
	},
	"fmi-subject-mismatch": func(w *world) reply {
		return w.withAssertion(w.forged(map[string]any{"sub": "/eid1/c/pub/t/EREREREREREREREREREREQ/a/IiIiIiIiIiIiIiIiIiIiIg/agent"}))
	},
	"subject-case": func(w *world) reply {
		c := external()
		c.Subject = "JOB-1"
		return w.trusting(c).withAssertion(w.byIssuer(nil))
	},
	"agent-subject-mismatch": func(w *world) reply {
		return w.withAssertion(w.forged(map[string]any{"sub": "other"}), "fmi_path", "agent-7")
	},
	"user-credential-subject-mismatch": func(w *world) reply {
		return w.withAssertion(w.identityToken(exchange), "grant_type", "user_fic", "user_federated_identity_credential", w.identityToken(exchange))
	},
	"credential-audience": func(w *world) reply {
		return w.trusting(entraCredential(environment.Public.IssuerV2(contoso), string(directory.TokenExchangeApp))).withAssertion(w.identityToken(exchange))
	},
	"entra-issued": func(w *world) reply { return w.era(Era2023).withAssertion(w.identityToken(exchange)) },
	"federation-disabled": func(w *world) reply {
		return w.policies(directory.Policies{FederationDisabled: true}).withAssertion(w.identityToken(exchange))
	},
	"not-a-managed-identity": func(w *world) reply {
		own := msiAsFIC()
		own.Subject = exporterSP
		app := w.withSecret("scope", exchange+"/.default").Body["access_token"].(string)
		return w.trusting(own).withAssertion(app)
	},
	"forbidden-audience": func(w *world) reply {
		return w.trusting(entraCredential(environment.Public.IssuerV1(contoso), "https://management.azure.com/")).withAssertion(w.identityToken("https://management.azure.com/"))
	},
	"other-cloud-audience": func(w *world) reply {
		return w.trusting(entraCredential(environment.Public.IssuerV2(contoso), "api://AzureADTokenExchangeUSGov")).
			withAssertion(w.forged(map[string]any{"aud": "api://AzureADTokenExchangeUSGov"}))
	},
	"user-token": func(w *world) reply {
		return w.withAssertion(w.forged(map[string]any{"idtyp": "user", "scp": "user_impersonation"}))
	},
	"chained": func(w *world) reply {
		w.must(w.dir.UpdateManagedIdentity(agentCID, func(m *directory.ManagedIdentity) {
			m.Federated = []directory.FederatedIdentityCredential{external()}
		}))
		first := w.withAssertion(w.byIssuer(nil), "client_id", agentCID, "scope", exchange+"/.default")
		return w.withAssertion(first.Body["access_token"].(string))
	},
	"other-tenant": func(w *world) reply {
		foreign := entraCredential(environment.Public.IssuerV2(fabrikam), exchange)
		return w.trusting(foreign).withAssertion(w.forged(map[string]any{"iss": foreign.Issuer, "tid": fabrikam}))
	},
	"other-cloud": func(w *world) reply {
		foreign := entraCredential(environment.USGovernment.IssuerV2(contoso), exchange)
		return w.trusting(foreign).withAssertion(w.forged(map[string]any{"iss": foreign.Issuer, "aud": exchange}))
	},
	"github-enterprise": func(w *world) reply {
		c := external()
		c.Issuer = gitHub
		w.trusting(c).policies(directory.Policies{GitHubEnterprises: []string{"microsoft", "github", "microsoftopensource"}})
		w.publish(gitHub, w.issuer)
		return w.withAssertion(w.byIssuer(map[string]any{"iss": gitHub}))
	},
	"duplicate-subject": func(w *world) reply {
		v1 := msiAsFIC()
		v1.Name, v1.Issuer = "v1", environment.Public.IssuerV1(contoso)
		return w.trusting(msiAsFIC(), v1).withAssertion(w.identityToken(exchange))
	},
	"key-not-published": func(w *world) reply {
		assertion := w.byIssuer(nil)
		w.must(w.issuer.Rotate())
		w.issuer.Retire()
		w.publish("https://issuer.test", w.issuer)
		return w.trusting(external()).withAssertion(assertion)
	},
	"issuer-unreachable": func(w *world) reply {
		w.fetched["https://issuer.test/.well-known/openid-configuration"] = "no answer"
		return w.trusting(external()).withAssertion(w.byIssuer(nil))
	},
	"issuer-unreachable-2023": func(w *world) reply {
		delete(w.fetched, "https://issuer.test/keys")
		return w.era(Era2023).trusting(external()).withAssertion(w.byIssuer(nil))
	},
	"issuer-unreachable-2022": func(w *world) reply {
		w.fetched["https://issuer.test/.well-known/openid-configuration"] = `{"issuer":"https://other.test"}`
		return w.era(Era2022).trusting(external()).withAssertion(w.byIssuer(nil))
	},

	// The request.
	"method": func(w *world) reply { return w.get("/" + contoso + "/oauth2/v2.0/token") },
	"malformed-request": func(w *world) reply {
		return w.do("POST", "/"+contoso+"/oauth2/v2.0/token", "application/x-www-form-urlencoded", "scope=%zz", nil)
	},
	"missing-parameter": func(w *world) reply { return w.withSecret("scope", "") },
	"invalid-parameter": func(w *world) reply {
		return w.withAssertion(w.identityToken(exchange), "client_assertion_type", "urn:other")
	},
	"resource-on-v2": func(w *world) reply { return w.withSecret("resource", "https://storage.azure.com") },
	"grant-type":     func(w *world) reply { return w.withSecret("grant_type", "password") },

	// The tenant and the instance.
	"tenant-not-found": func(w *world) reply {
		return w.postTo("/"+strangeCID+"/oauth2/v2.0/token", "grant_type", "client_credentials")
	},
	"metadata-tenant-not-found": func(w *world) reply { return w.get("/nowhere.example.com/v2.0/.well-known/openid-configuration") },
	"tenant-identifier":         func(w *world) reply { return w.get("/nowhere/v2.0/.well-known/openid-configuration") },
	"no-tenant":                 func(w *world) reply { return w.postTo("/common/oauth2/v2.0/token", "grant_type", "client_credentials") },
	"unknown-instance": func(w *world) reply {
		return w.get("/common/discovery/instance?api-version=1.1&authorization_endpoint=https%3A%2F%2Flogin.example.com%2Ft%2Foauth2%2Fv2.0%2Fauthorize")
	},

	// The client.
	"application-not-found": func(w *world) reply { return w.withSecret("client_id", strangeCID) },
	"no-service-principal": func(w *world) reply {
		w.dir.RemoveServicePrincipal(contoso, exporter)
		return w.withSecret()
	},
	"application-disabled": func(w *world) reply {
		return w.principal(func(p *directory.ServicePrincipal) { p.Disabled = true }).withSecret()
	},
	"no-credential": func(w *world) reply { return w.withSecret("client_secret", "") },
	"public-client": func(w *world) reply { return w.app(func(a *directory.Application) { a.Public = true }).withSecret() },
	"wrong-secret":  func(w *world) reply { return w.withSecret("client_secret", "guess") },
	"expired-secret": func(w *world) reply {
		return w.app(func(a *directory.Application) { a.Secrets[0].Expires = start.Add(-time.Second) }).withSecret()
	},
	"secret-for-managed-identity": func(w *world) reply { return w.withSecret("client_id", agentCID) },

	// Assertions of any kind, and those signed with a certificate.
	"malformed-assertion": func(w *world) reply { return w.withAssertion("rubbish") },
	"algorithm": func(w *world) reply {
		return w.withAssertion("eyJhbGciOiJub25lIn0" + strings.TrimLeft(w.identityToken(exchange), "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"))
	},
	"assertion-client-mismatch": func(w *world) reply {
		return w.withAssertion(w.bySelf(w.certified(), map[string]any{"iss": strangeCID, "sub": strangeCID}))
	},
	"assertion-subject-mismatch": func(w *world) reply {
		return w.withAssertion(w.bySelf(w.certified(), map[string]any{"sub": strangeCID}))
	},
	"assertion-audience": func(w *world) reply {
		return w.withAssertion(w.bySelf(w.certified(), map[string]any{"aud": "https://example.com"}))
	},
	"assertion-time": func(w *world) reply {
		assertion := w.identityToken(exchange)
		w.clock.now = start.Add(25 * time.Hour)
		return w.withAssertion(assertion)
	},
	"key-not-registered": func(w *world) reply {
		key := w.certified()
		w.app(func(a *directory.Application) { a.Certificates = nil })
		return w.withAssertion(w.bySelf(key, nil))
	},
	"assertion-signature": func(w *world) reply {
		good := w.identityToken(exchange)
		return w.withAssertion(good[:strings.LastIndexByte(good, '.')+1] + "AAAA")
	},
	"certificate-expired": func(w *world) reply {
		key := w.certified()
		w.clock.now = start.AddDate(20, 0, 0)
		return w.withAssertion(w.bySelf(key, nil))
	},
	"no-client-certificate": func(w *world) reply {
		return w.withAssertion(w.identityToken(exchange), "client_assertion_type", assertionBound)
	},

	// The resource and the policies.
	"scope-without-default": func(w *world) reply { return w.withSecret("scope", "https://storage.azure.com openid") },
	"scope":                 func(w *world) reply { return w.withSecret("scope", storageScope+" https://vault.azure.net/.default") },
	"resource-not-found":    func(w *world) reply { return w.withSecret("scope", "api://nothing/.default") },
	"not-assigned": func(w *world) reply {
		w.must(w.dir.AddApplication(directory.Application{Name: "orders", Tenant: contoso, ClientID: ordersCID, ObjectID: "o0", IdentifierURIs: []string{"api://orders"}, AssignmentNeeded: true}))
		w.dir.PutServicePrincipal(directory.ServicePrincipal{Name: "orders", Tenant: contoso, ClientID: ordersCID, ObjectID: "o1"})
		return w.withSecret("scope", "api://orders/.default")
	},
	"conditional-access": func(w *world) reply {
		return w.principal(func(p *directory.ServicePrincipal) { p.Blocked = true }).withSecret()
	},

	// Mutual TLS.
	"client-certificate-time": func(w *world) reply {
		w.presenting(agentCID)
		w.clock.now = start.AddDate(20, 0, 0)
		return w.bound()
	},
	"mutual-tls-disabled":   func(w *world) reply { return w.viaFault("AADSTS51000") },
	"attestation-time":      func(w *world) reply { return w.viaFault("AADSTS1000610") },
	"attestation-issuer":    func(w *world) reply { return w.viaFault("AADSTS1000611") },
	"attestation-claim":     func(w *world) reply { return w.viaFault("AADSTS1000612") },
	"attestation-jku":       func(w *world) reply { return w.viaFault("AADSTS1000613") },
	"attestation-signature": func(w *world) reply { return w.viaFault("AADSTS1000614") },

	// What no request deserves.
	"cross-cloud":        func(w *world) reply { return w.viaFault("AADSTS900382") },
	"cross-cloud-tenant": func(w *world) reply { return w.viaFault("AADSTS900432") },
	"request-loop":       func(w *world) reply { return w.viaFault("AADSTS50196") },
	"tenant-throttled":   func(w *world) reply { return w.viaFault("AADSTS90055") },
	"transient":          func(w *world) reply { return w.viaFault("AADSTS90033") },
}

// TestEveryRefusalIsProvoked raises each row over HTTP and compares status,
// error, code and text with a golden file.
func TestEveryRefusalIsProvoked(t *testing.T) {
	var lines []string
	for _, r := range Refusals() {
		provoke, ok := provocations[r.Name]
		if !ok {
			t.Errorf("the row %s (AADSTS%d) has no test that provokes it", r.Name, r.Code)
			continue
		}
		if r.Source == "" || (r.Fidelity != edge.Faithful && r.Fidelity != edge.Approximate) {
			t.Errorf("the row %s says source %q and fidelity %q", r.Name, r.Source, r.Fidelity)
		}
		t.Run(r.Name, func(t *testing.T) {
			w := newWorld(t)
			got := provoke(w)
			checkEnvelope(t, w, r, got)
			lines = append(lines, fmt.Sprintf("%s | %d | %v | %v", r.Name, got.Status, got.Body["error"], textOf(got)))
		})
	}
	for name := range maps.Keys(provocations) {
		if !slices.ContainsFunc(Refusals(), func(r Refusal) bool { return r.Name == name }) {
			t.Errorf("there is a test for %s, but no such row", name)
		}
	}
	compareGolden(t, "testdata/refusals.golden", strings.Join(lines, "\n")+"\n")
}

// textOf returns the description without its three identifiers.
func textOf(r reply) string {
	text, _, _ := strings.Cut(fmt.Sprint(r.Body["error_description"]), "Trace ID: ")
	return strings.TrimRight(text, " \r\n")
}

func checkEnvelope(t *testing.T, w *world, r Refusal, got reply) {
	t.Helper()
	codes, _ := got.Body["error_codes"].([]any)
	if len(codes) != 1 || codes[0] != float64(r.Code) {
		t.Errorf("error_codes = %v, want [%d]; why: %s", codes, r.Code, w.lastWhy())
	}
	if got.Status != r.Status || got.Body["error"] != r.OAuth {
		t.Errorf("answered %d %v, want %d %s", got.Status, got.Body["error"], r.Status, r.OAuth)
	}
	trace := got.Header.Get("x-ms-request-id")
	separator := " "
	if w.sts.Era != Era2025 {
		separator = "\r\n"
	}
	want := strings.Join([]string{"", "Trace ID: " + trace, "Correlation ID: " + fmt.Sprint(got.Body["correlation_id"]), "Timestamp: " + w.clock.now.Format(timestamp)}, separator)
	if description := fmt.Sprint(got.Body["error_description"]); !strings.HasSuffix(description, want) || trace == "" || got.Body["trace_id"] != trace {
		t.Errorf("description %q does not end in %q", description, want)
	}
	if uri, has := got.Body["error_uri"]; has == r.NoURI || (has && uri != fmt.Sprintf("https://login.microsoftonline.com/error?code=%d", r.Code)) {
		t.Errorf("error_uri = %v", uri)
	}
	if strings.Contains(textOf(got), "{") && r.Name != "conditional-access" {
		t.Errorf("the text has a value that was not filled in: %s", textOf(got))
	}
	if w.lastWhy() == "" {
		t.Error("the journal does not say why")
	}
}

func compareGolden(t *testing.T, file, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s differs (-want +got); rewrite it with -update if it is meant:\n%s", file, diff)
	}
}

var _ token.KeySource = keySet{}
