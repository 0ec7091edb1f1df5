package exampletest

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/fakeentra/fakeentra/internal/toolchain"
)

// An SDK is one of those that get tokens, with a program called sources that
// signs in by it: each argument says by which identity, and each line of output
// what came of it, behind the argument and a tab.
type SDK struct {
	Name string
	// Credentials says whether it has credentials for pods and Azure Pipelines.
	Credentials bool

	folder  string   // in examples
	version string   // file and pattern that tell it
	command []string // empty for a program of this module
	needs   string   // a file in the folder
}

// java starts fast rather than runs fast.
var java = []string{"java", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-cp", "target/classes:target/lib/*", "Sources"}

// SDKs are all that the examples have a program sources for. Packages of tests
// are next to the examples.
var SDKs = []SDK{
	{"azidentity for Go", true, "go-azidentity", `../../go.mod azure-sdk-for-go/sdk/azidentity v(\S+)`, nil, ""},
	{"MSAL Go", false, "go-msal", `../../go.mod microsoft-authentication-library-for-go v(\S+)`, nil, ""},
	{"@azure/identity", true, "node-azure-identity", `package.json "@azure/identity": "([^"]+)"`, []string{"node", "sources.mjs"}, "node_modules/@azure/identity/package.json"},
	{"@azure/msal-node", false, "node-msal", `package.json "@azure/msal-node": "([^"]+)"`, []string{"node", "sources.mjs"}, "node_modules/@azure/msal-node/package.json"},
	{"azure-identity for Python", true, "python-azure-identity", `requirements.txt azure-identity==(\S+)`, []string{".venv/bin/python", "sources.py"}, ".venv/bin/python"},
	{"MSAL for Python", false, "python-msal", `requirements.txt msal==(\S+)`, []string{".venv/bin/python", "sources.py"}, ".venv/bin/python"},
	{"azure-identity for Java", true, "java-azure-identity", `pom.xml <artifactId>azure-identity</artifactId>\s*<version>([^<]+)`, java, "target/classes/Sources.class"},
	{"MSAL4J", false, "java-msal4j", `pom.xml <artifactId>msal4j</artifactId>\s*<version>([^<]+)`, java, "target/classes/Sources.class"},
	{"azure_identity for Rust", true, "rust-azure-identity", `Cargo.toml azure_identity = "=([^"]+)"`, []string{"target/release/sources"}, "target/release/sources"},
}

// Folder returns the absolute name of the folder that the program is run in.
func (s SDK) Folder(t *testing.T) string {
	t.Helper()
	folder, err := filepath.Abs(filepath.Join("..", s.folder))
	if err != nil {
		t.Fatal(err)
	}
	return folder
}

// Program returns the command that the program is started by, in its folder. It
// skips the test where the SDK is not installed.
func (s SDK) Program(t *testing.T) []string {
	t.Helper()
	if s.command == nil {
		return []string{Build(t, "examples/"+s.folder+"/sources")}
	}
	if name := s.command[0]; !strings.Contains(name, "/") {
		toolchain.Program(t, name)
	}
	if _, err := os.Stat(filepath.Join(s.Folder(t), s.needs)); err != nil {
		toolchain.Without(t, s.Name, "examples/install")
	}
	return s.command
}

// Version returns the version of the SDK that the program uses.
func (s SDK) Version(t *testing.T) string {
	t.Helper()
	file, pattern, _ := strings.Cut(s.version, " ")
	content, err := os.ReadFile(filepath.Join(s.Folder(t), file))
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile(pattern).FindSubmatch(content)
	if found == nil {
		t.Fatalf("%s does not tell the version of %s", file, s.Name)
	}
	return string(found[1])
}
