package fakeentra_test

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob"
	"github.com/AzureAD/microsoft-authentication-library-for-go/apps/confidential"
	"github.com/AzureAD/microsoft-authentication-library-for-go/apps/managedidentity"
	"github.com/google/go-cmp/cmp"

	"github.com/fakeentra/fakeentra"
	"github.com/fakeentra/fakeentra/emulator/directory"
)

// A world is the announcement's: an application that trusts the identity of a
// virtual machine and may read the blobs of an account.
type world struct {
	*fakeentra.Cloud
	contoso  *fakeentra.Tenant
	agent    *fakeentra.ManagedIdentity
	exporter *fakeentra.Application
	account  *fakeentra.StorageAccount
	vm       *fakeentra.Host
}

func newWorld(t testing.TB, opts ...fakeentra.Option) world {
	entra := fakeentra.Start(t, opts...)
	contoso := entra.AddTenant("contoso")
	agent := contoso.AddManagedIdentity("build-agent")
	exporter := contoso.AddApplication("exporter").Trust(agent)
	account := entra.AddStorageAccount("contosodata", contoso).
		PutBlob("reports", "q1.csv", []byte("id,amount\n")).
		PutBlob("reports", "q2.csv", nil).
		Grant(exporter, fakeentra.StorageBlobDataReader)
	vm := entra.AddHost("vm1", fakeentra.IMDS).Assign(agent)
	return world{entra, contoso, agent, exporter, account, vm}
}

// credential is what the announcement builds: a managed identity's token as the
// assertion of an application. once turns the SDK's retries off.
func (w world) credential(client *http.Client, tenant *fakeentra.Tenant) (*azidentity.ClientAssertionCredential, error) {
	options := azcore.ClientOptions{Transport: client, Retry: policy.RetryOptions{MaxRetries: -1}}
	mi, err := azidentity.NewManagedIdentityCredential(&azidentity.ManagedIdentityCredentialOptions{ClientOptions: options, ID: azidentity.ClientID(w.agent.ClientID)})
	if err != nil {
		return nil, err
	}
	assertion := func(ctx context.Context) (string, error) {
		tk, err := mi.GetToken(ctx, policy.TokenRequestOptions{Scopes: []string{"api://AzureADTokenExchange/.default"}})
		return tk.Token, err
	}
	return azidentity.NewClientAssertionCredential(string(tenant.ID), string(w.exporter.ClientID), assertion, &azidentity.ClientAssertionCredentialOptions{ClientOptions: options})
}

func listBlobs(ctx context.Context, client *http.Client, endpoint string, credential azcore.TokenCredential) ([]string, error) {
	blobs, err := azblob.NewClient(endpoint, credential, &azblob.ClientOptions{ClientOptions: azcore.ClientOptions{Transport: client, Retry: policy.RetryOptions{MaxRetries: -1}}})
	if err != nil {
		return nil, err
	}
	var names []string
	for pager := blobs.NewListBlobsFlatPager("reports", nil); pager.More(); {
		page, err := pager.NextPage(ctx)
		if err != nil {
			return names, err
		}
		for _, item := range page.Segment.BlobItems {
			names = append(names, *item.Name)
		}
	}
	return names, nil
}

// ops returns the operations of the journal, in order.
func (w world) ops() []string {
	var out []string
	for _, e := range w.Journal().Entries {
		out = append(out, string(e.Op))
	}
	return out
}

func TestTheAnnouncementWithAzidentity(t *testing.T) {
	w := newWorld(t)
	credential, err := w.credential(w.vm.Client(), w.contoso)
	if err != nil {
		t.Fatal(err)
	}
	got, err := listBlobs(t.Context(), w.vm.Client(), w.account.Endpoint(), credential)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"q1.csv", "q2.csv"}, got); diff != "" {
		t.Errorf("blobs (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"sts.instance-discovery", "sts.openid-configuration", "imds.token", "sts.token", "blob.list-blobs"}, w.ops()); diff != "" {
		t.Errorf("operations (-want +got):\n%s", diff)
	}
	log := w.Journal()
	var lineage []int
	for _, e := range log.Lineage(log.Entries[4]).Entries {
		lineage = append(lineage, e.Seq)
	}
	if diff := cmp.Diff([]int{3, 4, 5}, lineage); diff != "" {
		t.Errorf("lineage of the list (-want +got):\n%s", diff)
	}
}

// msal gets a token for a scope with MSAL Go, which the SDK above is built on.
type msal struct {
	app   confidential.Client
	calls int // of the assertion callback
}

func newMSAL(w world, tenant *fakeentra.Tenant) (*msal, error) {
	mi, err := managedidentity.New(managedidentity.UserAssignedClientID(w.agent.ClientID), managedidentity.WithHTTPClient(w.vm.Client()))
	if err != nil {
		return nil, err
	}
	m := &msal{}
	credential := confidential.NewCredFromAssertionCallback(func(ctx context.Context, _ confidential.AssertionRequestOptions) (string, error) {
		m.calls++
		result, err := mi.AcquireToken(ctx, "api://AzureADTokenExchange")
		return result.AccessToken, err
	})
	m.app, err = confidential.New(tenant.Authority(), string(w.exporter.ClientID), credential, confidential.WithHTTPClient(w.vm.Client()))
	return m, err
}

func (m *msal) token(ctx context.Context) (confidential.AuthResult, error) {
	scopes := []string{"https://storage.azure.com/.default"}
	if cached, err := m.app.AcquireTokenSilent(ctx, scopes); err == nil {
		return cached, nil
	}
	return m.app.AcquireTokenByCredential(ctx, scopes)
}

// GetToken makes an MSAL application a credential of the Azure SDK.
func (m *msal) GetToken(ctx context.Context, _ policy.TokenRequestOptions) (azcore.AccessToken, error) {
	got, err := m.token(ctx)
	return azcore.AccessToken{Token: got.AccessToken, ExpiresOn: got.ExpiresOn}, err
}

func TestTheAnnouncementWithMSAL(t *testing.T) {
	w := newWorld(t)
	m, err := newMSAL(w, w.contoso)
	if err != nil {
		t.Fatal(err)
	}
	got, err := listBlobs(t.Context(), w.vm.Client(), w.account.Endpoint(), m)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"q1.csv", "q2.csv"}, got); diff != "" {
		t.Errorf("blobs (-want +got):\n%s", diff)
	}
}

// The classic mistake: the credential's subject is the identity's client ID.
func TestTheClassicMistakeIsRefusedAndExplained(t *testing.T) {
	w := newWorld(t)
	app := w.contoso.AddApplication("mistaken").AddFederatedIdentityCredential(directory.FederatedIdentityCredential{
		Name: "msi-as-fic", Issuer: w.contoso.Issuer(), Subject: string(w.agent.ClientID), Audiences: []string{"api://AzureADTokenExchange"}})
	w.exporter = app
	credential, err := w.credential(w.vm.Client(), w.contoso)
	if err != nil {
		t.Fatal(err)
	}
	_, err = listBlobs(t.Context(), w.vm.Client(), w.account.Endpoint(), credential)
	var failed *azidentity.AuthenticationFailedError
	if !errors.As(err, &failed) || !strings.Contains(err.Error(), "AADSTS700213") {
		t.Fatalf("error %v, want AADSTS700213", err)
	}
	refused := w.Journal().Refused().Entries
	if len(refused) != 1 || !strings.Contains(refused[0].Decision.Why, "(client ID of build-agent); the assertion has "+string(w.agent.ObjectID)+" (principal ID of build-agent); Entra compares the principal (object) ID") {
		t.Errorf("refused: %v", refused)
	}
	if strings.Contains(err.Error(), "build-agent") {
		t.Errorf("the reason was sent to the client: %v", err)
	}
}

func TestWithoutARoleTheListIsRefused(t *testing.T) {
	w := newWorld(t)
	w.exporter = w.contoso.AddApplication("stranger").Trust(w.agent)
	credential, err := w.credential(w.vm.Client(), w.contoso)
	if err != nil {
		t.Fatal(err)
	}
	_, err = listBlobs(t.Context(), w.vm.Client(), w.account.Endpoint(), credential)
	var status *azcore.ResponseError
	if !errors.As(err, &status) || status.StatusCode != 403 || status.ErrorCode != "AuthorizationPermissionMismatch" {
		t.Fatalf("error %v, want 403 AuthorizationPermissionMismatch", err)
	}
}

func TestAccessAcrossTenants(t *testing.T) {
	w := newWorld(t)
	fabrikam := w.AddTenant("fabrikam")
	w.exporter.MultiTenant()
	account := w.AddStorageAccount("fabrikamdata", fabrikam).PutBlob("reports", "far.csv", nil)
	credential, err := w.credential(w.vm.Client(), fabrikam)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := listBlobs(t.Context(), w.vm.Client(), account.Endpoint(), credential); err == nil || !strings.Contains(err.Error(), "AADSTS7000229") {
		t.Fatalf("without consent: %v, want AADSTS7000229", err)
	}
	fabrikam.Consent(w.exporter)
	account.Grant(w.exporter, fakeentra.StorageBlobDataReader)
	got, err := listBlobs(t.Context(), w.vm.Client(), account.Endpoint(), credential)
	if err != nil || !slices.Equal(got, []string{"far.csv"}) {
		t.Fatalf("with consent: %v, %v", got, err)
	}
	visitor := fabrikam.AddManagedIdentity("visitor")
	w.exporter.Trust(visitor)
	w.agent, w.vm = visitor, w.AddHost("vm2", fakeentra.IMDS).Assign(visitor)
	credential, err = w.credential(w.vm.Client(), w.contoso)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := listBlobs(t.Context(), w.vm.Client(), w.account.Endpoint(), credential); err == nil || !strings.Contains(err.Error(), "AADSTS700236") {
		t.Fatalf("an identity of another tenant: %v, want AADSTS700236", err)
	}
}
