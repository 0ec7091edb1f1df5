package fakeentra_test

import (
	"context"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
	"github.com/google/go-cmp/cmp"

	"github.com/fakeentra/fakeentra"
	"github.com/fakeentra/fakeentra/fixtures"
)

const storageScope = "https://storage.azure.com/.default"

// setenv sets variables in the form of os.Environ for the length of a test.
func setenv(t *testing.T, variables []string) {
	t.Helper()
	for _, v := range variables {
		name, value, _ := strings.Cut(v, "=")
		t.Setenv(name, value)
	}
}

// value returns a variable in the form of os.Environ.
func value(variables []string, name string) string {
	for _, v := range variables {
		if found, ok := strings.CutPrefix(v, name+"="); ok {
			return found
		}
	}
	return ""
}

func read(t *testing.T, file string) string {
	t.Helper()
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

// clusterURL is an issuer in the form of AKS.
const clusterURL = "https://eastus.oic.prod-aks.azure.com/11111111-1111-1111-1111-111111111111/99999999-9999-9999-9999-999999999999/"

func withTransport(h *fakeentra.Host) policy.ClientOptions {
	return policy.ClientOptions{Transport: h.Client()}
}

func TestAPodSignsInAsAnApplicationAndAsAManagedIdentity(t *testing.T) {
	entra := fakeentra.Start(t)
	contoso := entra.AddTenant("contoso")
	cluster := entra.AddIssuer(clusterURL)
	exporter := contoso.AddApplication("exporter")
	agent := contoso.AddManagedIdentity("agent")
	exporterPod := entra.AddPod("exporter-pod", fakeentra.Pod{Cluster: cluster, ServiceAccount: "jobs/exporter", Identity: exporter})
	agentPod := entra.AddPod("agent-pod", fakeentra.Pod{Cluster: cluster, Identity: agent})
	exporter.TrustHost(exporterPod)
	agent.TrustHost(agentPod)
	for _, pod := range []*fakeentra.Host{exporterPod, agentPod} {
		setenv(t, pod.Variables())
		cred, err := azidentity.NewWorkloadIdentityCredential(&azidentity.WorkloadIdentityCredentialOptions{ClientOptions: withTransport(pod)})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := cred.GetToken(t.Context(), policy.TokenRequestOptions{Scopes: []string{storageScope}}); err != nil {
			t.Errorf("%s: %v", pod.Name(), err)
		}
	}
	want := `kubernetes.token-request 201 kubelet jobs/exporter pod=exporter-pod rotation=1
sts.token 200 exporter-pod contoso exporter assertion=#1 pod=exporter-pod rotation=1 age=0m credential=trust-exporter-pod scope="https://storage.azure.com/.default openid offline_access profile"
kubernetes.token-request 201 kubelet default/default pod=agent-pod rotation=1
sts.token 200 agent-pod contoso agent assertion=#7 pod=agent-pod rotation=1 age=0m credential=trust-agent-pod scope="https://storage.azure.com/.default openid offline_access profile"
`
	if diff := cmp.Diff(want, unnumbered(entra, "kubernetes.token-request", "sts.token")); diff != "" {
		t.Errorf("transcript (-want +got):\n%s", diff)
	}
}

// unnumbered returns the lines of some operations without their numbers.
func unnumbered(c *fakeentra.Cloud, ops ...string) string {
	var b strings.Builder
	for line := range strings.Lines(c.Journal().String()) {
		_, rest, _ := strings.Cut(line, " ")
		if op, _, _ := strings.Cut(rest, " "); slices.Contains(ops, op) {
			b.WriteString(rest)
		}
	}
	return b.String()
}

func TestTheTokenProxyOfAnIdentityBindingIsChosenByTheServerName(t *testing.T) {
	entra := fakeentra.Start(t)
	agent := entra.AddTenant("contoso").AddManagedIdentity("agent")
	pod := entra.AddPod("pod", fakeentra.Pod{Cluster: entra.AddIssuer(clusterURL), Identity: agent, IdentityBinding: true})
	env := pod.Variables()
	setenv(t, env)
	get := func() error {
		cred, err := azidentity.NewWorkloadIdentityCredential(&azidentity.WorkloadIdentityCredentialOptions{EnableAzureProxy: true, ClientOptions: policy.ClientOptions{Retry: policy.RetryOptions{MaxRetries: -1}}})
		if err != nil {
			t.Fatal(err)
		}
		_, err = cred.GetToken(t.Context(), policy.TokenRequestOptions{Scopes: []string{storageScope}})
		return err
	}
	if err := get(); err != nil {
		t.Fatal(err)
	}
	want := `kubernetes.token-request 201 kubelet default/default pod=pod rotation=1
kubernetes.token-proxy 200 pod assertion=#1 pod=pod rotation=1 age=0m
sts.token 200 pod contoso agent assertion=#6 credential=aks-identity-binding scope="https://storage.azure.com/.default openid offline_access profile"
`
	if diff := cmp.Diff(want, unnumbered(entra, "kubernetes.token-request", "kubernetes.token-proxy", "sts.token")); diff != "" {
		t.Errorf("transcript (-want +got):\n%s\n%s", diff, entra.Journal())
	}
	t.Setenv("AZURE_KUBERNETES_SNI_NAME", strings.TrimPrefix(value(pod.MountedVariables(), "AZURE_KUBERNETES_TOKEN_PROXY"), "https://"))
	if err := get(); err == nil || !strings.Contains(err.Error(), "401") {
		t.Errorf("with the server name of the API server: %v", err)
	}
	if err := os.WriteFile(filepath.Join(t.TempDir(), "ca.pem"), entra.CAPEM(), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("AZURE_KUBERNETES_SNI_NAME", value(env, "AZURE_KUBERNETES_SNI_NAME"))
	t.Setenv("AZURE_KUBERNETES_CA_FILE", "")
	t.Setenv("AZURE_KUBERNETES_CA_DATA", string(entra.CAPEM()))
	if err := get(); err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("with the certificate authority of the cloud: %v", err)
	}
}

func TestAJobOfGitHubGetsATokenThatAnApplicationTrusts(t *testing.T) {
	entra := fakeentra.Start(t)
	exporter := entra.AddTenant("contoso").AddApplication("exporter")
	job := entra.AddGitHubJob("runner", fakeentra.GitHubJob{Issuer: entra.AddIssuer("https://token.actions.githubusercontent.com"), Repository: "contoso/exporter", Environment: "production"})
	exporter.TrustHost(job)
	setenv(t, job.Variables())
	cred, err := azidentity.NewClientAssertionCredential(string(exporter.Tenant), string(exporter.ClientID), func(ctx context.Context) (string, error) { return idToken(ctx, job) }, &azidentity.ClientAssertionCredentialOptions{ClientOptions: withTransport(job)})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := cred.GetToken(t.Context(), policy.TokenRequestOptions{Scopes: []string{storageScope}}); err != nil {
		t.Fatal(err)
	}
	if issuer, subject := job.Presents(); issuer != "https://token.actions.githubusercontent.com" || subject != "repo:contoso/exporter:environment:production" {
		t.Errorf("the job presents %s of %s", subject, issuer)
	}
}

func TestAJobOfAzurePipelinesSignsInByItsServiceConnection(t *testing.T) {
	entra := fakeentra.Start(t)
	contoso := entra.AddTenant("contoso")
	devOps := entra.AddIssuer("https://vstoken.dev.azure.com/6804a3a0-e94c-41ae-9343-c5676fd58375")
	exporter, agent := contoso.AddApplication("exporter"), contoso.AddManagedIdentity("agent")
	older := entra.AddPipelinesJob("older", fakeentra.PipelinesJob{Issuer: devOps, Organization: "contoso", Project: "exporter", ServiceConnection: "azure", Identity: exporter})
	newer := entra.AddPipelinesJob("newer", fakeentra.PipelinesJob{Organization: "contoso", Project: "exporter", ServiceConnection: "azure-2025", Identity: exporter})
	managed := entra.AddPipelinesJob("managed", fakeentra.PipelinesJob{Organization: "contoso", Project: "exporter", ServiceConnection: "azure-identity", Identity: agent})
	exporter.TrustHost(older).TrustHost(newer)
	agent.TrustHost(managed)
	for _, job := range []*fakeentra.Host{older, newer, managed} {
		setenv(t, job.Variables())
		cred, err := azidentity.NewAzurePipelinesCredential(os.Getenv("AZURESUBSCRIPTION_TENANT_ID"), os.Getenv("AZURESUBSCRIPTION_CLIENT_ID"), os.Getenv("AZURESUBSCRIPTION_SERVICE_CONNECTION_ID"),
			os.Getenv("SYSTEM_ACCESSTOKEN"), &azidentity.AzurePipelinesCredentialOptions{ClientOptions: withTransport(job)})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := cred.GetToken(t.Context(), policy.TokenRequestOptions{Scopes: []string{storageScope}}); err != nil {
			t.Errorf("%s: %v", job.Name(), err)
		}
	}
	if issuer, subject := newer.Presents(); issuer != contoso.Issuer() || !strings.HasPrefix(subject, "/eid1/c/pub/t/") {
		t.Errorf("the newer job presents %s of %s", subject, issuer)
	}
}

func TestPodsAndJobsThatLackSomethingAreRefused(t *testing.T) {
	entra := fakeentra.Start(t)
	contoso := entra.AddTenant("contoso")
	exporter := contoso.AddApplication("exporter")
	cluster := entra.AddIssuer(clusterURL)
	for want, add := range map[string]func(){
		`fakeentra: pod "a": Cluster and Identity have to be set`:                                                              func() { entra.AddPod("a", fakeentra.Pod{Identity: exporter}) },
		`fakeentra: pod "b": "x" is not a service account; expected namespace/name, in lower-case letters, digits and hyphens`: func() { entra.AddPod("b", fakeentra.Pod{Cluster: cluster, Identity: exporter, ServiceAccount: "x"}) },
		`fakeentra: pod "c": identity bindings are of managed identities, and its identity is an application`: func() {
			entra.AddPod("c", fakeentra.Pod{Cluster: cluster, Identity: exporter, IdentityBinding: true})
		},
		`fakeentra: job "d": Issuer has to be set`:   func() { entra.AddGitHubJob("d", fakeentra.GitHubJob{Repository: "a/b"}) },
		`fakeentra: job "e": Identity has to be set`: func() { entra.AddPipelinesJob("e", fakeentra.PipelinesJob{}) },
		`fakeentra: host "f" is neither a pod nor a job, so it has no assertions of its own`: func() {
			exporter.TrustHost(entra.AddHost("f", fakeentra.IMDS))
		},
	} {
		func() {
			defer func() {
				if got := recover(); got != want {
					t.Errorf("panic %v, want %s", got, want)
				}
			}()
			add()
		}()
	}
}

// signIn gets a token with the variables of a host and nothing else, but for the
// application at GitHub, which no variable names.
func signIn(t *testing.T, h *fakeentra.Host) error {
	t.Helper()
	setenv(t, h.Variables())
	client := withTransport(h)
	client.Retry = policy.RetryOptions{MaxRetries: -1}
	var cred interface {
		GetToken(context.Context, policy.TokenRequestOptions) (azcore.AccessToken, error)
	}
	var err error
	switch h.Source() {
	case fakeentra.AKS:
		cred, err = azidentity.NewWorkloadIdentityCredential(&azidentity.WorkloadIdentityCredentialOptions{ClientOptions: client, EnableAzureProxy: true})
	case fakeentra.AzurePipelines:
		cred, err = azidentity.NewAzurePipelinesCredential(os.Getenv("AZURESUBSCRIPTION_TENANT_ID"), os.Getenv("AZURESUBSCRIPTION_CLIENT_ID"), os.Getenv("AZURESUBSCRIPTION_SERVICE_CONNECTION_ID"),
			os.Getenv("SYSTEM_ACCESSTOKEN"), &azidentity.AzurePipelinesCredentialOptions{ClientOptions: client})
	case fakeentra.GitHub:
		cred, err = azidentity.NewClientAssertionCredential("11111111-1111-1111-1111-111111111111", "22222222-2222-2222-2222-222222222222",
			func(ctx context.Context) (string, error) { return idToken(ctx, h) }, &azidentity.ClientAssertionCredentialOptions{ClientOptions: client})
	}
	if err != nil {
		return err
	}
	_, err = cred.GetToken(t.Context(), policy.TokenRequestOptions{Scopes: []string{storageScope}})
	return err
}

// idToken asks GitHub for a token as actions/toolkit does.
func idToken(ctx context.Context, h *fakeentra.Host) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, os.Getenv("ACTIONS_ID_TOKEN_REQUEST_URL")+"&audience=api%3A%2F%2FAzureADTokenExchange", nil)
	if err != nil {
		return "", err
	}
	req.Header.Set("Authorization", "Bearer "+os.Getenv("ACTIONS_ID_TOKEN_REQUEST_TOKEN"))
	resp, err := h.Client().Do(req)
	if err != nil {
		return "", err
	}
	defer func() { _ = resp.Body.Close() }()
	var answer struct{ Value string }
	err = json.NewDecoder(resp.Body).Decode(&answer)
	return answer.Value, err
}

func TestEveryPodAndJobOfTheScenariosSignsIn(t *testing.T) {
	for _, name := range []string{"aks", "azure-pipelines", "github-actions"} {
		yaml, err := fixtures.Scenarios.ReadFile("scenarios/" + name + ".yaml")
		if err != nil {
			t.Fatal(err)
		}
		entra := fakeentra.Start(t, fakeentra.WithScenario(yaml), fakeentra.WithSeed(name))
		for _, host := range entra.Hosts() {
			t.Run(name+"/"+host, func(t *testing.T) {
				if err := signIn(t, entra.Host(host)); err != nil {
					t.Error(err)
				}
			})
		}
	}
}

// azidentity keeps what it read for ten minutes, so that it presents the old
// token for a while after kubelet has replaced it.
