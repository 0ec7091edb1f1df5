package main

import (
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/AzureAD/microsoft-authentication-library-for-go/apps/confidential"
	"github.com/AzureAD/microsoft-authentication-library-for-go/apps/managedidentity"
	"github.com/spf13/cobra"

	"github.com/fakeentra/fakeentra"
	"github.com/fakeentra/fakeentra/fixtures"
)

func demoCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "demo",
		Short: "play the exchange once, and once with the classic mistake",
		Long: `Play the exchange of a managed identity's token for an application's token,
with MSAL Go as the client and an emulated cloud in this process. Then make the
classic mistake, and see how it is refused and why.

It needs no network, no files and no privileges.`,
		Example: "  fakeentra demo",
		Args:    noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return demo(cmd.Context(), cmd.OutOrStdout())
		},
	}
}

// demo plays both acts. It fails unless the first one lists the blobs and the
// second one is refused for the right reason.
func demo(ctx context.Context, out io.Writer) error {
	file, err := fixtures.Scenarios.ReadFile("scenarios/msi-fic-blob.yaml")
	if err != nil {
		return err
	}
	cloud, err := fakeentra.New(fakeentra.WithScenario(file))
	if err != nil {
		return err
	}
	defer func() { _ = cloud.Close() }() // it opened no door
	d := &demonstration{cloud: cloud, app: cloud.Application("exporter"), agent: cloud.ManagedIdentity("build-agent"), vm: cloud.Host("vm1"), out: out}
	d.introduce()
	if err := d.firstAct(ctx); err != nil {
		return err
	}
	if err := d.secondAct(ctx); err != nil {
		return err
	}
	if d.unsaid != nil {
		return failed("", "cannot print the demo: %v", cause(d.unsaid))
	}
	return nil
}

type demonstration struct {
	cloud *fakeentra.Cloud
	app   *fakeentra.Application
	agent *fakeentra.ManagedIdentity
	vm    *fakeentra.Host
	out   io.Writer
	shown int // entries of the journal that were printed

	unsaid error // why something could not be printed
}

func (d *demonstration) introduce() {
	f := d.app.Federated[0]
	d.say("A managed identity as a federated identity credential, offline.\n\n")
	d.say("The cloud, all of it in this process:\n")
	d.say("  tenant       contoso      %s\n", d.agent.Tenant)
	d.say("  identity     build-agent  principal ID %s, client ID %s\n", d.agent.ObjectID, d.agent.ClientID)
	d.say("  host         vm1          has build-agent assigned\n")
	d.say("  application  exporter     client ID %s\n", d.app.ClientID)
	d.say("    trusts     %s   issuer   %s\n", f.Name, f.Issuer)
	d.say("                            subject  %s\n", f.Subject)
	d.say("                            audience %s\n", f.Audiences[0])
	d.say("  storage      contosodata  exporter is Storage Blob Data Reader\n\n")
}

// firstAct is the announcement's program, with MSAL Go.
func (d *demonstration) firstAct(ctx context.Context) error {
	d.say("Act 1. The program on vm1 signs in as exporter, without a secret.\n\n")
	token, err := d.signIn(ctx)
	if err != nil {
		d.show()
		return fmt.Errorf("the exchange was refused: %w", err)
	}
	blobs, err := d.listBlobs(ctx, token)
	d.show()
	if err != nil {
		return err
	}
	d.say("The blobs: %s\n\n", strings.Join(blobs, ", "))
	if len(blobs) == 0 {
		return errors.New("the list of blobs is empty")
	}
	return nil
}

// secondAct changes one thing: the credential names the identity by its client
// ID.
func (d *demonstration) secondAct(ctx context.Context) error {
	f := d.app.Federated[0]
	f.Subject = string(d.agent.ClientID)
	d.app.UpdateFederatedIdentityCredential(f)
	d.say("Act 2. One thing changes: the subject of %s becomes %s,\n", f.Name, f.Subject)
	d.say("the client ID of build-agent. MSAL still has the identity's token.\n\n")
	_, err := d.signIn(ctx)
	d.show()
	if err == nil {
		return errors.New("the exchange was granted, though the subject is wrong")
	}
	if !strings.Contains(err.Error(), "AADSTS700213") {
		return fmt.Errorf("the exchange failed with another error than AADSTS700213: %w", err)
	}
	d.say("The client saw AADSTS700213 and no more. The reason stays in the journal, where\nyou look: with fakeentra.Start(t) in the log of a failed test, with \"fakeentra run\"\non stderr.\n")
	return nil
}

// signIn is all that a program needs with MSAL Go. Only the HTTP client is ours.
func (d *demonstration) signIn(ctx context.Context) (string, error) {
	identity, err := managedidentity.New(managedidentity.UserAssignedClientID(d.agent.ClientID), managedidentity.WithHTTPClient(d.vm.Client()))
	if err != nil {
		return "", err
	}
	credential := confidential.NewCredFromAssertionCallback(func(ctx context.Context, _ confidential.AssertionRequestOptions) (string, error) {
		got, err := identity.AcquireToken(ctx, "api://AzureADTokenExchange")
		return got.AccessToken, err
	})
	app, err := confidential.New(d.cloud.Tenant("contoso").Authority(), string(d.app.ClientID), credential, confidential.WithHTTPClient(d.vm.Client()))
	if err != nil {
		return "", err
	}
	got, err := app.AcquireTokenByCredential(ctx, []string{"https://storage.azure.com/.default"})
	return got.AccessToken, err
}

func (d *demonstration) listBlobs(ctx context.Context, token string) ([]string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, d.cloud.StorageAccount("contosodata").Endpoint()+"/reports?restype=container&comp=list", nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("x-ms-version", "2026-04-06")
	resp, err := d.vm.Client().Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }() // read to its end, or an error is on its way
	var list struct {
		Blobs []string `xml:"Blobs>Blob>Name"`
	}
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("listing the blobs was answered %s", resp.Status)
	}
	err = xml.NewDecoder(resp.Body).Decode(&list)
	return list.Blobs, err
}

func (d *demonstration) say(format string, args ...any) {
	if _, err := fmt.Fprintf(d.out, format, args...); err != nil && d.unsaid == nil {
		d.unsaid = err
	}
}
