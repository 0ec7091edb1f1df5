// Command go-azidentity lists blobs as an application that trusts the managed
// identity of the machine it runs on, with the Azure SDK for Go.
package main

import (
	"context"
	"fmt"
	"log"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob"
)

const (
	accountName             = "contosodata"
	containerName           = "reports"
	tenantID                = "11111111-1111-1111-1111-111111111111" // of the storage account
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
	identity, err := azidentity.NewManagedIdentityCredential(&azidentity.ManagedIdentityCredentialOptions{
		ID: azidentity.ClientID(managedIdentityClientID),
	})
	if err != nil {
		return err
	}
	assertion := func(ctx context.Context) (string, error) {
		token, err := identity.GetToken(ctx, policy.TokenRequestOptions{Scopes: []string{audience + "/.default"}})
		return token.Token, err
	}
	app, err := azidentity.NewClientAssertionCredential(tenantID, appClientID, assertion, nil)
	if err != nil {
		return err
	}
	client, err := azblob.NewClient("https://"+accountName+".blob.core.windows.net", app, nil)
	if err != nil {
		return err
	}
	for pager := client.NewListBlobsFlatPager(containerName, nil); pager.More(); {
		page, err := pager.NextPage(ctx)
		if err != nil {
			return err
		}
		for _, blob := range page.Segment.BlobItems {
			fmt.Println(*blob.Name)
		}
	}
	return nil
}
