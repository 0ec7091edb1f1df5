package fakeentra_test

import (
	"encoding/json"
	"net/http"
	"testing"

	"github.com/fakeentra/fakeentra"
)

// MSAL Go asks the region for its document and takes the token endpoint from it.
func TestRegionsOfEveryCloudAnswer(t *testing.T) {
	for host, cloud := range map[string]fakeentra.Environment{
		"westeurope.login.microsoft.com":              fakeentra.AzurePublic,
		"usgovvirginia.login.microsoftonline.us":      fakeentra.AzureUSGovernment,
		"chinaeast2.login.partner.microsoftonline.cn": fakeentra.AzureChina,
	} {
		entra := fakeentra.Start(t, fakeentra.WithEnvironment(cloud))
		contoso := entra.AddTenant("contoso")
		base := "https://" + host + "/" + string(contoso.ID)
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, base+"/v2.0/.well-known/openid-configuration", nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := entra.AddHost("vm1", fakeentra.IMDS).Client().Do(req)
		if err != nil {
			t.Errorf("%s: %v", host, err)
			continue
		}
		var document struct {
			Issuer        string `json:"issuer"`
			TokenEndpoint string `json:"token_endpoint"`
		}
		err = json.NewDecoder(resp.Body).Decode(&document)
		_ = resp.Body.Close() // the body was read
		if err != nil || document.TokenEndpoint != base+"/oauth2/v2.0/token" || document.Issuer != contoso.Issuer() {
			t.Errorf("%s: %+v, %v", host, document, err)
		}
	}
}
