// Package sources finds out which SDK gets tokens at which places, and holds
// docs/sources.md to it.
package sources

import (
	"flag"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/fakeentra/fakeentra/internal/exampletest"
	"github.com/fakeentra/fakeentra/internal/toolchain"
)

var update = flag.Bool("update", false, "rewrite docs/sources.md to what the SDKs do")

// A place is a host of sources.yaml, which has the name of its source.
type place struct {
	name     string
	resource string // what to ask for, where the audience of exchanges is refused
	fetch    string // a script that writes the assertion to ASSERTION_FILE; empty where there are managed identities
	known    bool   // whether SDKs that have credentials for such places have one for it
}

// own is the identity of a place where none is named.
func (p place) own() string {
	if p.resource != "" {
		return "user"
	}
	return "own-" + p.name
}

var places = []place{
	{name: "imds"}, {name: "appservice"}, {name: "functions"}, {name: "containerapps"}, {name: "arc"}, {name: "servicefabric"},
	{name: "cloudshell", resource: "https://storage.azure.com"}, {name: "azureml"},
	{name: "aks", known: true, fetch: `cat "$AZURE_FEDERATED_TOKEN_FILE"`},
	{name: "github", fetch: `curl -sS -H "Authorization: Bearer $ACTIONS_ID_TOKEN_REQUEST_TOKEN" "$ACTIONS_ID_TOKEN_REQUEST_URL&audience=api://AzureADTokenExchange" | sed 's/.*"value":"\([^"]*\)".*/\1/'`},
	{name: "azurepipelines", known: true, fetch: `curl -sS -X POST -H "Content-Length: 0" -H "Authorization: Bearer $SYSTEM_ACCESSTOKEN" "$SYSTEM_OIDCREQUESTURI?api-version=7.1&serviceConnectionId=$AZURESUBSCRIPTION_SERVICE_CONNECTION_ID" | sed 's/.*"oidcToken":"\([^"]*\)".*/\1/'`},
}

// A naming is a way to say which managed identity is meant.
type naming struct{ letter, text, word, identity string }

var namings = []naming{
	{"S", "none named", "system", ""},
	{"c", "client ID", "client-id=44444444-4444-4444-4444-444444444444", "by-client-id"},
	{"o", "object ID", "object-id=33333333-3333-3333-3333-333333333333", "by-object-id"},
	{"r", "resource ID", "resource-id=/subscriptions/66666666-6666-6666-6666-666666666666/resourceGroups/jobs/providers/Microsoft.ManagedIdentity/userAssignedIdentities/by-resource-id", "by-resource-id"},
}

const docs = "../../docs/sources.md"

func TestTheTableOfSDKsIsWhatTheyDo(t *testing.T) {
	fakeentra := exampletest.Build(t, "cmd/fakeentra")
	exampletest.Permitted(t, fakeentra, "netns")
	toolchain.Program(t, "curl") // fetches assertions
	was, err := os.ReadFile(docs)
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	found := map[string]findings{}
	t.Run("SDKs", func(t *testing.T) {
		for _, s := range exampletest.SDKs {
			t.Run(s.Name, func(t *testing.T) {
				t.Parallel()
				f := find(t, s, fakeentra)
				mu.Lock()
				found[s.Name] = f
				mu.Unlock()
				if got := of(string(was), s.Name); !*update && got != f {
					t.Errorf("%s is not what %s does; go test ./examples/sources -update rewrites it (-docs +now):\n%s", docs, s.Name, cmp.Diff(got.row+got.notes, f.row+f.notes))
				}
			})
		}
	})
	if !*update {
		return
	}
	if len(found) < len(exampletest.SDKs) {
		t.Fatal("to rewrite the table takes all SDKs")
	}
	if err := os.WriteFile(docs, []byte(rewrite(string(was), found)), 0o644); err != nil {
		t.Fatal(err)
	}
}

// find runs the program of an SDK at all places.
func find(t *testing.T, s exampletest.SDK, fakeentra string) findings {
	command := s.Program(t)
	cells, notes := []string{s.Name, s.Version(t)}, ""
	for _, p := range places {
		cell, note := trial{s, p, fakeentra, command}.run(t)
		cells, notes = append(cells, cell), notes+note
	}
	return findings{"| " + strings.Join(cells, " | ") + " |\n", notes}
}
