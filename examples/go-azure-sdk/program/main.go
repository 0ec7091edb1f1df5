// Command signin signs in from a job of GitHub Actions or of Azure Pipelines as
// the Terraform providers for Azure do, with hashicorp/go-azure-sdk and what its
// surroundings say.
package main

import (
	"context"
	"fmt"
	"log"
	"os"

	"github.com/hashicorp/go-azure-sdk/sdk/auth"
	"github.com/hashicorp/go-azure-sdk/sdk/environments"
)

const storage = "https://storage.azure.com"

func main() {
	log.SetFlags(0)
	ctx := context.Background()
	api := environments.NewApiEndpoint("Storage", storage, nil).WithResourceIdentifier(storage)
	authorizer, err := auth.NewAuthorizerFromCredentials(ctx, credentials(), api)
	if err != nil {
		log.Fatal(err)
	}
	if _, err := authorizer.Token(ctx, nil); err != nil {
		log.Fatal(err)
	}
	fmt.Println("signed in")
}

func credentials() auth.Credentials {
	c := auth.Credentials{
		Environment: *environments.AzurePublic(),
		TenantID:    "11111111-1111-1111-1111-111111111111",
		ClientID:    "22222222-2222-2222-2222-222222222222",
	}
	if uri := os.Getenv("SYSTEM_OIDCREQUESTURI"); uri != "" {
		c.EnableAuthenticationUsingADOPipelineOIDC = true
		c.OIDCTokenRequestURL, c.OIDCTokenRequestToken = uri, os.Getenv("SYSTEM_ACCESSTOKEN")
		c.ADOPipelineServiceConnectionID = os.Getenv("AZURESUBSCRIPTION_SERVICE_CONNECTION_ID")
		return c
	}
	c.EnableAuthenticationUsingGitHubOIDC = true
	c.OIDCTokenRequestURL, c.OIDCTokenRequestToken = os.Getenv("ACTIONS_ID_TOKEN_REQUEST_URL"), os.Getenv("ACTIONS_ID_TOKEN_REQUEST_TOKEN")
	return c
}
