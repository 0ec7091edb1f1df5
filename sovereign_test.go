package fakeentra_test

import (
	"net/url"
	"testing"

	"github.com/fakeentra/fakeentra"
	"github.com/fakeentra/fakeentra/emulator/directory"
)

// Each national cloud has its own hosts and its own exchange audience.
func TestSovereignClouds(t *testing.T) {
	for _, tc := range []struct {
		environment                        fakeentra.Environment
		authority, alias, endpoint, wanted string
	}{
		{fakeentra.AzureUSGovernment, "https://login.microsoftonline.us/", "https://login.usgovcloudapi.net/", "https://contosodata.blob.core.usgovcloudapi.net", "api://AzureADTokenExchangeUSGov"},
		{fakeentra.AzureChina, "https://login.partner.microsoftonline.cn/", "https://login.chinacloudapi.cn/", "https://contosodata.blob.core.chinacloudapi.cn", "api://AzureADTokenExchangeChina"},
	} {
		t.Run(tc.environment.Name, func(t *testing.T) {
			w := newWorld(t, fakeentra.WithEnvironment(tc.environment))
			c := w.plain()
			if w.contoso.Authority() != tc.authority+string(w.contoso.ID) || w.account.Endpoint() != tc.endpoint {
				t.Fatalf("authority %s, endpoint %s", w.contoso.Authority(), w.account.Endpoint())
			}
			status, body := c.exchangeWith(t, c.identityToken(t, tc.wanted))
			if status != 200 {
				t.Fatalf("exchange: %d %v\n%s", status, body, w.Journal())
			}
			if status, code := c.list(t, body["access_token"].(string)); status != 200 {
				t.Errorf("list: %d %s", status, code)
			}
			if status, _, _ := c.do(t, "GET", tc.alias+string(w.contoso.ID)+"/v2.0/.well-known/openid-configuration", "", ""); status != 200 {
				t.Errorf("the alias %s answered %d", tc.alias, status)
			}
			// The public cloud's audience is no resource here.
			target := "http://169.254.169.254/metadata/identity/oauth2/token?api-version=2018-02-01&resource=" + url.QueryEscape("api://AzureADTokenExchange")
			if status, _, answer := c.do(t, "GET", target, "", "", "Metadata", "true"); status != 400 {
				t.Errorf("the public audience was answered %d %s", status, answer)
			}
		})
	}
}

// A token of another cloud is refused, whoever signed it.
func TestTokensOfAnotherCloudAreRefused(t *testing.T) {
	w := newWorld(t)
	foreign := fakeentra.AzureUSGovernment.IssuerV2(string(w.contoso.ID))
	w.exporter.AddFederatedIdentityCredential(directory.FederatedIdentityCredential{Name: "gov", Issuer: foreign, Subject: "s", Audiences: []string{"api://AzureADTokenExchange"}})
	status, body := w.plain().exchangeWith(t, w.contoso.Sign(map[string]any{"iss": foreign, "sub": "s", "aud": "api://AzureADTokenExchange", "exp": w.Now().Unix() + 3600}))
	if status != 401 || body["error_codes"].([]any)[0] != 700238.0 {
		t.Errorf("answered %d %v, want AADSTS700238", status, body)
	}
}
