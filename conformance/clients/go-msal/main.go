// Command go-msal drives MSAL Go in the conformance suite: its managed identity
// client as the assertion of its confidential client, as its documentation has it.
package main

import (
	"context"
	"net/http"
	"os"
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/AzureAD/microsoft-authentication-library-for-go/apps/confidential"
	"github.com/AzureAD/microsoft-authentication-library-for-go/apps/managedidentity"

	"github.com/fakeentra/fakeentra/conformance/driver"
)

func main() { driver.Main(sdk{}) }

type sdk struct{}

const module = "github.com/AzureAD/microsoft-authentication-library-for-go"

func (sdk) Hello() driver.Hello {
	h := driver.Hello{
		Implementation: driver.Implementation{
			Name: "MSAL Go", Language: "go", Runtime: runtime.Version(), Homepage: "https://" + module, Issues: "https://" + module + "/issues",
		},
		Capabilities: []driver.Capability{
			driver.IMDS, driver.AppService, driver.Arc, driver.ServiceFabric, driver.CloudShell, driver.AzureML, driver.TokenFile,
			driver.IdentityClientID, driver.IdentityObjectID, driver.IdentityResourceID, driver.IdentitySystem,
			driver.Tenants, driver.Claims, driver.Cancel, driver.Timeout, driver.MIToken, driver.SetEnv, driver.Concurrency,
		},
	}
	if build, ok := debug.ReadBuildInfo(); ok {
		for _, d := range build.Deps {
			if d.Replace != nil {
				d = d.Replace
			}
			if d.Path == module {
				h.Implementation.Version = strings.TrimPrefix(d.Version, "v")
				h.Dependencies = append(h.Dependencies, driver.Dependency{Name: d.Path, Version: d.Version})
			}
		}
	}
	return h
}

func (sdk) Open(c driver.Config) (driver.Client, error) {
	s := &client{Config: c}
	var options []managedidentity.ClientOption
	if c.Transport != nil { // the suite runs in this process
		options = append(options, managedidentity.WithHTTPClient(&http.Client{Transport: c.Transport}))
	} else if c.Endpoints.Mode == "explicit" && c.Source == "imds" {
		options = append(options, managedidentity.WithHTTPClient(&http.Client{Transport: c.Endpoints.IMDSTransport()})) // there is no option for it
	}
	if c.Source != "tokenfile" {
		var err error
		if s.identity, err = managedidentity.New(identity(c.Identity), options...); err != nil {
			return nil, err
		}
	}
	credential := confidential.NewCredFromAssertionCallback(s.assertion)
	app := []confidential.Option{confidential.WithInstanceDiscovery(c.Discovery)}
	if c.Transport != nil {
		app = append(app, confidential.WithHTTPClient(&http.Client{Transport: c.Transport}))
	}
	if c.CAE {
		app = append(app, confidential.WithClientCapabilities([]string{"cp1"}))
	}
	var err error
	s.app, err = confidential.New(strings.TrimSuffix(c.Endpoints.Authority, "/")+"/"+c.Tenant, c.AppClientID, credential, app...)
	return s, err
}

func identity(i driver.Identity) managedidentity.ID {
	switch i.Kind {
	case "client_id":
		return managedidentity.UserAssignedClientID(i.Value)
	case "object_id":
		return managedidentity.UserAssignedObjectID(i.Value)
	case "resource_id":
		return managedidentity.UserAssignedResourceID(i.Value)
	}
	return managedidentity.SystemAssigned()
}

type client struct {
	driver.Config
	identity managedidentity.Client
	app      confidential.Client
}

// assertion is the token of the managed identity, or of the pod.
func (c *client) assertion(ctx context.Context, _ confidential.AssertionRequestOptions) (string, error) {
	if c.Source == "tokenfile" {
		content, err := os.ReadFile(os.Getenv("AZURE_FEDERATED_TOKEN_FILE"))
		return string(content), err
	}
	token, err := c.identity.AcquireToken(ctx, c.Audience)
	return token.AccessToken, err
}

func (c *client) Token(ctx context.Context, r driver.TokenRequest) (driver.Outcome, error) {
	var options []confidential.AcquireByCredentialOption
	if r.Tenant != "" {
		options = append(options, confidential.WithTenantID(r.Tenant))
	}
	if r.Claims != "" {
		options = append(options, confidential.WithClaims(r.Claims))
	}
	result, err := c.app.AcquireTokenByCredential(ctx, r.Scopes, options...)
	if err != nil {
		return driver.Outcome{}, err
	}
	cached := result.Metadata.TokenSource == confidential.TokenSourceCache
	return driver.Outcome{Token: result.AccessToken, ExpiresOn: result.ExpiresOn.Unix(), FromCache: &cached}, nil
}

func (c *client) ManagedIdentityToken(ctx context.Context, resource string) (driver.Outcome, error) {
	result, err := c.identity.AcquireToken(ctx, resource)
	if err != nil {
		return driver.Outcome{}, err
	}
	return driver.Outcome{Token: result.AccessToken, ExpiresOn: result.ExpiresOn.Unix()}, nil
}

func (c *client) Close() error { return nil }
