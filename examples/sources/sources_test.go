// Package sources finds out which SDK gets tokens at which places, and holds
// docs/sources.md to it.
package sources

import (
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/fakeentra/fakeentra/internal/exampletest"
)

var update = flag.Bool("update", false, "rewrite docs/sources.md to what the SDKs do")

// An sdk is one of them, with a program that signs in by it.
type sdk struct {
	name        string
	folder      string // of the program, in examples
	version     string // file and pattern that tell it
	command     []string
	needs       string // a file in the folder
	credentials bool   // whether it has credentials for pods and Azure Pipelines
}

var sdks = []sdk{
	{"azidentity for Go", "go-azidentity", `../../go.mod azure-sdk-for-go/sdk/azidentity v(\S+)`, nil, "", true},
	{"MSAL Go", "go-msal", `../../go.mod microsoft-authentication-library-for-go v(\S+)`, nil, "", false},
	{"@azure/identity", "node-azure-identity", `package.json "@azure/identity": "([^"]+)"`, []string{"node", "sources.mjs"}, "node_modules/@azure/identity/package.json", true},
	{"@azure/msal-node", "node-msal", `package.json "@azure/msal-node": "([^"]+)"`, []string{"node", "sources.mjs"}, "node_modules/@azure/msal-node/package.json", false},
	{"azure-identity for Python", "python-azure-identity", `requirements.txt azure-identity==(\S+)`, []string{".venv/bin/python", "sources.py"}, ".venv/bin/python", true},
	{"MSAL for Python", "python-msal", `requirements.txt msal==(\S+)`, []string{".venv/bin/python", "sources.py"}, ".venv/bin/python", false},
	{"azure-identity for Java", "java-azure-identity", `pom.xml <artifactId>azure-identity</artifactId>\s*<version>([^<]+)`, java, "target/classes/Sources.class", true},
	{"MSAL4J", "java-msal4j", `pom.xml <artifactId>msal4j</artifactId>\s*<version>([^<]+)`, java, "target/classes/Sources.class", false},
	{"azure_identity for Rust", "rust-azure-identity", `Cargo.toml azure_identity = "=([^"]+)"`, []string{"target/release/sources"}, "target/release/sources", true},
}

// java starts fast rather than runs fast.
var java = []string{"java", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-cp", "target/classes:target/lib/*", "Sources"}

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
	was, err := os.ReadFile(docs)
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	found := map[string]findings{}
	t.Run("SDKs", func(t *testing.T) {
		for _, s := range sdks {
			t.Run(s.name, func(t *testing.T) {
				t.Parallel()
				f := s.find(t, fakeentra)
				mu.Lock()
				found[s.name] = f
				mu.Unlock()
				if got := of(string(was), s.name); !*update && got != f {
					t.Errorf("%s is not what %s does; go test ./examples/sources -update rewrites it (-docs +now):\n%s", docs, s.name, cmp.Diff(got.row+got.notes, f.row+f.notes))
				}
			})
		}
	})
	if !*update {
		return
	}
	if len(found) < len(sdks) {
		t.Fatal("to rewrite the table takes all SDKs")
	}
	if err := os.WriteFile(docs, []byte(rewrite(string(was), found)), 0o644); err != nil {
		t.Fatal(err)
	}
}

// find runs the program of an SDK at all places.
func (s sdk) find(t *testing.T, fakeentra string) findings {
	folder, err := filepath.Abs("../" + s.folder)
	if err != nil {
		t.Fatal(err)
	}
	if s.command == nil {
		s.command = []string{exampletest.Build(t, "examples/"+s.folder+"/sources")}
	}
	if _, err := os.Stat(filepath.Join(folder, s.needs)); err != nil {
		if os.Getenv(exampletest.RequireAll) != "" {
			t.Fatalf("%s is set, and %s is missing; examples/install makes it", exampletest.RequireAll, s.needs)
		}
		t.Skipf("did without %s; to have it: examples/install", s.name)
	}
	cells, notes := []string{s.name, s.versionIn(t, folder)}, ""
	for _, p := range places {
		cell, note := trial{s, p, fakeentra, folder}.run(t)
		cells, notes = append(cells, cell), notes+note
	}
	return findings{"| " + strings.Join(cells, " | ") + " |\n", notes}
}

func (s sdk) versionIn(t *testing.T, folder string) string {
	file, pattern, _ := strings.Cut(s.version, " ")
	content, err := os.ReadFile(filepath.Join(folder, file))
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile(pattern).FindSubmatch(content)
	if found == nil {
		t.Fatalf("%s does not tell the version of %s", file, s.name)
	}
	return string(found[1])
}
