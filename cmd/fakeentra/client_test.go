package main

import (
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"strings"
	"testing"
	"time"
)

// What the scenario msi-fic-blob is made of.
const (
	identityClientID = "44444444-4444-4444-4444-444444444444"
	exporterClientID = "22222222-2222-2222-2222-222222222222"
	tokenEndpoint    = "https://login.microsoftonline.com/11111111-1111-1111-1111-111111111111/oauth2/v2.0/token"
	listURL          = "https://contosodata.blob.core.windows.net/reports?restype=container&comp=list"
	assertionPath    = "/metadata/identity/oauth2/token?api-version=2018-02-01&resource=api://AzureADTokenExchange&client_id=" + identityClientID
)

// client is a program that knows nothing of fakeentra. It lists blobs by way of
// its managed identity, or does one thing that its argument names.
func client() {
	if len(os.Args) > 1 && os.Args[1] == "signals" {
		printSignals()
	}
	if err := ask(&http.Client{Timeout: deadline}, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "client:", err)
		os.Exit(3)
	}
}

func ask(hc *http.Client, args []string) error {
	switch {
	case len(args) == 0:
		blobs, err := listBlobs(hc)
		fmt.Println(strings.Join(blobs, " "))
		return err
	case args[0] == "kid":
		assertion, err := managedIdentityToken(hc, "http://169.254.169.254")
		fmt.Println(keyID(assertion))
		return err
	case args[0] == "get":
		resp, err := hc.Get(args[1])
		if err != nil {
			return err
		}
		fmt.Println(resp.StatusCode)
		return resp.Body.Close()
	case args[0] == "endpoint":
		at, err := askEndpoint(hc)
		fmt.Println(at)
		return err
	case args[0] == "cat":
		_, err := io.Copy(os.Stdout, os.Stdin)
		return err
	case args[0] == "unreachable":
		_, err := managedIdentityToken(hc, "http://169.254.169.254")
		if err == nil {
			return errors.New("there is a managed identity endpoint")
		}
		return nil
	}
	return fmt.Errorf("unknown argument %q", args[0])
}

// printSignals writes a line for each signal, and ends with the code 7 after
// the one that asks for it.
func printSignals() {
	signals := make(chan os.Signal, 16)
	signal.Notify(signals, allSignals()...)
	fmt.Println("waiting")
	for s := range signals {
		fmt.Println(s)
		if isTermination(s) {
			os.Exit(7)
		}
	}
}

// managedIdentityToken asks for the assertion.
func managedIdentityToken(hc *http.Client, base string) (string, error) {
	req, err := http.NewRequest(http.MethodGet, base+assertionPath, nil)
	if err != nil {
		return "", err
	}
	req.Header.Set("Metadata", "true")
	return accessToken(hc.Do(req))
}

func accessToken(resp *http.Response, err error) (string, error) {
	if err != nil {
		return "", err
	}
	defer func() { _ = resp.Body.Close() }()
	var answer struct {
		AccessToken string `json:"access_token"`
		Error       string `json:"error"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		return "", err
	}
	if answer.AccessToken == "" {
		return "", fmt.Errorf("%s: %s", resp.Status, answer.Error)
	}
	return answer.AccessToken, nil
}

func exchange(hc *http.Client, assertion string) (string, error) {
	return accessToken(hc.PostForm(tokenEndpoint, url.Values{
		"grant_type": {"client_credentials"}, "client_id": {exporterClientID}, "scope": {"https://storage.azure.com/.default"},
		"client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"}, "client_assertion": {assertion},
	}))
}

// listBlobs does what the scenario is about.
func listBlobs(hc *http.Client) ([]string, error) {
	assertion, err := managedIdentityToken(hc, "http://169.254.169.254")
	if err != nil {
		return nil, err
	}
	token, err := exchange(hc, assertion)
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequest(http.MethodGet, listURL, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("x-ms-version", "2025-01-05")
	resp, err := hc.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	var list struct {
		Names []string `xml:"Blobs>Blob>Name"`
	}
	return list.Names, errors.Join(xml.NewDecoder(resp.Body).Decode(&list), ok(resp))
}

func ok(resp *http.Response) error {
	if resp.StatusCode != http.StatusOK {
		return errors.New(resp.Status)
	}
	return nil
}

// keyID returns the kid of a token.
func keyID(token string) string {
	head, _, _ := strings.Cut(token, ".")
	raw, _ := base64.RawURLEncoding.DecodeString(head)
	var header struct{ Kid string }
	_ = json.Unmarshal(raw, &header)
	return header.Kid
}

// awaitReady waits for a ready file and returns its members that are text.
func awaitReady(file string) (map[string]string, error) {
	for end := time.Now().Add(deadline); time.Now().Before(end); time.Sleep(time.Millisecond) {
		content, err := os.ReadFile(file)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		var members map[string]any
		if err := json.Unmarshal(content, &members); err != nil {
			return nil, err
		}
		out := map[string]string{}
		for name, value := range members {
			if text, ok := value.(string); ok {
				out[name] = text
			}
		}
		for name, value := range environ(members) {
			out[name] = value
		}
		return out, nil
	}
	return nil, fmt.Errorf("%s did not appear", file)
}

func environ(members map[string]any) map[string]string {
	out := map[string]string{}
	variables, _ := members["environ"].(map[string]any)
	for name, value := range variables {
		out[name], _ = value.(string)
	}
	return out
}

// busyAddress returns an address that something listens on until the test ends.
func busyAddress(t testing.TB) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l.Addr().String()
}

// trusting returns the pool with the certificates in a file.
func trusting(t testing.TB, file string) *x509.CertPool {
	pem, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		t.Fatalf("%s holds no certificate", file)
	}
	return pool
}
