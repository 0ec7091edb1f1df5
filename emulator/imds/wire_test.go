package imds

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/fakeentra/fakeentra/internal/edge"
)

// A recording is a request that a real client sent, as in testdata/wire:
// request line, headers, and what the client must get to go on.
type recording struct {
	method, target string
	header         http.Header
	status         int
	shape          string // "token", "compute" or the name of a row
}

func recordings(t *testing.T, file string) []recording {
	t.Helper()
	b, err := os.ReadFile(file)
	must(t, err)
	var out []recording
	for block := range strings.SplitSeq(strings.TrimSpace(string(b)), "\n\n") {
		lines := strings.Split(block, "\n")
		var rec recording
		rec.method, rec.target, _ = strings.Cut(lines[0], " ")
		rec.header = http.Header{}
		for _, line := range lines[1 : len(lines)-1] {
			name, value, _ := strings.Cut(line, ": ")
			rec.header.Add(name, value)
		}
		want := strings.Fields(lines[len(lines)-1]) // => status shape
		rec.status, err = strconv.Atoi(want[1])
		must(t, err)
		rec.shape = want[2]
		out = append(out, rec)
	}
	return out
}

func TestRecordedClientsGetWhatTheyNeed(t *testing.T) {
	files, err := filepath.Glob("testdata/wire/*.txt")
	if err != nil || len(files) != 20 {
		t.Fatalf("%d recordings (%v), want 20", len(files), err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			w := newWorld(t)
			for _, rec := range recordings(t, file) {
				in := httptest.NewRequestWithContext(t.Context(), rec.method, "http://"+rec.header.Get("Host")+rec.target, nil)
				in.Header = rec.header
				resp, err := w.edge.Serve(w.Service, edge.Caller{Host: "vm1"}, in)
				must(t, err)
				if resp.Status != rec.status || resp.Header.Get("Server") != server {
					t.Fatalf("%s: %d from %s, want %d\n%s", rec.target, resp.Status, resp.Header.Get("Server"), rec.status, resp.Body)
				}
				checkShape(t, w, rec, in, resp)
			}
		})
	}
}

// checkShape asserts the members that the strictest of the clients wants: Rust
// needs strings, resource and token_type; MSAL.NET needs expires_on after
// expires_in; Terraform and MSAL Python need expires_in.
func checkShape(t *testing.T, w *world, rec recording, in *http.Request, resp edge.Response) {
	t.Helper()
	switch rec.shape {
	case "token":
		wantOrder := "access_token client_id expires_in expires_on ext_expires_in not_before resource token_type"
		if got := strings.Join(memberOrder(t, resp.Body), " "); got != wantOrder {
			t.Errorf("members %s, want %s", got, wantOrder)
		}
		got, query := members(t, resp.Body), in.URL.Query()
		if got["resource"] != query.Get("resource") || got["client_id"] != query.Get("client_id") || got["token_type"] != "Bearer" || got["expires_in"] != "86400" || got["expires_on"] != "1800086400" {
			t.Errorf("%s was answered with %s", rec.target, resp.Body)
		}
	case "compute":
		var got struct{ Name, Location, VMSize, AzEnvironment string }
		must(t, json.Unmarshal(resp.Body, &got))
		if early := rec.target < "/metadata/instance/compute?api-version=2018-10-01"; got.Name != "vm1" || got.Location != "westeurope" || got.VMSize == "" || early == (got.AzEnvironment != "") {
			t.Errorf("%s was answered with %s", rec.target, resp.Body)
		}
	default:
		if got := w.last().Decision.Code; got != rec.shape {
			t.Errorf("%s was refused with %s, want %s", rec.target, got, rec.shape)
		}
	}
}

// memberOrder returns the names in a flat JSON object as they come.
func memberOrder(t *testing.T, body []byte) []string {
	t.Helper()
	dec := json.NewDecoder(strings.NewReader(string(body)))
	_, err := dec.Token()
	must(t, err)
	var names []string
	for dec.More() {
		name, err := dec.Token()
		must(t, err)
		_, err = dec.Token()
		must(t, err)
		names = append(names, name.(string))
	}
	return names
}
