package retries

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
	"github.com/AzureAD/microsoft-authentication-library-for-go/apps/managedidentity"

	"github.com/fakeentra/fakeentra"
	"github.com/fakeentra/fakeentra/internal/exampletest"
)

// inGo are SDKs that wait in virtual time, with the retries that they have by
// default.
var inGo = map[string]func(ctx context.Context, client *http.Client, clientID string) error{
	"azidentity for Go": func(ctx context.Context, client *http.Client, clientID string) error {
		mi, err := azidentity.NewManagedIdentityCredential(&azidentity.ManagedIdentityCredentialOptions{ClientOptions: azcore.ClientOptions{Transport: client}, ID: azidentity.ClientID(clientID)})
		if err != nil {
			return err
		}
		_, err = mi.GetToken(ctx, policy.TokenRequestOptions{Scopes: []string{"api://AzureADTokenExchange/.default"}})
		return err
	},
	"MSAL Go": func(ctx context.Context, client *http.Client, clientID string) error {
		mi, err := managedidentity.New(managedidentity.UserAssignedClientID(clientID), managedidentity.WithHTTPClient(client))
		if err != nil {
			return err
		}
		_, err = mi.AcquireToken(ctx, "api://AzureADTokenExchange")
		return err
	},
}

func TestSDKsForGoRetryAsTheTableSays(t *testing.T) {
	found := map[cell][]outcome{}
	for i, s := range exampletest.SDKs {
		if !habitOf(s).virtual {
			continue
		}
		for j, what := range troubles {
			for range habitOf(s).runs {
				synctest.Test(t, func(t *testing.T) {
					found[cell{i, j}] = append(found[cell{i, j}], inVirtualTime(t, what, inGo[s.Name]))
				})
			}
		}
	}
	settle(t, found)
}

// A place is a cloud, and a host in it where SDKs ask for the token of an identity.
// Identities of clouds differ, because MSAL keeps tokens for the whole process.
type place struct {
	*fakeentra.Cloud
	host     *fakeentra.Host
	identity *fakeentra.ManagedIdentity
}

// newPlace returns a place whose variables the test has, and no other host's.
func newPlace(t *testing.T, source fakeentra.Source) place {
	cloud := fakeentra.Start(t)
	identity := cloud.AddTenant("contoso").AddManagedIdentity("exporter")
	host := cloud.AddHost("host", source).Assign(identity)
	for _, name := range []string{"IDENTITY_ENDPOINT", "IDENTITY_HEADER", "IDENTITY_SERVER_THUMBPRINT", "IMDS_ENDPOINT", "MSI_ENDPOINT", "MSI_SECRET"} {
		t.Setenv(name, "")
	}
	for _, v := range host.Variables() {
		name, value, _ := strings.Cut(v, "=")
		t.Setenv(name, value)
	}
	return place{cloud, host, identity}
}

// signIn has an SDK ask for a token.
func (p place) signIn(ctx context.Context, sdk func(context.Context, *http.Client, string) error) error {
	return sdk(ctx, p.host.Client(), string(p.identity.ClientID))
}

// inVirtualTime returns what an SDK did.
func inVirtualTime(t *testing.T, what trouble, sdk func(context.Context, *http.Client, string) error) outcome {
	p := newPlace(t, what.source)
	p.Inject(what.rule)
	ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
	defer cancel()
	then := gotToken
	if err := p.signIn(ctx, sdk); err != nil {
		then = quoted(strings.Join(strings.Fields(err.Error()), " "))
	}
	return outcomeOf(p.Journal().Of(what.rule.Op), p.Now(), then)
}
