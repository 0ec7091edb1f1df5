package fakeentra_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/fakeentra/fakeentra"
)

// The files under testdata/wire are what real clients sent under production
// names: Go, Node, Bun, Deno, Python, .NET and rclone. Each has its quirks, and
// each must get the answers that let it go on.
func TestCapturedClientsAreUnderstood(t *testing.T) {
	scenario, err := os.ReadFile("testdata/wire/world.yaml")
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob("testdata/wire/*.txt")
	if err != nil || len(files) < 25 {
		t.Fatalf("%d captures, %v", len(files), err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			replay(t, fakeentra.Start(t, fakeentra.WithScenario(scenario)).Host("vm").Client(), file)
		})
	}
}

// A captured request, and the status that the client was given then.
type captured struct {
	method, path string
	header       http.Header
	form         []string
	status       int
}

func readCaptures(t *testing.T, file string) []captured {
	t.Helper()
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var out []captured
	for lines := bufio.NewScanner(bytes.NewReader(raw)); lines.Scan(); {
		line := lines.Text()
		if line == "" {
			continue
		}
		method, path, isRequest := strings.Cut(line, " ")
		if isRequest && method == strings.ToUpper(method) && strings.HasPrefix(path, "/") {
			out = append(out, captured{method: method, path: path, header: http.Header{}})
			continue
		}
		last := &out[len(out)-1]
		if status, ok := strings.CutPrefix(line, "=> "); ok {
			last.status, _ = strconv.Atoi(status)
		} else if field, ok := strings.CutPrefix(line, "  "); ok {
			last.form = append(last.form, field)
		} else if name, value, ok := strings.Cut(line, ": "); ok {
			last.header.Add(name, value)
		}
	}
	return out
}

func replay(t *testing.T, client *http.Client, file string) {
	var token string // the one that the client was given last
	for i, c := range readCaptures(t, file) {
		fill := func(s string) string { return strings.NewReplacer("{assertion}", token, "{access}", token).Replace(s) }
		scheme := "https://"
		if c.header.Get("Host") == "169.254.169.254" {
			scheme = "http://"
		}
		req, err := http.NewRequestWithContext(t.Context(), c.method, scheme+c.header.Get("Host")+c.path, strings.NewReader(fill(strings.Join(c.form, "&"))))
		if err != nil {
			t.Fatal(err)
		}
		for name := range c.header {
			req.Header.Set(name, fill(c.header.Get(name)))
		}
		req.Header.Del("Host")
		resp, err := client.Do(req)
		if err != nil {
			t.Fatalf("request %d: %v", i+1, err)
		}
		var body struct {
			AccessToken string `json:"access_token"`
		}
		if json.NewDecoder(resp.Body).Decode(&body) == nil && body.AccessToken != "" {
			token = body.AccessToken
		}
		_ = resp.Body.Close()
		// The captures tried several answers to this probe. A 400 is the one
		// that costs no client a second.
		if strings.Contains(c.path, "getplatformmetadata") {
			c.status = http.StatusBadRequest
		}
		if resp.StatusCode != c.status {
			t.Errorf("request %d, %s %s: answered %d, the client needs %d", i+1, c.method, c.path, resp.StatusCode, c.status)
		}
	}
}
