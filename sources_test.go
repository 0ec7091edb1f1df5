package fakeentra_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
	"github.com/AzureAD/microsoft-authentication-library-for-go/apps/managedidentity"

	"github.com/fakeentra/fakeentra"
	"github.com/fakeentra/fakeentra/emulator/token"
	"github.com/fakeentra/fakeentra/internal/toolchain"
)

// A seeker gets tokens of managed identities from one of the SDKs.
type seeker func(ctx context.Context, client *http.Client, selector, value, resource string) (string, error)

// seekers are the SDKs. MSAL keeps tokens for the whole process; with claims it
// asks again.
var seekers = map[string]seeker{
	"azidentity": func(ctx context.Context, client *http.Client, selector, value, resource string) (string, error) {
		ids := map[string]azidentity.ManagedIDKind{"client": azidentity.ClientID(value), "object": azidentity.ObjectID(value), "resource": azidentity.ResourceID(value)}
		options := &azidentity.ManagedIdentityCredentialOptions{ClientOptions: azcore.ClientOptions{Transport: client, Retry: policy.RetryOptions{MaxRetries: -1}}, ID: ids[selector]}
		credential, err := azidentity.NewManagedIdentityCredential(options)
		if err != nil {
			return "", err
		}
		got, err := credential.GetToken(ctx, policy.TokenRequestOptions{Scopes: []string{resource + "/.default"}, Claims: "{}"})
		return got.Token, err
	},
	"msal": func(ctx context.Context, client *http.Client, selector, value, resource string) (string, error) {
		ids := map[string]managedidentity.ID{"": managedidentity.SystemAssigned(), "client": managedidentity.UserAssignedClientID(value), "object": managedidentity.UserAssignedObjectID(value), "resource": managedidentity.UserAssignedResourceID(value)}
		mi, err := managedidentity.New(ids[selector], managedidentity.WithHTTPClient(client), managedidentity.WithRetryPolicyDisabled())
		if err != nil {
			return "", err
		}
		got, err := mi.AcquireToken(ctx, resource, managedidentity.WithClaims("{}"))
		return got.AccessToken, err
	},
}

// isolate gives the test the variables of a host, and none of another.
func isolate(t *testing.T, variables []string) {
	t.Helper()
	for _, name := range []string{"IDENTITY_ENDPOINT", "IDENTITY_HEADER", "IDENTITY_SERVER_THUMBPRINT", "IDENTITY_API_VERSION", "IMDS_ENDPOINT", "MSI_ENDPOINT", "MSI_SECRET", "DEFAULT_IDENTITY_CLIENT_ID"} {
		t.Setenv(name, "")
	}
	for _, entry := range variables {
		name, value, _ := strings.Cut(entry, "=")
		t.Setenv(name, value)
	}
}

// reachable returns a client that finds the endpoint of a host. At Service Fabric
// SDKs want to see the certificate, so there is a listener.
func reachable(t *testing.T, w world, h *fakeentra.Host) *http.Client {
	t.Helper()
	if h.Source() != fakeentra.ServiceFabric {
		isolate(t, h.Variables())
		return h.Client()
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- w.ServeEndpoint(ctx, h.Name(), l) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	isolate(t, h.VariablesAt("https://"+l.Addr().String()))
	return &http.Client{}
}

// needsAgentFolder skips a test where clients would not find key files of Azure
// Arc: they look in one folder, which takes root.
func needsAgentFolder(t *testing.T, source fakeentra.Source) {
	t.Helper()
	if source != fakeentra.Arc {
		return
	}
	if runtime.GOOS == "linux" && os.MkdirAll("/var/opt/azcmagent/tokens", 0o755) == nil {
		_ = os.Remove("/var/opt/azcmagent/tokens")
		_ = os.Remove("/var/opt/azcmagent")
		return
	}
	toolchain.Without(t, "the folder of Azure Arc's agent, /var/opt/azcmagent/tokens", "run the tests as root, on Linux")
}

// The cells of the support matrix of the SDKs for Go: which selectors they send
// to which source.
func TestSDKsGetTokensFromEverySource(t *testing.T) {
	all := []string{"", "client", "object", "resource"}
	for _, cell := range []struct {
		source    fakeentra.Source
		selectors []string
	}{
		{fakeentra.IMDS, all}, {fakeentra.AppService, all}, {fakeentra.Functions, all}, {fakeentra.ContainerApps, all}, {fakeentra.Arc, all},
		{fakeentra.AzureML, all[:2]}, {fakeentra.ServiceFabric, all[:1]}, {fakeentra.CloudShell, all[:1]},
	} {
		for _, selector := range cell.selectors {
			for name, seek := range seekers {
				t.Run(fmt.Sprintf("%s/%s/%s", cell.source, name, selector), func(t *testing.T) {
					needsAgentFolder(t, cell.source)
					seekToken(t, cell.source, selector, seek)
				})
			}
		}
	}
}

// seekToken gets a token, and exchanges it if it is that of a user-assigned
// identity.
func seekToken(t *testing.T, source fakeentra.Source, selector string, seek seeker) {
	w := newWorld(t)
	own := w.contoso.AddSystemAssignedIdentity("own")
	h := w.AddHost("box", source).Assign(own)
	if source != fakeentra.CloudShell { // which has one user
		h.Assign(w.agent)
	}
	value := map[string]string{"client": string(w.agent.ClientID), "object": string(w.agent.ObjectID), "resource": string(w.agent.ResourceID)}[selector]
	resource, want := "api://AzureADTokenExchange", string(w.agent.ObjectID)
	if selector == "" && source != fakeentra.AzureML {
		want = string(own.ObjectID)
	}
	if source == fakeentra.CloudShell {
		resource = "https://storage.azure.com"
	}
	got, err := seek(t.Context(), reachable(t, w, h), selector, value, resource)
	if err != nil {
		t.Fatalf("%v\n%s", err, w.Journal())
	}
	jwt, err := token.Parse(got)
	if err != nil || jwt.Claims.Subject != want {
		t.Fatalf("the token is that of %s (%v), want %s", jwt.Claims.Subject, err, want)
	}
	if want == string(w.agent.ObjectID) {
		if status, body := w.plain().exchangeWith(t, got); status != 200 {
			t.Errorf("the exchange: %d %v", status, body)
		}
	}
}

// An identity that is not assigned shows as each source says it, and is no
// failure of the network.
func TestSDKsReportAnIdentityThatIsNotAssigned(t *testing.T) {
	for source, want := range map[fakeentra.Source]string{
		fakeentra.IMDS: "the requested identity isn't assigned to this resource", fakeentra.AppService: "No User Assigned or Delegated Managed Identity found for specified ClientId/ResourceId/PrincipalId.",
		fakeentra.ContainerApps: "No User Assigned or Delegated Managed Identity found", fakeentra.AzureML: "Identity not found", fakeentra.Arc: "Identity not found",
	} {
		t.Run(string(source), func(t *testing.T) {
			needsAgentFolder(t, source)
			w := newWorld(t)
			h := w.AddHost("box", source).Assign(w.contoso.AddSystemAssignedIdentity("own"))
			_, err := seekers["azidentity"](t.Context(), reachable(t, w, h), "client", string(w.agent.ClientID), "api://AzureADTokenExchange")
			var failed *azidentity.AuthenticationFailedError
			if !errors.As(err, &failed) || !strings.Contains(err.Error(), want) {
				t.Errorf("error %v, want one about %q", err, want)
			}
		})
	}
}

// An agent of before 2026 answers with the token of another identity; MSAL of
// 2026 sees that it does.
func TestMSALRefusesTheAnswerOfAnOlderAgent(t *testing.T) {
	needsAgentFolder(t, fakeentra.Arc)
	w := newWorld(t)
	h := w.AddHost("box", fakeentra.Arc, fakeentra.WithOlderAgent()).Assign(w.agent, w.contoso.AddSystemAssignedIdentity("own"))
	_, err := seekers["msal"](t.Context(), reachable(t, w, h), "client", string(w.agent.ClientID), "api://AzureADTokenExchange")
	if err == nil || !strings.Contains(err.Error(), "azure arc did not confirm the requested user-assigned managed identity") {
		t.Errorf("error %v", err)
	}
}

// TestChild is what the children of TestAChildFindsEverySource do.
func TestChild(t *testing.T) {
	selector, value, ok := strings.Cut(os.Getenv("FAKEENTRA_TEST_CHILD"), "=")
	if !ok {
		t.Skip("is run by TestAChildFindsEverySource")
	}
	resource := "api://AzureADTokenExchange"
	if os.Getenv("IDENTITY_ENDPOINT") == "" && os.Getenv("MSI_SECRET") == "" && os.Getenv("MSI_ENDPOINT") != "" {
		resource = "https://storage.azure.com"
	}
	if _, err := seekers["azidentity"](t.Context(), &http.Client{}, selector, value, resource); err != nil {
		t.Fatal(err)
	}
}

// Host.Environ is all that an unmodified program needs. azidentity honours
// HTTP_PROXY, also for 169.254.169.254, so the targets of its requests are in
// absolute form.
func TestAChildFindsEverySource(t *testing.T) {
	for source, op := range map[fakeentra.Source]string{
		fakeentra.IMDS: "imds.token", fakeentra.AppService: "appservice.token", fakeentra.ContainerApps: "containerapps.token", fakeentra.Arc: "arc.token arc.token",
		fakeentra.ServiceFabric: "servicefabric.token", fakeentra.CloudShell: "cloudshell.token", fakeentra.AzureML: "azureml.token",
	} {
		t.Run(string(source), func(t *testing.T) {
			needsAgentFolder(t, source)
			w := newWorld(t)
			h := w.AddHost("box", source).Assign(w.contoso.AddSystemAssignedIdentity("own"))
			child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestChild$", "-test.v")
			child.Env = append(h.Environ(), "FAKEENTRA_TEST_CHILD==")
			if out, err := child.CombinedOutput(); err != nil {
				t.Fatalf("%v\n%s\n%s", err, out, w.Journal())
			}
			if got := strings.Join(w.ops(), " "); got != op {
				t.Errorf("the child asked for %s, want %s", got, op)
			}
		})
	}
}

func TestKeyFilesOfAzureArc(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("modes and paths are those of Unix")
	}
	w := newWorld(t)
	h := w.AddHost("box", fakeentra.Arc).Assign(w.agent)
	folder := t.TempDir()
	taken := filepath.Join(folder, "taken.key")
	if err := os.WriteFile(taken, []byte("kept"), 0o600); err != nil {
		t.Fatal(err)
	}
	h.ShowKeyFolder(folder, "/seen/elsewhere")
	isolate(t, h.Variables())
	ask := func(headers ...string) *http.Response {
		req, err := http.NewRequestWithContext(t.Context(), "GET", "http://localhost:40342/metadata/identity/oauth2/token?api-version=2020-06-01&resource=api://AzureADTokenExchange", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Metadata", "true")
		if len(headers) > 0 {
			req.Header.Set("Authorization", headers[0])
		}
		resp, err := h.Client().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		return resp
	}
	seen, ok := strings.CutPrefix(ask().Header.Get("WWW-Authenticate"), "Basic realm=/seen/elsewhere/")
	info, err := os.Stat(filepath.Join(folder, seen))
	if !ok || err != nil || info.Mode().Perm() != 0o640 || info.Size() != 64 {
		t.Fatalf("%q: %v, %v", seen, info, err)
	}
	key, err := os.ReadFile(filepath.Join(folder, seen))
	if err != nil {
		t.Fatal(err)
	}
	if resp := ask("Basic " + string(key)); resp.StatusCode != 200 {
		t.Errorf("with the key: %d\n%s", resp.StatusCode, w.Journal())
	}
	ask() // leaves a file that nobody reads
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	left, err := os.ReadDir(folder)
	if err != nil || len(left) != 1 || left[0].Name() != "taken.key" {
		t.Errorf("after Close: %v, %v", left, err)
	}
	if resp := ask(); resp.StatusCode != 500 {
		t.Errorf("after Close: %d, want a refusal", resp.StatusCode)
	}
}

// Clouds of one seed propose the same names for their files.
func TestTwoCloudsShareAFolderForKeyFiles(t *testing.T) {
	folder := t.TempDir()
	var paths []string
	for range 2 {
		cloud := fakeentra.Start(t, fakeentra.WithSeed("shared"))
		h := cloud.AddHost("box", fakeentra.Arc)
		h.ShowKeyFolder(folder, folder)
		req, err := http.NewRequestWithContext(t.Context(), "GET", "http://localhost:40342/metadata/identity/oauth2/token?api-version=2020-06-01&resource=x", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Metadata", "true")
		resp, err := h.Client().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		paths = append(paths, resp.Header.Get("WWW-Authenticate"))
	}
	files, err := filepath.Glob(filepath.Join(folder, "*.key"))
	if err != nil || len(files) != 2 || paths[0] == paths[1] || slices.Contains(paths, "") {
		t.Errorf("files %v, challenges %v", files, paths)
	}
}
