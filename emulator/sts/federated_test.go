package sts

import (
	"strings"
	"testing"
	"time"

	"github.com/fakeentra/fakeentra/emulator/directory"
	"github.com/fakeentra/fakeentra/emulator/environment"
	"github.com/fakeentra/fakeentra/emulator/token"
	"github.com/fakeentra/fakeentra/internal/edge"
)

func TestExternalIssuers(t *testing.T) {
	w := newWorld(t).trusting(external())
	w.claims(w.withAssertion(w.byIssuer(nil)))
	w.claims(w.withAssertion(w.byIssuer(map[string]any{"aud": []string{"other", exchange}})))
	w.claims(w.withAssertion(w.byIssuer(map[string]any{"nbf": nil})))
	forged := w.sign(token.NewRing(pool.From(6)), map[string]any{"iss": "https://issuer.test", "sub": "job-1", "aud": exchange, "exp": start.Add(time.Hour).Unix()})
	if got := w.withAssertion(forged); got.Body["error_codes"].([]any)[0] != 7000272.0 {
		t.Errorf("a token of another signer: %v", got.Body)
	}
	spaced := w.byIssuer(map[string]any{"iss": "https://issuer.test "})
	if got := w.withAssertion(spaced); got.Body["error_codes"].([]any)[0] != 700211.0 {
		t.Errorf("white space after the issuer: %v", got.Body)
	}
}

func TestFlexibleCredential(t *testing.T) {
	w := newWorld(t)
	flexible := directory.FederatedIdentityCredential{Name: "any-branch", Issuer: gitHub, Audiences: []string{exchange}, ClaimsMatchingExpression: "claims['sub'] matches 'repo:contoso/app:ref:refs/heads/*'"}
	w.trusting(flexible).publish(gitHub, w.issuer)
	w.claims(w.withAssertion(w.byIssuer(map[string]any{"iss": gitHub, "sub": "repo:contoso/app:ref:refs/heads/feature/x"})))
	if got := w.withAssertion(w.byIssuer(map[string]any{"iss": gitHub, "sub": "repo:contoso/other:ref:refs/heads/main"})); got.Body["error_codes"].([]any)[0] != 700213.0 {
		t.Errorf("another repository: %v", got.Body)
	}
}

func TestCredentialsTakeTimeToPropagate(t *testing.T) {
	late := msiAsFIC()
	late.VisibleFrom = start.Add(5 * time.Minute)
	w := newWorld(t).trusting(late)
	if got := w.withAssertion(w.identityToken(exchange)); got.Body["error_codes"].([]any)[0] != 70021.0 || !strings.Contains(w.lastWhy(), "has not propagated yet") {
		t.Fatalf("before propagation: %v (%s)", got.Body, w.lastWhy())
	}
	w.clock.now = late.VisibleFrom
	w.claims(w.withAssertion(w.identityToken(exchange)))
}

func TestManagedIdentitiesFederateWithOutsidersAlone(t *testing.T) {
	w := newWorld(t)
	w.must(w.dir.UpdateManagedIdentity(agentCID, func(m *directory.ManagedIdentity) {
		m.Federated = []directory.FederatedIdentityCredential{external(), msiAsFIC()}
	}))
	got := w.claims(w.withAssertion(w.byIssuer(nil), "client_id", agentCID))
	if got.MIRID == "" || got.FICInfo == "" || got.ObjectID != agentOID || got.Expires-got.IssuedAt != 86700 {
		t.Errorf("claims %+v", got)
	}
	if refused := w.withAssertion(w.identityToken(exchange), "client_id", agentCID); refused.Body["error_codes"].([]any)[0] != 700236.0 {
		t.Errorf("an identity that trusts an identity: %v", refused.Body)
	}
}

// Azure DevOps has a subject for each service connection, below its own
// application, and both applications and managed identities can trust it.
func TestATokenOfAPathBelowAnApplicationIsAnAssertion(t *testing.T) {
	const connection = "/eid1/c/pub/t/EREREREREREREREREREREQ/a/rISbSSETf0KqFyZ8ppdXmA/sc/1/2"
	below := map[string]any{"sub": connection, "xms_mirid": nil, "azp": "499b84ac-1321-427f-aa17-267ca6975798"}
	fic := msiAsFIC()
	fic.Subject = connection
	w := newWorld(t).trusting(fic)
	w.claims(w.withAssertion(w.forged(below)))
	w.must(w.dir.UpdateManagedIdentity(agentCID, func(m *directory.ManagedIdentity) {
		m.Federated = []directory.FederatedIdentityCredential{fic}
	}))
	w.claims(w.withAssertion(w.forged(below), "client_id", agentCID))
	fic.Subject = agentOID
	w.trusting(fic)
	below["sub"], below["oid"] = agentOID, agentOID
	if got := w.withAssertion(w.forged(below)); got.Body["error_codes"].([]any)[0] != 700226.0 {
		t.Errorf("an application's own token: %v", got.Body)
	}
}

func TestWhatOthersKnowOfAnAssertionIsInTheTranscript(t *testing.T) {
	w := newWorld(t).trusting(external())
	raw := w.byIssuer(nil)
	w.sts.Note = func(r *edge.Request, assertion string) {
		if assertion == raw {
			r.Note("rotation", "2")
		}
	}
	w.claims(w.withAssertion(raw))
	entries := w.edge.Journal.Snapshot().Entries
	if got := entries[len(entries)-1].String(); !strings.Contains(got, " assertion=unknown rotation=2 credential=") {
		t.Errorf("the transcript says %q", got)
	}
}

// awi#1613 has the dump of an application's token without idtyp.
func TestATokenWithoutIDTypeIsNoUsersToken(t *testing.T) {
	w := newWorld(t)
	w.claims(w.withAssertion(w.forged(map[string]any{"idtyp": nil})))
}

func TestATokenWithScopesIsAUsersToken(t *testing.T) {
	w := newWorld(t)
	got := w.withAssertion(w.forged(map[string]any{"idtyp": nil, "scp": "user_impersonation"}))
	if got.Body["error_codes"].([]any)[0] != 700229.0 {
		t.Errorf("answered %v", got.Body["error_description"])
	}
}

func TestClocksMayBeFiveMinutesApart(t *testing.T) {
	w := newWorld(t).trusting(external())
	assertion := w.byIssuer(nil) // from start, for an hour
	for _, tc := range []struct {
		at   time.Duration
		want int
	}{{-301 * time.Second, 401}, {-300 * time.Second, 200}, {time.Hour + 299*time.Second, 200}, {time.Hour + 300*time.Second, 401}} {
		w.clock.now = start.Add(tc.at)
		if got := w.withAssertion(assertion); got.Status != tc.want {
			t.Errorf("%v after it was issued: %d %v, want %d", tc.at, got.Status, got.Body["error_description"], tc.want)
		}
	}
}

// A managed identity of one cloud cannot vouch for an application of another,
// whichever cloud's audience the credential has.
func TestATokenOfAnotherCloudIsRefusedAsSuch(t *testing.T) {
	for _, audience := range []string{exchange, environment.USGovernment.TokenExchangeAudience} {
		w := newWorld(t)
		foreign := msiAsFIC()
		foreign.Issuer, foreign.Audiences = environment.USGovernment.IssuerV2(contoso), []string{audience}
		got := w.trusting(foreign).withAssertion(w.forged(map[string]any{"iss": foreign.Issuer}))
		if got.Body["error_codes"].([]any)[0] != 700238.0 {
			t.Errorf("audience %s: %v", audience, got.Body["error_description"])
		}
	}
}

// Microsoft documents that system-assigned identities are not supported, and
// tests in MSAL.NET that they work.
func TestSystemAssignedIdentitiesAreAcceptedWithAWarning(t *testing.T) {
	w := newWorld(t)
	w.must(w.dir.UpdateManagedIdentity(agentCID, func(m *directory.ManagedIdentity) { m.Kind = directory.SystemAssigned }))
	w.claims(w.withAssertion(w.identityToken(exchange)))
	if !strings.Contains(w.lastWhy(), "not supported") {
		t.Errorf("why = %q", w.lastWhy())
	}
}

func TestTheClassicMistakesAreNamed(t *testing.T) {
	for want, edit := range map[string]func(*directory.FederatedIdentityCredential){
		"Entra compares the principal (object) ID of a managed identity, not its client ID": func(f *directory.FederatedIdentityCredential) { f.Subject = agentCID },
		"this is an application's object ID, not a managed identity's principal ID":         func(f *directory.FederatedIdentityCredential) { f.Subject = "e0" },
		"they differ in letter case alone, and Entra compares exactly":                      func(f *directory.FederatedIdentityCredential) { f.Issuer = strings.ToUpper(f.Issuer) },
		"they differ in the slash at the end":                                               func(f *directory.FederatedIdentityCredential) { f.Issuer += "/" },
		"whose issuer ends in /v2.0":                                                        func(f *directory.FederatedIdentityCredential) { f.Issuer = environment.Public.IssuerV1(contoso) },
		"it must be api://AzureADTokenExchange":                                             func(f *directory.FederatedIdentityCredential) { f.Audiences = []string{"api://azureadtokenexchange"} },
		"add one with issuer":                                                               nil,
	} {
		c := msiAsFIC()
		w := newWorld(t).trusting()
		if edit != nil {
			edit(&c)
			w.trusting(c)
		}
		if got := w.withAssertion(w.identityToken(exchange)); got.Status == 200 || !strings.Contains(w.lastWhy(), want) {
			t.Errorf("answered %d because %q; want %q", got.Status, w.lastWhy(), want)
		}
	}
}

func TestAnAssertionWithoutAnEndIsNamedAsSuch(t *testing.T) {
	w := newWorld(t).trusting(external())
	got := w.withAssertion(w.byIssuer(map[string]any{"exp": nil}))
	if want := "the assertion has no exp claim"; got.Body["error_codes"].([]any)[0] != 700024.0 || !strings.Contains(w.lastWhy(), want) {
		t.Errorf("answered %v because %q; want %q", got.Body, w.lastWhy(), want)
	}
}

func TestATokenForSomethingElseIsNamedAsTheMistake(t *testing.T) {
	w := newWorld(t)
	w.withAssertion(w.identityToken("https://management.azure.com/"))
	if want := "a v1.0 token for https://management.azure.com/; ask the managed identity for one for " + exchange; !strings.Contains(w.lastWhy(), want) {
		t.Errorf("why = %q; want %q", w.lastWhy(), want)
	}
}
