// Command sources signs in from every place that hands out tokens, with the
// Azure SDK for Go. Each argument is an identity to do so with; see
// examples/sources.
package main

import (
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
)

const (
	tenantID    = "11111111-1111-1111-1111-111111111111"
	appClientID = "22222222-2222-2222-2222-222222222222"
	storage     = "https://storage.azure.com"
)

func main() {
	for _, word := range os.Args[1:] {
		outcome := "ok"
		if err := signIn(context.Background(), word); err != nil {
			outcome = strings.Join(strings.Fields(err.Error()), " ")
		}
		fmt.Printf("%s\t%s\n", word, outcome)
	}
}

func signIn(ctx context.Context, word string) error {
	kind, value, _ := strings.Cut(word, "=")
	switch kind {
	case "workload":
		return get(ctx, storage)(workload())
	case "file":
		return get(ctx, storage)(azidentity.NewClientAssertionCredential(tenantID, appClientID, func(context.Context) (string, error) {
			assertion, err := os.ReadFile(os.Getenv("ASSERTION_FILE"))
			return string(assertion), err
		}, nil))
	}
	ids := map[string]azidentity.ManagedIDKind{"client-id": azidentity.ClientID(value), "object-id": azidentity.ObjectID(value), "resource-id": azidentity.ResourceID(value)}
	identity, err := azidentity.NewManagedIdentityCredential(&azidentity.ManagedIdentityCredentialOptions{ID: ids[kind]})
	if resource := os.Getenv("RESOURCE"); resource != "" || err != nil {
		return get(ctx, resource)(identity, err)
	}
	return get(ctx, storage)(azidentity.NewClientAssertionCredential(tenantID, appClientID, func(ctx context.Context) (string, error) {
		token, err := identity.GetToken(ctx, policy.TokenRequestOptions{Scopes: []string{"api://AzureADTokenExchange/.default"}})
		return token.Token, err
	}, nil))
}

// workload is the credential that surroundings other than a managed identity
// endpoint ask for.
func workload() (azcore.TokenCredential, error) {
	if os.Getenv("SYSTEM_OIDCREQUESTURI") == "" {
		return azidentity.NewWorkloadIdentityCredential(nil)
	}
	return azidentity.NewAzurePipelinesCredential(os.Getenv("AZURESUBSCRIPTION_TENANT_ID"), os.Getenv("AZURESUBSCRIPTION_CLIENT_ID"),
		os.Getenv("AZURESUBSCRIPTION_SERVICE_CONNECTION_ID"), os.Getenv("SYSTEM_ACCESSTOKEN"), nil)
}

func get(ctx context.Context, resource string) func(azcore.TokenCredential, error) error {
	return func(credential azcore.TokenCredential, err error) error {
		if err != nil {
			return err
		}
		_, err = credential.GetToken(ctx, policy.TokenRequestOptions{Scopes: []string{resource + "/.default"}})
		return err
	}
}
