package clients_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fakeentra/fakeentra/conformance/clients"
	"github.com/fakeentra/fakeentra/conformance/internal/trial"
	"github.com/fakeentra/fakeentra/conformance/suite"
	"github.com/fakeentra/fakeentra/internal/sandbox"
	"github.com/fakeentra/fakeentra/internal/toolchain"
)

func TestMain(m *testing.M) {
	sandbox.Child()
	os.Exit(m.Run())
}

// java starts fast rather than runs fast.
func java(folder string) []string {
	return []string{"java", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-cp", folder + "/target/classes:" + folder + "/target/lib/*", "Driver"}
}

// A sdk is an SDK that there is a driver for.
type sdk struct {
	name    string // as people call it
	folder  string
	needs   string // what install leaves in the folder; empty for Go, which is built here
	command []string
}

// sdks are those that the table of docs/conformance.md has, in its order.
var sdks = []sdk{
	{"azidentity for Go", "go-azidentity", "", nil},
	{"MSAL Go", "go-msal", "", nil},
	{"@azure/identity for Node", "node-azure-identity", "node_modules/@azure/identity/package.json", []string{"node", "node-azure-identity/driver.mjs"}},
	{"@azure/msal-node", "node-msal", "node_modules/@azure/msal-node/package.json", []string{"node", "node-msal/driver.mjs"}},
	{"azure-identity for Python", "python-azure-identity", ".venv/bin/python", []string{"python-azure-identity/.venv/bin/python", "python-azure-identity/driver.py"}},
	{"MSAL for Python", "python-msal", ".venv/bin/python", []string{"python-msal/.venv/bin/python", "python-msal/driver.py"}},
	{"azure-identity for Java", "java-azure-identity", "target/classes/Driver.class", java("java-azure-identity")},
	{"MSAL4J", "java-msal4j", "target/classes/Driver.class", java("java-msal4j")},
	{"Azure.Identity for .NET", "dotnet-azure-identity", "bin/Release/net8.0/Driver.dll", []string{"dotnet", "dotnet-azure-identity/bin/Release/net8.0/Driver.dll"}},
	{"MSAL.NET", "dotnet-msal", "bin/Release/net8.0/Driver.dll", []string{"dotnet", "dotnet-msal/bin/Release/net8.0/Driver.dll"}},
	{"azure_identity for Rust", "rust-azure-identity", "target/release/conformance-driver", []string{"rust-azure-identity/target/release/conformance-driver"}},
}

// others are drivers of what is no SDK, and not in that table.
var others = []sdk{
	{"curl", "bash-curl", "driver.sh", []string{"bash", "bash-curl/driver.sh"}},
}

// start is what starts the driver of an SDK. Those in Go are built.
func (s sdk) start(t *testing.T) suite.Command {
	t.Helper()
	if s.needs == "" {
		program := filepath.Join(t.TempDir(), s.folder)
		if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", program, "./"+s.folder).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		return suite.Command{Path: program, Args: []string{program}, Scale: scale}
	}
	path := installed(t, s.name, s.command[0], filepath.Join(s.folder, s.needs))
	return suite.Command{Path: path, Args: s.command, Scale: scale}
}

// scale is how many times as long as usual drivers are given, on a busy machine.
const scale = 4

// run puts an SDK to checks.
func (s sdk) run(t *testing.T, o suite.Options) *suite.Report {
	t.Helper()
	o.Scale = scale
	report, err := suite.Run(t.Context(), suite.Process(s.start(t)), o)
	if errors.Is(err, sandbox.ErrUnavailable) {
		toolchain.Without(t, "namespaces", "fakeentra doctor says what forbids them ("+err.Error()+")")
	}
	if err != nil {
		t.Fatal(err)
	}
	return report
}

// everywhere are checks that every SDK meets: that the exchange is done at all.
var everywhere = []string{"IMDS-01", "IMDS-02", "IMDS-04", "AST-01", "AST-02", "AST-03", "AST-04", "AST-05"}

func TestDriversPutTheirSDKsToTheSuite(t *testing.T) {
	checks := suite.Smoke()
	for _, id := range everywhere {
		checks = append(checks, suite.Find(id))
	}
	for _, s := range slices.Concat(sdks, others) {
		t.Run(s.name, func(t *testing.T) {
			report := s.run(t, suite.Options{Checks: checks, Jobs: 2})
			if report.Driver.Implementation.Version == "" || len(report.Driver.Dependencies) == 0 {
				t.Errorf("it does not say which versions it has: %+v", report.Driver)
			}
			for _, r := range report.Results {
				if r.Verdict != suite.Pass {
					t.Errorf("%s: %s: %s", r.ID, r.Verdict, r.Why)
				}
			}
		})
	}
}

// deaf are drivers of SDKs that no option and no variable leads to other URLs.
var deaf = map[string]string{"azure_identity for Rust": "169.254.169.254:80"}

func TestDriversAreLedByURLs(t *testing.T) {
	checks := append(suite.Smoke(), suite.Find("AST-04"))
	for _, s := range slices.Concat(sdks, others) {
		t.Run(s.name, func(t *testing.T) {
			command := s.start(t)
			command.Wiring = suite.Explicit
			report, err := suite.Run(t.Context(), suite.Process(command), suite.Options{Checks: checks, Jobs: 2, Scale: scale})
			if to := deaf[s.name]; to != "" {
				if err == nil || !strings.Contains(err.Error(), "it sent no request to imds, nor to authority, but asked for "+to) {
					t.Errorf("it was not found out: %v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range report.Results {
				if r.Verdict != suite.Pass {
					t.Errorf("%s: %s: %s", r.ID, r.Verdict, r.Why)
				}
			}
		})
	}
}

// installed returns the path of the program that runs a driver.
func installed(t *testing.T, name, program, needs string) string {
	t.Helper()
	path := program
	if strings.HasSuffix(program, ".sh") || program == "bash" {
		for _, needed := range []string{"bash", "curl", "jq"} {
			toolchain.Program(t, needed)
		}
	}
	if filepath.Base(program) == program {
		path = toolchain.Program(t, program)
	}
	info, err := os.Stat(needs)
	if err != nil {
		toolchain.Without(t, "the packages of the driver for "+name, "conformance/clients/install")
	}
	if source := changed(t, needs, info.ModTime()); source != "" {
		toolchain.Without(t, "a driver for "+name+" that is built of "+source+", which has changed since", "conformance/clients/install")
	}
	return trial.Absolute(t, path)
}

// changed returns a source of a driver that was written after what was built of it,
// if there is one. Drivers that are not built have none.
func changed(t *testing.T, program string, built time.Time) string {
	t.Helper()
	folder, _, _ := strings.Cut(program, "/")
	language, _, _ := strings.Cut(folder, "-")
	var sources []string
	for _, pattern := range map[string][]string{
		"java": {folder + "/src/main/java/*", "java/*"}, "dotnet": {folder + "/*.cs*", "dotnet/*"}, "rust": {folder + "/src/*"},
	}[language] {
		found, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		sources = append(sources, found...)
	}
	for _, source := range sources {
		if info, err := os.Stat(source); err == nil && info.ModTime().After(built) {
			return source
		}
	}
	return ""
}

// What a new driver needs besides its files was installed for the one that it
// comes from.
func TestNewDriversWork(t *testing.T) {
	for language, from := range map[string]struct{ needs, as string }{
		"dotnet": {"dotnet-azure-identity/bin/Release/net8.0/Driver.dll", ""}, "sh": {}, "python": {"python-azure-identity/.venv", ".venv"}, "node": {"node-azure-identity/node_modules", "node_modules"},
	} {
		t.Run(language, func(t *testing.T) {
			template, err := clients.New(language)
			if err != nil {
				t.Fatal(err)
			}
			folder := t.TempDir()
			for name, content := range template.Files {
				if err := os.WriteFile(filepath.Join(folder, name), []byte(content), 0o755); err != nil {
					t.Fatal(err)
				}
			}
			needs := from.needs
			if needs == "" {
				needs = "."
			}
			program := installed(t, language, template.Command[0], needs)
			if from.as != "" {
				if err := os.Symlink(trial.Absolute(t, from.needs), filepath.Join(folder, from.as)); err != nil {
					t.Fatal(err)
				}
			}
			if language == "dotnet" {
				build(t, folder)
			}
			t.Chdir(folder)
			if filepath.Base(template.Command[0]) != template.Command[0] {
				program = trial.Absolute(t, template.Command[0])
			}
			report, err := suite.Run(t.Context(), suite.Process(suite.Command{Path: program, Args: template.Command, Scale: 4}), suite.Options{Checks: suite.Smoke(), Scale: 4})
			if errors.Is(err, sandbox.ErrUnavailable) {
				toolchain.Without(t, "namespaces", "fakeentra doctor says what forbids them ("+err.Error()+")")
			}
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range report.Results {
				if r.Verdict != suite.Pass {
					t.Errorf("%s: %s: %s", r.ID, r.Verdict, r.Why)
				}
			}
		})
	}
}

// build makes a driver in C#, as install does.
func build(t *testing.T, folder string) {
	t.Helper()
	command := []string{"../../.ci/dotnet/build", folder}
	if _, err := os.Stat("../../.ci/dotnet/root/dotnet"); err != nil {
		command = []string{"dotnet", "build", "--nologo", "--configuration", "Release", folder}
	}
	if out, err := exec.CommandContext(t.Context(), command[0], command[1:]...).CombinedOutput(); err != nil {
		t.Fatalf("%v: %v\n%s", command, err, out)
	}
}

func TestTemplatesHaveNothingOfTheirOldFolders(t *testing.T) {
	for _, language := range clients.Languages() {
		template, err := clients.New(language)
		if err != nil {
			t.Fatal(err)
		}
		for name, content := range template.Files {
			for _, old := range []string{"../", "parent.parent", "build-helper"} {
				if strings.Contains(content, old) {
					t.Errorf("%s of %s has %q", name, language, old)
				}
			}
		}
	}
	if _, err := clients.New("cobol"); err == nil || !strings.Contains(err.Error(), "dotnet, go, java, node, python, rust, sh") {
		t.Errorf("a language without a driver: %v", err)
	}
}
