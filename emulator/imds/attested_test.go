package imds

import (
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/fakeentra/fakeentra/emulator/environment"
	"github.com/fakeentra/fakeentra/internal/ident"
)

const attestedURL = "http://169.254.169.254/metadata/attested/document"

// notary signs by writing the names before the document.
type notary struct{ broken bool }

func (n *notary) Sign(document []byte, names ...string) ([]byte, error) {
	if n.broken {
		return nil, errors.New("no randomness")
	}
	return fmt.Appendf(nil, "%s|%s", strings.Join(names, " "), document), nil
}

func (n *notary) Certify(request *x509.CertificateRequest, notBefore, notAfter time.Time) ([]byte, error) {
	if n.broken {
		return nil, errors.New("no randomness")
	}
	return fmt.Appendf(nil, "%s|%d|%d", request.Subject, notBefore.Unix(), notAfter.Unix()), nil
}

// attest returns the names that a document is signed by, and the document.
func (w *world) attest(t *testing.T, host, query string) (names, document string) {
	t.Helper()
	resp := w.get(t, host, attestedURL+query)
	got := members(t, resp.Body)
	signed, err := base64.StdEncoding.DecodeString(got["signature"])
	must(t, err)
	if resp.Status != 200 || got["encoding"] != "pkcs7" || len(got) != 2 {
		t.Fatalf("%d %s", resp.Status, resp.Body)
	}
	names, document, _ = strings.Cut(string(signed), "|")
	return names, document
}

func TestAnAttestedDocumentNamesTheMachine(t *testing.T) {
	w := newWorld(t)
	must(t, w.AddHost(described))
	w.clock.now = time.Date(2020, 11, 30, 21, 19, 24, 0, time.UTC)
	vmID := ident.GUID("vmId", strings.ToLower(string(described.ResourceID)), "web")
	const plan = `"plan":{"name":"","product":"","publisher":""},`
	const stamp = `"timeStamp":{"createdOn":"11/30/20 21:19:24 +0000","expiresOn":"12/01/20 03:19:24 +0000"},`
	for query, want := range map[string]string{
		"?api-version=2018-10-01":                  `{"nonce":"20201130-211924",` + plan + stamp + `"vmId":"` + vmID + `"}`,
		"?api-version=2019-04-30&nonce=1234567890": `{"nonce":"1234567890",` + plan + `"subscriptionId":"s1",` + stamp + `"vmId":"` + vmID + `"}`,
		"?api-version=2025-04-07&nonce=aB9":        `{"nonce":"aB9",` + plan + `"sku":"","subscriptionId":"s1",` + stamp + `"vmId":"` + vmID + `"}`,
	} {
		want = strings.ReplaceAll(want, "+0000", "-0000") // as IMDS writes it
		names, got := w.attest(t, "web", query)
		if got != want || names != "northeurope.metadata.azure.com metadata.azure.com" {
			t.Errorf("%s: signed by %s\n%s\nwant\n%s", query, names, got, want)
		}
	}
}

func TestAttestedDocumentsAreSignedInTheNameOfTheCloud(t *testing.T) {
	w := newWorld(t)
	for cloud, want := range map[string]string{
		environment.Public.Name:       "westeurope.metadata.azure.com metadata.azure.com",
		environment.USGovernment.Name: "usgovvirginia.metadata.azure.us metadata.azure.us",
		environment.China.Name:        "chinaeast2.metadata.azure.cn metadata.azure.cn",
	} {
		env, _ := environment.Named(cloud)
		must(t, w.AddHost(Host{Name: cloud, Source: IMDS, Environment: env}))
		if names, _ := w.attest(t, cloud, "?api-version=2018-10-01"); names != want {
			t.Errorf("%s: signed by %s, want %s", cloud, names, want)
		}
	}
}

func TestADocumentThatCannotBeSignedIsAnInternalError(t *testing.T) {
	w := newWorld(t)
	w.notary.broken = true
	resp := w.get(t, "vm1", attestedURL+"?api-version=2018-10-01")
	if got := w.last().Decision; resp.Status != 500 || string(resp.Body) != `{ "error": "Internal service error" }` || got.Code != "signing-failed" || !strings.Contains(got.Why, "no randomness") {
		t.Fatalf("%d %s, %+v", resp.Status, resp.Body, got)
	}
}
