package main

import (
	"crypto/sha1"
	"crypto/tls"
	"encoding/hex"
	"net/http"
	"strings"
	"testing"
)

// The variables of a host lead to its door.
func TestServeListensForTheEndpointOfItsHost(t *testing.T) {
	for _, tc := range []struct{ host, variable, query, header, secret string }{
		{"web", "IDENTITY_ENDPOINT", "?api-version=2019-08-01&client_id=44444444-4444-4444-4444-444444444444&", "X-Identity-Header", "IDENTITY_HEADER"},
		{"notebook", "MSI_ENDPOINT", "?api-version=2017-09-01&", "Secret", "MSI_SECRET"},
		{"service", "IDENTITY_ENDPOINT", "?api-version=2020-05-01&", "Secret", "IDENTITY_HEADER"},
	} {
		s := startServe(t, "--scenario", "../../fixtures/scenarios/every-source.yaml", "--host", tc.host)
		env := s.Environ
		if !strings.HasPrefix(env[tc.variable], s.IMDS+"/") {
			t.Fatalf("%s: %s is %q, and the door is at %s", tc.host, tc.variable, env[tc.variable], s.IMDS)
		}
		req, err := http.NewRequestWithContext(t.Context(), "GET", env[tc.variable]+tc.query+"resource=api://AzureADTokenExchange", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set(tc.header, env[tc.secret])
		pinned := &tls.Config{InsecureSkipVerify: true, VerifyConnection: func(c tls.ConnectionState) error {
			sum := sha1.Sum(c.PeerCertificates[0].Raw)
			if got := strings.ToUpper(hex.EncodeToString(sum[:])); got != env["IDENTITY_SERVER_THUMBPRINT"] {
				t.Errorf("the certificate is %s, and IDENTITY_SERVER_THUMBPRINT %q", got, env["IDENTITY_SERVER_THUMBPRINT"])
			}
			return nil
		}}
		client := &http.Client{Timeout: deadline, Transport: &http.Transport{TLSClientConfig: pinned}}
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != 200 {
			t.Errorf("%s: %d", tc.host, resp.StatusCode)
		}
	}
}
