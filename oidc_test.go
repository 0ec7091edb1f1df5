package fakeentra_test

import (
	"context"
	"strings"
	"testing"

	"github.com/coreos/go-oidc/v3/oidc"

	"github.com/fakeentra/fakeentra/emulator/directory"
)

// Discovery, keys and tokens fit together for a library that knows nothing of
// Entra.
func TestTokensVerifyWithAnIndependentLibrary(t *testing.T) {
	w := newWorld(t)
	w.contoso.AddApplication("orders").Expose("api://orders", 2)
	c := w.exchange(t)
	ctx := oidc.ClientContext(context.WithoutCancel(t.Context()), w.vm.Client())
	provider, err := oidc.NewProvider(ctx, w.contoso.Issuer())
	if err != nil {
		t.Fatal(err)
	}
	verifier := provider.Verifier(&oidc.Config{ClientID: string(directory.TokenExchangeApp)})
	got, err := verifier.Verify(ctx, c.assertion)
	if err != nil {
		t.Fatalf("the managed identity's token: %v", err)
	}
	if got.Subject != string(w.agent.ObjectID) || got.Issuer != w.contoso.Issuer() {
		t.Errorf("subject %s and issuer %s", got.Subject, got.Issuer)
	}
	v1, err := oidc.NewProvider(oidc.InsecureIssuerURLContext(ctx, "https://sts.windows.net/"+string(w.contoso.ID)+"/"), w.contoso.Authority())
	if err != nil {
		t.Fatalf("v1.0 discovery: %v", err)
	}
	if _, err := v1.Verifier(&oidc.Config{ClientID: "https://storage.azure.com"}).Verify(ctx, c.access); err != nil {
		t.Errorf("the application's v1.0 token: %v", err)
	}
	parts := strings.Split(c.assertion, ".")
	foreign := newWorld(t).exchange(t)
	for name, tampered := range map[string]string{
		"payload of another":   strings.Join([]string{parts[0], strings.Split(c.access, ".")[1], parts[2]}, "."),
		"signature of another": strings.Join([]string{parts[0], parts[1], strings.Split(c.access, ".")[2]}, "."),
		"another cloud":        foreign.assertion,
		"cut":                  c.assertion[:len(c.assertion)-10],
	} {
		if _, err := verifier.Verify(ctx, tampered); err == nil {
			t.Errorf("%s: verified", name)
		}
	}
}
