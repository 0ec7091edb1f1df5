package environment

import "testing"

const tid = "11111111-1111-1111-1111-111111111111"

func TestTenantOfIsExact(t *testing.T) {
	for issuer, want := range map[string]int{
		"https://login.microsoftonline.com/" + tid + "/v2.0":  2,
		"https://sts.windows.net/" + tid + "/":                1,
		"https://sts.windows.net/" + tid:                      0,
		"https://login.microsoftonline.com/" + tid + "/v2.0/": 0,
		"https://login.microsoftonline.com/" + tid:            0,
		"https://LOGIN.microsoftonline.com/" + tid + "/v2.0":  0,
		"https://login.microsoftonline.com//v2.0":             0,
		"https://login.microsoftonline.com/a/b/v2.0":          0,
		"https://login.microsoftonline.us/" + tid + "/v2.0":   0,
		"": 0,
	} {
		tenant, version, ok := Public.TenantOf(issuer)
		if version != want || ok != (want != 0) || (ok && tenant != tid) {
			t.Errorf("TenantOf(%q) = %q, %d, %v; want version %d", issuer, tenant, version, ok, want)
		}
	}
}

func TestIssuersRoundTrip(t *testing.T) {
	for _, e := range All() {
		for version, issuer := range map[int]string{1: e.IssuerV1(tid), 2: e.IssuerV2(tid)} {
			if got, v, ok := e.TenantOf(issuer); got != tid || v != version || !ok {
				t.Errorf("%s: TenantOf(%q) = %q, %d, %v", e.Name, issuer, got, v, ok)
			}
		}
	}
}

func TestElsewhereNamesTheOtherCloud(t *testing.T) {
	if got, ok := Public.Elsewhere(USGovernment.IssuerV2(tid)); !ok || got.Name != "usgov" {
		t.Errorf("Elsewhere(US Government issuer) = %q, %v", got.Name, ok)
	}
	for _, issuer := range []string{Public.IssuerV2(tid), Public.IssuerV1(tid), "https://token.actions.githubusercontent.com"} {
		if got, ok := Public.Elsewhere(issuer); ok {
			t.Errorf("Elsewhere(%q) = %q, want none", issuer, got.Name)
		}
	}
}

func TestNamed(t *testing.T) {
	if e, ok := Named("china"); !ok || e.LoginHost != "login.partner.microsoftonline.cn" {
		t.Errorf("Named(china) = %+v, %v", e, ok)
	}
	if _, ok := Named("AzurePublicCloud"); ok {
		t.Error("Named accepted a name that scenario files do not use")
	}
}

func TestRegionalEndpointsBelongToTheirCloud(t *testing.T) {
	for _, tc := range []struct {
		cloud Environment
		host  string
		want  bool
	}{
		{Public, "westeurope.login.microsoft.com", true},
		{Public, "login.microsoft.com", false},
		{Public, "westeurope.login.microsoftonline.com", false},
		{Public, "usgovvirginia.login.microsoftonline.us", false},
		{USGovernment, "usgovvirginia.login.microsoftonline.us", true},
		{USGovernment, "westeurope.login.microsoft.com", false},
		{China, "chinaeast2.login.partner.microsoftonline.cn", true},
	} {
		if got := tc.cloud.Regional(tc.host); got != tc.want {
			t.Errorf("%s: Regional(%q) = %v, want %v", tc.cloud.Name, tc.host, got, tc.want)
		}
	}
}
