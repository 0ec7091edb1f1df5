// Package clients holds the drivers beside it to the protocol.
package clients

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

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

// drivers are those of other languages than Go, with the file that install leaves.
var drivers = []struct {
	name, needs string
	command     []string
}{
	{"curl", "bash-curl/driver.sh", []string{"bash", "bash-curl/driver.sh"}},
	{"@azure/identity", "node-azure-identity/node_modules/@azure/identity/package.json", []string{"node", "node-azure-identity/driver.mjs"}},
	{"@azure/msal-node", "node-msal/node_modules/@azure/msal-node/package.json", []string{"node", "node-msal/driver.mjs"}},
	{"azure-identity for Python", "python-azure-identity/.venv/bin/python", []string{"python-azure-identity/.venv/bin/python", "python-azure-identity/driver.py"}},
	{"MSAL for Python", "python-msal/.venv/bin/python", []string{"python-msal/.venv/bin/python", "python-msal/driver.py"}},
	{"azure-identity for Java", "java-azure-identity/target/classes/Driver.class", java("java-azure-identity")},
	{"MSAL4J", "java-msal4j/target/classes/Driver.class", java("java-msal4j")},
	{"azure_identity for Rust", "rust-azure-identity/target/release/conformance-driver", []string{"rust-azure-identity/target/release/conformance-driver"}},
}

// everywhere are checks that every SDK meets: that the exchange is done at all.
var everywhere = []string{"IMDS-01", "IMDS-02", "IMDS-04", "AST-01", "AST-02", "AST-03", "AST-04", "AST-05"}

func TestDriversPutTheirSDKsToTheSuite(t *testing.T) {
	checks := suite.Smoke()
	for _, id := range everywhere {
		checks = append(checks, suite.Find(id))
	}
	for _, d := range drivers {
		t.Run(d.name, func(t *testing.T) {
			target := suite.Process(suite.Command{Path: installed(t, d.name, d.command[0], d.needs), Args: d.command, Scale: 4})
			report, err := suite.Run(t.Context(), target, suite.Options{Checks: checks, Jobs: 2, Scale: 4})
			if errors.Is(err, sandbox.ErrUnavailable) {
				toolchain.Without(t, "namespaces", "fakeentra doctor says what forbids them ("+err.Error()+")")
			}
			if err != nil {
				t.Fatal(err)
			}
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

// installed returns the path of the program that runs a driver.
func installed(t *testing.T, name, program, needs string) string {
	t.Helper()
	path := program
	if filepath.Base(program) == program {
		path = toolchain.Program(t, program)
	}
	if _, err := os.Stat(needs); err != nil {
		toolchain.Without(t, "the packages of the driver for "+name, "conformance/clients/install")
	}
	path, err := filepath.Abs(path)
	if err != nil {
		t.Fatal(err)
	}
	return path
}
