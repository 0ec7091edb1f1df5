// Command sources signs in from every place that hands out tokens, with MSAL Go.
// Each argument is an identity to do so with; see examples/sources.
package main

import (
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/AzureAD/microsoft-authentication-library-for-go/apps/confidential"
	"github.com/AzureAD/microsoft-authentication-library-for-go/apps/managedidentity"
)

const (
	authority   = "https://login.microsoftonline.com/11111111-1111-1111-1111-111111111111"
	appClientID = "22222222-2222-2222-2222-222222222222"
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
	if word == "file" {
		return exchange(ctx, func(context.Context, confidential.AssertionRequestOptions) (string, error) {
			assertion, err := os.ReadFile(os.Getenv("ASSERTION_FILE"))
			return string(assertion), err
		})
	}
	identity, err := managedidentity.New(identified(strings.Cut(word, "=")))
	if err != nil {
		return err
	}
	if resource := os.Getenv("RESOURCE"); resource != "" {
		_, err := identity.AcquireToken(ctx, resource)
		return err
	}
	return exchange(ctx, func(ctx context.Context, _ confidential.AssertionRequestOptions) (string, error) {
		token, err := identity.AcquireToken(ctx, "api://AzureADTokenExchange")
		return token.AccessToken, err
	})
}

func identified(kind, value string, _ bool) managedidentity.ID {
	switch kind {
	case "client-id":
		return managedidentity.UserAssignedClientID(value)
	case "object-id":
		return managedidentity.UserAssignedObjectID(value)
	case "resource-id":
		return managedidentity.UserAssignedResourceID(value)
	}
	return managedidentity.SystemAssigned()
}

func exchange(ctx context.Context, assertion func(context.Context, confidential.AssertionRequestOptions) (string, error)) error {
	app, err := confidential.New(authority, appClientID, confidential.NewCredFromAssertionCallback(assertion))
	if err != nil {
		return err
	}
	_, err = app.AcquireTokenByCredential(ctx, []string{"https://storage.azure.com/.default"})
	return err
}
