package fakeentra_test

import (
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fakeentra/fakeentra"
	"github.com/fakeentra/fakeentra/emulator/directory"
	"github.com/fakeentra/fakeentra/emulator/fault"
	"github.com/fakeentra/fakeentra/fixtures"
)

// A hundred clouds at a time share nothing: tokens, keys, journals, faults and
// clocks of one mean nothing in another.
func TestCloudsShareNothing(t *testing.T) {
	var mu sync.Mutex
	tokens := map[string]string{}
	t.Run("clouds", func(t *testing.T) {
		for i := range 100 {
			t.Run(fmt.Sprint(i), func(t *testing.T) {
				t.Parallel()
				w := newWorld(t)
				if i%10 == 0 {
					w.Advance(time.Hour)
					w.Inject(fault.Rule{Op: "sts.keys", Do: fault.Hangup{}})
				}
				c := w.exchange(t)
				if status, code := c.list(t, c.access); status != 200 {
					t.Errorf("listing: %d %s", status, code)
				}
				if got := strings.Join(w.ops(), " "); got != "imds.token sts.token blob.list-blobs" {
					t.Errorf("the journal has %s", got)
				}
				mu.Lock()
				defer mu.Unlock()
				if other, dup := tokens[c.access]; dup {
					t.Errorf("the same token as in %s", other)
				}
				tokens[c.access] = t.Name()
			})
		}
	})
	w := newWorld(t)
	c := w.exchange(t)
	for token, other := range tokens {
		if status, code := c.list(t, token); status != 401 {
			t.Fatalf("a token of %s was answered %d %s", other, status, code)
		}
	}
	if strings.Contains(w.Journal().String(), c.access[:40]) {
		t.Error("the printed journal holds a token")
	}
}

// T records what Start does with a test.
type T struct {
	failed   bool
	log      strings.Builder
	cleanups []func()
}

func (t *T) Helper()                           {}
func (t *T) Name() string                      { return "T" }
func (t *T) Failed() bool                      { return t.failed }
func (t *T) Logf(format string, args ...any)   { fmt.Fprintf(&t.log, format+"\n", args...) }
func (t *T) Fatalf(format string, args ...any) { t.Logf(format, args...) }
func (t *T) Cleanup(f func())                  { t.cleanups = append(t.cleanups, f) }
func (t *T) end() {
	for i := len(t.cleanups) - 1; i >= 0; i-- {
		t.cleanups[i]()
	}
}

func TestAFailedTestShowsTheJournal(t *testing.T) {
	for _, failed := range []bool{true, false} {
		fake := &T{failed: failed}
		cloud := fakeentra.Start(fake)
		cloud.AddHost("vm1", fakeentra.IMDS)
		resp, err := cloud.Host("vm1").Client().Get("http://169.254.169.254/metadata/identity/oauth2/token")
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		fake.end()
		if got := strings.Contains(fake.log.String(), "1 imds.token 400 vm1"); got != failed {
			t.Errorf("a test that failed=%v logged %q", failed, fake.log.String())
		}
	}
	fake := &T{}
	if c := fakeentra.Start(fake, fakeentra.WithScenario([]byte("fakeentra: 2\n"))); c != nil || !strings.Contains(fake.log.String(), "line") && !strings.Contains(fake.log.String(), ":1:") {
		t.Errorf("a broken scenario gave a cloud, or the message %q", fake.log.String())
	}
}

func TestMisusePanicsWithASentence(t *testing.T) {
	w := newWorld(t)
	fabrikam := w.AddTenant("fabrikam")
	fixed := newWorld(t, fakeentra.WithClock(still{}))
	for want, misuse := range map[string]func(){
		`the tenant ID`:                         func() { w.AddTenant("contoso") },
		`there is no tenant "nobody"`:           func() { w.Tenant("nobody") },
		`there is no application "nobody"`:      func() { w.Application("nobody") },
		`there is no managed identity`:          func() { w.ManagedIdentity("nobody") },
		`a tenant needs a name`:                 func() { w.AddTenant("") },
		`an application needs a name`:           func() { w.contoso.AddApplication("") },
		`a managed identity needs a name`:       func() { w.contoso.AddManagedIdentity("") },
		`there is no host "nobody"; there are:`: func() { w.Host("nobody") },
		`there is no storage account "nobody"`:  func() { w.StorageAccount("nobody") },
		`is the client ID of exporter already`:  func() { w.contoso.AddApplication("exporter") },
		`the name is taken`:                     func() { w.AddStorageAccount("contosodata", w.contoso) },
		`3 to 24 lower-case letters`:            func() { w.AddStorageAccount("No", w.contoso) },
		`there is no role "Owner of all"`:       func() { w.account.Grant(w.exporter, "Owner of all") },
		`call Consent on that tenant`:           func() { w.AddStorageAccount("far", fabrikam).Grant(w.exporter, fakeentra.StorageBlobDataReader) },
		`is not multi-tenant`:                   func() { fabrikam.Consent(w.exporter) },
		`must have exactly one`: func() {
			w.exporter.AddFederatedIdentityCredential(directory.FederatedIdentityCredential{Name: "two", Issuer: "i", Subject: "s"})
		},
		`expected an https URL`:                                 func() { w.AddIssuer("http://x") },
		`login.microsoftonline.com is emulated already`:         func() { w.AddIssuer("https://login.microsoftonline.com/x") },
		`contosodata.blob.core.windows.net is emulated already`: func() { w.AddIssuer("https://contosodata.blob.core.windows.net") },
		`was given no certificate`:                              func() { w.exporter.AddCertificate(nil) },
		`there is no operation "sts.tokn"`:                      func() { w.Inject(fault.Rule{Op: "sts.tokn", Do: fault.Hangup{}}) },
		`sts.token has no refusal "AADSTS1"`:                    func() { w.Inject(fault.Rule{Op: "sts.token", Do: fault.Refuse("AADSTS1")}) },
		`has no federated identity credential`: func() {
			w.exporter.UpdateFederatedIdentityCredential(directory.FederatedIdentityCredential{Name: "other"})
		},
		`was given a clock of its own`: func() { fixed.Advance(time.Hour) },
	} {
		func() {
			defer func() {
				if got := fmt.Sprint(recover()); !strings.HasPrefix(got, "fakeentra: ") || !strings.Contains(got, want) {
					t.Errorf("panicked with %q, want %q", got, want)
				}
			}()
			misuse()
		}()
	}
}

type still struct{}

func (still) Now() time.Time { return time.Date(2027, 1, 15, 8, 0, 0, 0, time.UTC) }

func TestAScenarioFileMakesTheSameWorld(t *testing.T) {
	file, err := fixtures.Scenarios.ReadFile("scenarios/msi-fic-blob.yaml")
	if err != nil {
		t.Fatal(err)
	}
	entra := fakeentra.Start(t, fakeentra.WithScenario(file))
	w := world{Cloud: entra, contoso: entra.Tenant("contoso"), agent: entra.ManagedIdentity("build-agent"), exporter: entra.Application("exporter"),
		account: entra.StorageAccount("contosodata"), vm: entra.Host("vm1")}
	for range 2 {
		c := w.exchange(t)
		if status, code := c.list(t, c.access); status != 200 {
			t.Fatalf("listing: %d %s", status, code)
		}
		w.account.PutBlob("reports", "new.csv", nil)
		w.Advance(48 * time.Hour)
		if err := entra.Reset(); err != nil {
			t.Fatal(err)
		}
		if n := len(entra.Journal().Entries); n != 0 || time.Until(entra.Now()) > time.Hour {
			t.Fatalf("after Reset the journal has %d entries and the clock shows %v", n, entra.Now())
		}
	}
}

func TestConsentKeepsTheServicePrincipalThatIsThere(t *testing.T) {
	file, err := fixtures.Scenarios.ReadFile("scenarios/msi-fic-blob.yaml")
	if err != nil {
		t.Fatal(err)
	}
	entra := fakeentra.Start(t, fakeentra.WithScenario(file))
	entra.Tenant("contoso").Consent(entra.Application("exporter"))
	if got := entra.Application("exporter").PrincipalID(); got != "55555555-5555-5555-5555-555555555555" {
		t.Errorf("the principal ID became %s", got)
	}
}

func TestResetsTakeTurns(t *testing.T) {
	file, err := fixtures.Scenarios.ReadFile("scenarios/msi-fic-blob.yaml")
	if err != nil {
		t.Fatal(err)
	}
	entra := fakeentra.Start(t, fakeentra.WithScenario(file))
	var resets sync.WaitGroup
	for range 8 {
		resets.Go(func() {
			for range 10 {
				if err := entra.Reset(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	resets.Wait()
	if got := strings.Join(entra.Hosts(), " "); got != "vm1 laptop" {
		t.Errorf("the hosts are %s", got)
	}
}

func TestALaptopHasNoMetadataService(t *testing.T) {
	w := newWorld(t)
	laptop := w.AddHost("laptop", fakeentra.NoSource)
	resp, err := laptop.Client().Get("http://169.254.169.254/metadata/identity/oauth2/token")
	if err == nil {
		_ = resp.Body.Close()
		t.Fatalf("answered %d, want a refused connection", resp.StatusCode)
	}
	if !strings.Contains(err.Error(), "refused") {
		t.Fatalf("error %v, want a refused connection", err)
	}
}

func TestIssuersOutsideEntra(t *testing.T) {
	w := newWorld(t)
	github := w.AddIssuer("https://token.actions.githubusercontent.com")
	w.exporter.AddFederatedIdentityCredential(directory.FederatedIdentityCredential{Name: "main", Issuer: github.URL, Subject: "repo:contoso/app:ref:refs/heads/main", Audiences: []string{"api://AzureADTokenExchange"}})
	sign := func(subject string) string {
		return github.Sign(map[string]any{"iss": github.URL, "sub": subject, "aud": "api://AzureADTokenExchange", "exp": w.Now().Add(time.Hour).Unix()})
	}
	c := w.plain()
	good := sign("repo:contoso/app:ref:refs/heads/main")
	if status, body := c.exchangeWith(t, good); status != 200 {
		t.Fatalf("GitHub's token: %d %v\n%s", status, body, w.Journal())
	}
	if got := strings.Join(w.ops(), " "); got != "sts.token issuer.openid-configuration issuer.keys" {
		t.Errorf("the exchange asked for %s", got)
	}
	github.RotateKeys()
	github.RetireKeys()
	if status, body := c.exchangeWith(t, good); status != 401 || body["error_codes"].([]any)[0] != 7000272.0 {
		t.Errorf("after the issuer retired its key: %d %v", status, body)
	}
	w.Inject(fault.Rule{Op: "issuer.keys", Times: 1, Do: fault.Respond{Status: http.StatusServiceUnavailable}})
	if status, body := c.exchangeWith(t, sign("repo:contoso/app:ref:refs/heads/main")); status != 400 || body["error_codes"].([]any)[0] != 50166.0 {
		t.Errorf("while the issuer is down: %d %v", status, body)
	}
}

func TestEnvironIsWholeAndCleansUp(t *testing.T) {
	t.Setenv("IDENTITY_ENDPOINT", "http://elsewhere")
	t.Setenv("no_proxy", "169.254.169.254")
	t.Setenv("KEPT", "yes")
	t.Setenv("JAVA_TOOL_OPTIONS", "-Xmx1g")
	cloud, err := fakeentra.New()
	if err != nil {
		t.Fatal(err)
	}
	env := map[string]string{}
	for _, entry := range cloud.AddHost("vm1", fakeentra.IMDS).Environ() {
		name, value, _ := strings.Cut(entry, "=")
		if _, dup := env[name]; dup {
			t.Errorf("%s is set twice", name)
		}
		env[name] = value
	}
	if _, leaked := env["IDENTITY_ENDPOINT"]; leaked || env["KEPT"] != "yes" || env["no_proxy"] != "localhost,127.0.0.1,::1" || !strings.HasPrefix(env["HTTPS_PROXY"], "http://127.0.0.1:") {
		t.Errorf("environment: %v", env)
	}
	if java := env["JAVA_TOOL_OPTIONS"]; !strings.HasPrefix(java, "-Xmx1g -Djavax.net.ssl.trustStore=") {
		t.Errorf("JAVA_TOOL_OPTIONS = %q; what was in it must stay", java)
	}
	info, err := os.Stat(env["NODE_EXTRA_CA_CERTS"])
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("certificate file: %v, %v", info, err)
	}
	if err := cloud.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(env["NODE_EXTRA_CA_CERTS"]); !os.IsNotExist(err) {
		t.Errorf("after Close the certificate file is still there: %v", err)
	}
	if err := cloud.Close(); err != nil {
		t.Errorf("a second Close: %v", err)
	}
}

func TestJavaFindsATrustStoreInAFolderWithSpaces(t *testing.T) {
	env := strings.Join(fakeentra.Doors{Proxy: "http://127.0.0.1:1"}.Environ(fakeentra.Certificates{TrustStore: "/a folder/t.jks"}), "\n")
	if want := `-Djavax.net.ssl.trustStore="/a folder/t.jks" `; !strings.Contains(env, want) {
		t.Errorf("environment %s, want %s", env, want)
	}
}
