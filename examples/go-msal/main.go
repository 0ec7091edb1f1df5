// Command go-msal lists blobs as an application that trusts the managed
// identity of the machine it runs on, with MSAL Go and plain HTTP.
package main

import (
	"context"
	"encoding/xml"
	"fmt"
	"log"
	"net/http"

	"github.com/AzureAD/microsoft-authentication-library-for-go/apps/confidential"
	"github.com/AzureAD/microsoft-authentication-library-for-go/apps/managedidentity"
)

const (
	container               = "https://contosodata.blob.core.windows.net/reports"
	authority               = "https://login.microsoftonline.com/11111111-1111-1111-1111-111111111111"
	appClientID             = "22222222-2222-2222-2222-222222222222" // has access to the storage account
	managedIdentityClientID = "44444444-4444-4444-4444-444444444444" // is assigned to this machine
	audience                = "api://AzureADTokenExchange"
)

func main() {
	if err := listBlobs(context.Background()); err != nil {
		log.Fatal(err)
	}
}

func listBlobs(ctx context.Context) error {
	identity, err := managedidentity.New(managedidentity.UserAssignedClientID(managedIdentityClientID))
	if err != nil {
		return err
	}
	credential := confidential.NewCredFromAssertionCallback(func(ctx context.Context, _ confidential.AssertionRequestOptions) (string, error) {
		token, err := identity.AcquireToken(ctx, audience)
		return token.AccessToken, err
	})
	app, err := confidential.New(authority, appClientID, credential)
	if err != nil {
		return err
	}
	token, err := app.AcquireTokenByCredential(ctx, []string{"https://storage.azure.com/.default"})
	if err != nil {
		return err
	}
	names, err := list(ctx, token.AccessToken)
	for _, name := range names {
		fmt.Println(name)
	}
	return err
}

func list(ctx context.Context, token string) ([]string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, container+"?restype=container&comp=list", nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("x-ms-version", "2026-04-06")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("listing the blobs: %s", resp.Status)
	}
	var page struct {
		Names []string `xml:"Blobs>Blob>Name"`
	}
	err = xml.NewDecoder(resp.Body).Decode(&page)
	return page.Names, err
}
