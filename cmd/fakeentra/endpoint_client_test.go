package main

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"os"
	"strings"
)

// askEndpoint gets a token from the managed identity endpoint that the variables
// name, as SDKs do. It returns the endpoint and whose token it is.
func askEndpoint(hc *http.Client) (string, error) {
	at, query, header := os.Getenv("IDENTITY_ENDPOINT"), "api-version=2020-06-01", http.Header{"Metadata": {"true"}}
	switch {
	case os.Getenv("IDENTITY_SERVER_THUMBPRINT") != "":
		query, header = "api-version=2019-07-01-preview", http.Header{"Secret": {os.Getenv("IDENTITY_HEADER")}}
	case os.Getenv("IMDS_ENDPOINT") != "":
		key, err := keyOfArc(hc, at+"?resource=x&"+query)
		if err != nil {
			return at, err
		}
		header.Set("Authorization", "Basic "+key)
	case os.Getenv("IDENTITY_HEADER") != "":
		query, header = "api-version=2019-08-01&client_id="+identityClientID, http.Header{"X-Identity-Header": {os.Getenv("IDENTITY_HEADER")}}
	default:
		at, query = os.Getenv("MSI_ENDPOINT"), "api-version=2017-09-01"
		header.Set("Secret", os.Getenv("MSI_SECRET"))
	}
	req, err := http.NewRequest(http.MethodGet, at+"?resource="+url.QueryEscape("https://storage.azure.com/")+"&"+query, nil)
	if err != nil {
		return at, err
	}
	req.Header = header
	token, err := accessToken(hc.Do(req))
	return at + " " + subject(token), err
}

// keyOfArc reads the file that a challenge names.
func keyOfArc(hc *http.Client, at string) (string, error) {
	req, err := http.NewRequest(http.MethodGet, at, nil)
	if err != nil {
		return "", err
	}
	req.Header.Set("Metadata", "true")
	resp, err := hc.Do(req)
	if err != nil {
		return "", err
	}
	_ = resp.Body.Close()
	file, ok := strings.CutPrefix(resp.Header.Get("WWW-Authenticate"), "Basic realm=")
	if !ok || !strings.HasPrefix(file, "/var/opt/azcmagent/tokens/") {
		return "", errors.New(resp.Status + ", and no key file where SDKs look for it")
	}
	key, err := os.ReadFile(file)
	return string(key), err
}

// subject returns the sub of a token.
func subject(token string) string {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return ""
	}
	raw, _ := base64.RawURLEncoding.DecodeString(parts[1])
	var claims struct{ Sub string }
	_ = json.Unmarshal(raw, &claims)
	return claims.Sub
}
