package journal

import "testing"

func TestSecretsAreReplacedAsAWhole(t *testing.T) {
	const token, mark = "eyJhbGciOiJub25lIn0.e30.c2ln", "[token 9b0b7d994a5b]"
	for text, want := range map[string]string{
		"a=1&client_assertion=" + token + "&b=2":  "a=1&client_assertion=" + mark + "&b=2",
		"client_assertion=" + token + "%20more&b": "client_assertion=[redacted]&b",
		"client_secret=[in brackets]&b=2":         "client_secret=[redacted]&b=2",
		"client_secret=[in brackets]more&b=2":     "client_secret=[redacted]&b=2",
		"password=p w":                            "password=[redacted] w",
		`{"access_token": "` + token + `"}`:       `{"access_token": "` + mark + `"}`,
		`{"access_token": "opaque"}`:              `{"access_token": "[redacted]"}`,
	} {
		if got := Redact(text); got != want {
			t.Errorf("%s\nbecomes %s\nwant    %s", text, got, want)
		}
	}
}
