package environment

import "testing"

func TestHostsOfAzureAreThoseOfEveryCloud(t *testing.T) {
	for hostname, want := range map[string]bool{
		"login.microsoftonline.com":            true,
		"westeurope.login.microsoft.com":       true,
		"login.microsoftonline.us":             true,
		"login.chinacloudapi.cn":               true,
		"sts.windows.net":                      true,
		"contoso.blob.core.windows.net":        true,
		"contoso.queue.core.usgovcloudapi.net": true,
		"core.windows.net":                     true,
		"graph.microsoft.com":                  true,
		"management.azure.com":                 true,
		"xcore.windows.net":                    false,
		"microsoft.com":                        false,
		"login.microsoftonline.com.example":    false,
		"api.example.com":                      false,
		"":                                     false,
	} {
		if got := Azure(hostname); got != want {
			t.Errorf("Azure(%q) = %v", hostname, got)
		}
	}
}
