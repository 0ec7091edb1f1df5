// Package arch holds the rules of who may import whom.
package arch

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/fakeentra/fakeentra"

// allowed lists, for each package, the packages of this module that it may
// import. Services never import each other, the directory knows nothing of
// HTTP, and only the program imports the command line.
var allowed = map[string][]string{
	"internal/clock":           {},
	"internal/ident":           {},
	"internal/pattern":         {},
	"internal/pki":             {},
	"internal/csrtest":         {},
	"emulator/environment":     {},
	"emulator/directory":       {"internal/pattern"},
	"emulator/token":           {},
	"emulator/journal":         {"internal/pattern"},
	"emulator/fault":           {"emulator/journal", "internal/pattern"},
	"internal/edge":            {"emulator/fault", "emulator/journal", "internal/clock", "internal/ident"},
	"emulator/imds":            {"emulator/directory", "emulator/environment", "emulator/journal", "internal/edge", "internal/ident", "internal/pattern"},
	"emulator/sts":             {"emulator/directory", "emulator/environment", "emulator/token", "internal/edge", "internal/ident", "internal/pattern"},
	"emulator/blob":            {"emulator/directory", "emulator/environment", "emulator/journal", "emulator/token", "internal/edge", "internal/ident", "internal/pattern"},
	"emulator/issuer":          {"emulator/token", "internal/edge"},
	"emulator/runner":          {"internal/edge", "internal/ident", "internal/pattern"},
	"emulator/kubernetes":      {"emulator/token", "internal/edge", "internal/ident"},
	"emulator/control":         {"emulator/directory", "emulator/fault", "emulator/journal", "internal/edge"},
	"internal/door":            {"emulator/journal", "internal/edge", "internal/pki"},
	"internal/scenario":        {"emulator/directory", "emulator/environment", "emulator/fault", "emulator/journal", "emulator/kubernetes", "emulator/runner", "internal/ident", "internal/pattern"},
	"internal/toolchain":       {},
	"internal/exampletest":     {"internal/toolchain"},
	"internal/idle":            {},
	"internal/sandbox":         {"internal/idle", "internal/pki", "internal/sandbox/nofile"},
	"internal/sandbox/nofile":  {},
	"fixtures":                 {},
	"fixtures/internal/keygen": {"emulator/token"},
	"": {"emulator/blob", "emulator/control", "emulator/directory", "emulator/environment", "emulator/fault", "emulator/imds", "emulator/issuer",
		"emulator/journal", "emulator/kubernetes", "emulator/runner", "emulator/sts", "emulator/token", "fixtures", "internal/clock", "internal/door", "internal/edge", "internal/pki", "internal/scenario"},
	"conformance":                       {"conformance/driver", "conformance/expect", "conformance/suite"},
	"conformance/driver":                {},
	"conformance/reference":             {"conformance/driver"},
	"conformance/internal/lab":          {"", "emulator/directory", "internal/pki"},
	"conformance/internal/memnet":       {},
	"conformance/internal/trial":        {"conformance/driver", "conformance/suite"},
	"conformance/internal/stage":        {"", "conformance/driver", "conformance/internal/lab", "conformance/internal/memnet", "internal/idle", "internal/sandbox"},
	"conformance/suite":                 {"", "conformance/driver", "conformance/internal/lab", "conformance/internal/stage", "emulator/journal"},
	"conformance/schema":                {"conformance/driver", "internal/pattern"},
	"conformance/expect":                {"conformance/driver", "conformance/suite", "internal/pattern"},
	"conformance/report":                {"conformance/schema", "conformance/suite"},
	"conformance/clients":               {},
	"conformance/clients/reference":     {"conformance/driver", "conformance/reference"},
	"conformance/clients/go-azidentity": {"conformance/driver"},
	"conformance/clients/go-msal":       {"conformance/driver"},

	"container":     {"", "emulator/control", "fixtures", "internal/door", "internal/pki"},
	"cmd/fakeentra": {"", "conformance/clients", "conformance/driver", "conformance/schema", "conformance/expect", "conformance/report", "conformance/suite", "emulator/control", "emulator/environment", "emulator/fault", "emulator/journal", "emulator/token", "fixtures", "internal/pattern", "internal/sandbox", "internal/scenario"},
}

// heavy are the modules that one part of the tree may import, and no other.
var heavy = map[string][]string{
	"github.com/spf13/cobra":                                     {"cmd/fakeentra"},
	"github.com/santhosh-tekuri/jsonschema":                      {}, // for tests
	"github.com/chromedp":                                        {}, // for tests
	"github.com/pelletier/go-toml":                               {"conformance/expect"},
	"github.com/testcontainers/testcontainers-go":                {"container", "conformance/target"},
	"github.com/moby":                                            {"container"},
	"github.com/containerd":                                      {"container"},
	"k8s.io":                                                     {}, // for tests
	"github.com/Azure/azure-sdk-for-go":                          {"examples", "conformance/clients"},
	"github.com/AzureAD/microsoft-authentication-library-for-go": {"cmd/fakeentra", "examples", "conformance"},
}

func TestImports(t *testing.T) {
	root := "../.."
	err := filepath.WalkDir(root, func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (strings.HasPrefix(d.Name(), ".") && d.Name() != ".." || d.Name() == "testdata" || d.Name() == "node_modules") {
			return filepath.SkipDir
		}
		if !strings.HasSuffix(file, ".go") || strings.HasSuffix(file, "_test.go") {
			return nil
		}
		rel, err := filepath.Rel(root, filepath.Dir(file))
		if err != nil {
			return err
		}
		check(t, file, strings.TrimPrefix(filepath.ToSlash(rel), "."))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func check(t *testing.T, file, pkg string) {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
	if err != nil {
		t.Fatal(err)
	}
	list, listed := allowed[pkg]
	if !listed && !strings.HasPrefix(pkg, "examples/") {
		t.Errorf("%s: the package %q is in no row of the table of imports; add one", file, pkg)
	}
	for _, spec := range f.Imports {
		name, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			t.Fatal(err)
		}
		if own, ok := strings.CutPrefix(name, module); ok && listed && !slices.Contains(list, strings.TrimPrefix(own, "/")) {
			t.Errorf("%s: %q may not import %q", file, pkg, name)
		}
		if pkg == "emulator/directory" && strings.HasPrefix(name, "net/") {
			t.Errorf("%s: the directory may not import %q", file, name)
		}
		for module, users := range heavy {
			if strings.HasPrefix(name, module) && !slices.ContainsFunc(users, func(u string) bool { return pkg == u || strings.HasPrefix(pkg, u+"/") }) {
				t.Errorf("%s: %q may not import %q", file, pkg, name)
			}
		}
	}
}

// TestTheTableIsCurrent fails for rows of packages that are gone.
func TestTheTableIsCurrent(t *testing.T) {
	for pkg := range allowed {
		if files, err := filepath.Glob(filepath.Join("../..", filepath.FromSlash(pkg), "*.go")); err != nil || len(files) == 0 {
			t.Errorf("the table of imports has a row for %q, which has no files", pkg)
		}
	}
	if _, err := os.Stat("../../go.mod"); err != nil || path.Base(module) != "fakeentra" {
		t.Fatal("this test looks at the wrong tree")
	}
}
