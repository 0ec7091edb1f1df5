package lab

import (
	"cmp"

	"github.com/fakeentra/fakeentra"
	"github.com/fakeentra/fakeentra/emulator/directory"
)

// A Credential is a federated identity credential of an application. What it
// leaves out is right for the identity that clients are configured with.
type Credential struct{ Issuer, Subject, Audience string }

// Register adds an application that has one credential.
func (w *World) Register(name string, c Credential) *fakeentra.Application {
	return w.Tenant.AddApplication(name).AddFederatedIdentityCredential(directory.FederatedIdentityCredential{
		Name: "credential", Issuer: cmp.Or(c.Issuer, w.Tenant.Issuer()), Subject: cmp.Or(c.Subject, string(w.Agent.ObjectID)),
		Audiences: []string{cmp.Or(c.Audience, w.Environment.TokenExchangeAudience)},
	})
}
