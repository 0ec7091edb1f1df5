// Command go-azidentity drives the Azure SDK for Go in the conformance suite: a
// managed identity as the assertion of an application, as its documentation has
// it, and azblob for the resource.
package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/cloud"
	azlog "github.com/Azure/azure-sdk-for-go/sdk/azcore/log"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"

	"github.com/fakeentra/fakeentra/conformance/driver"
)

func main() { driver.Main(sdk{}) }

type sdk struct{}

func (sdk) Hello() driver.Hello {
	h := driver.Hello{
		Implementation: driver.Implementation{
			Name: "azidentity", Language: "go", Runtime: runtime.Version(),
			Homepage: "https://github.com/Azure/azure-sdk-for-go", Issues: "https://github.com/Azure/azure-sdk-for-go/issues",
		},
		Capabilities: []driver.Capability{
			driver.IMDS, driver.AppService, driver.Arc, driver.ServiceFabric, driver.CloudShell, driver.AzureML, driver.TokenFile,
			driver.IdentityClientID, driver.IdentityObjectID, driver.IdentityResourceID, driver.IdentitySystem,
			driver.Tenants, driver.Claims, driver.CAE, driver.Blob, driver.Cancel, driver.Timeout, driver.VerboseLog, driver.MIToken,
			driver.SetEnv, driver.Concurrency, driver.Correlation,
		},
	}
	if build, ok := debug.ReadBuildInfo(); ok {
		for _, d := range build.Deps {
			if d.Replace != nil {
				d = d.Replace
			}
			switch name, azure := strings.CutPrefix(d.Path, "github.com/Azure/azure-sdk-for-go/sdk/"); {
			case azure && name == "azidentity":
				h.Implementation.Version = strings.TrimPrefix(d.Version, "v")
				fallthrough
			case azure, strings.HasPrefix(d.Path, "github.com/AzureAD/"):
				h.Dependencies = append(h.Dependencies, driver.Dependency{Name: d.Path, Version: d.Version})
			}
		}
	}
	return h
}

var clouds = map[string]cloud.Configuration{"public": cloud.AzurePublic, "usgov": cloud.AzureGovernment, "china": cloud.AzureChina}

func (sdk) Open(c driver.Config) (driver.Client, error) {
	options := azcore.ClientOptions{Cloud: clouds[c.Cloud]}
	if c.Transport != nil { // the suite runs in this process
		options.Transport = &http.Client{Transport: c.Transport}
	}
	if c.LogLevel == "verbose" {
		log := c.Log
		if log == nil {
			log = os.Stderr
		}
		azlog.SetListener(func(_ azlog.Event, text string) { _, _ = fmt.Fprintln(log, text) })
	}
	if c.Endpoints.Mode == "explicit" || c.Cloud == "" {
		options.Cloud.ActiveDirectoryAuthorityHost = c.Endpoints.Authority
	}
	s := &client{Config: c, options: options}
	assertion, err := s.assertion()
	if err != nil {
		return nil, err
	}
	s.app, err = azidentity.NewClientAssertionCredential(c.Tenant, c.AppClientID, assertion, &azidentity.ClientAssertionCredentialOptions{
		ClientOptions: options, AdditionallyAllowedTenants: c.AllowedTenants, DisableInstanceDiscovery: !c.Discovery,
	})
	return s, err
}

type client struct {
	driver.Config
	options  azcore.ClientOptions
	identity azcore.TokenCredential
	app      azcore.TokenCredential
}

// assertion returns what gets the assertion, from where the configuration says.
func (c *client) assertion() (func(context.Context) (string, error), error) {
	if c.Source == "tokenfile" {
		return func(context.Context) (string, error) {
			content, err := os.ReadFile(os.Getenv("AZURE_FEDERATED_TOKEN_FILE"))
			return string(content), err
		}, nil
	}
	options := azidentity.ManagedIdentityCredentialOptions{ClientOptions: c.options}
	if c.Endpoints.Mode == "explicit" && c.Source == "imds" && c.Transport == nil {
		options.Transport = &http.Client{Transport: c.Endpoints.IMDSTransport()} // the SDK has no option for it
	}
	switch c.Identity.Kind {
	case "client_id":
		options.ID = azidentity.ClientID(c.Identity.Value)
	case "object_id":
		options.ID = azidentity.ObjectID(c.Identity.Value)
	case "resource_id":
		options.ID = azidentity.ResourceID(c.Identity.Value)
	}
	identity, err := azidentity.NewManagedIdentityCredential(&options)
	if err != nil {
		return nil, err
	}
	c.identity = identity
	return func(ctx context.Context) (string, error) {
		token, err := identity.GetToken(ctx, policy.TokenRequestOptions{Scopes: []string{c.Audience + "/.default"}})
		return token.Token, err
	}, nil
}

func (c *client) Token(ctx context.Context, r driver.TokenRequest) (driver.Outcome, error) {
	if r.CorrelationID != "" {
		ctx = policy.WithHTTPHeader(ctx, http.Header{"Client-Request-Id": {r.CorrelationID}})
	}
	return got(c.app.GetToken(ctx, policy.TokenRequestOptions{Scopes: r.Scopes, TenantID: r.Tenant, Claims: r.Claims, EnableCAE: r.CAE || c.CAE}))
}

func (c *client) ManagedIdentityToken(ctx context.Context, resource string) (driver.Outcome, error) {
	if c.identity == nil {
		return driver.Outcome{}, &driver.Skip{Reason: "there is no managed identity here"}
	}
	return got(c.identity.GetToken(ctx, policy.TokenRequestOptions{Scopes: []string{resource + "/.default"}}))
}

func got(t azcore.AccessToken, err error) (driver.Outcome, error) {
	if err != nil {
		return driver.Outcome{}, err
	}
	o := driver.Outcome{Token: t.Token, ExpiresOn: t.ExpiresOn.Unix()}
	if !t.RefreshOn.IsZero() {
		o.RefreshOn = t.RefreshOn.Unix()
	}
	return o, nil
}

func (c *client) Resource(ctx context.Context, r driver.ResourceRequest) (driver.Outcome, error) {
	blobs, err := container.NewClient(r.URL, c.app, &container.ClientOptions{ClientOptions: c.options})
	if err != nil {
		return driver.Outcome{}, err
	}
	o := driver.Outcome{Status: http.StatusOK}
	for pager := blobs.NewListBlobsFlatPager(&azblob.ListBlobsFlatOptions{}); pager.More(); {
		page, err := pager.NextPage(ctx)
		if err != nil {
			return driver.Outcome{}, err
		}
		for _, item := range page.Segment.BlobItems {
			o.Items = append(o.Items, *item.Name)
		}
	}
	return o, nil
}

func (c *client) Close() error { return nil }
