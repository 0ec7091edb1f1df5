package driver

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
)

func TestIMDSTransportLeadsIMDSAlone(t *testing.T) {
	echo := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, r.Host+r.URL.Path) })
	imds, other := httptest.NewServer(echo), httptest.NewServer(echo)
	defer imds.Close()
	defer other.Close()
	client := &http.Client{Transport: Endpoints{IMDS: imds.URL}.IMDSTransport()}
	for url, want := range map[string]string{
		"http://169.254.169.254/metadata/identity/oauth2/token": "169.254.169.254/metadata/identity/oauth2/token",
		other.URL + "/tenant": other.Listener.Addr().String() + "/tenant",
	} {
		resp, err := client.Get(url)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if err != nil || string(body) != want {
			t.Errorf("%s: answered with %q, %v; want %q", url, body, err, want)
		}
	}
	if _, err := (&http.Client{Transport: Endpoints{IMDS: "http://%"}.IMDSTransport()}).Get("http://169.254.169.254/"); err == nil {
		t.Error("a URL that is none was taken")
	}
}
