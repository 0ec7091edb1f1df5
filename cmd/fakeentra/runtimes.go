package main

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/fakeentra/fakeentra/internal/pattern"
)

// A runtimeKind is a language or tool whose programs people run.
type runtimeKind struct {
	name     string
	programs []string // the first one in PATH counts
	args     []string // make it say its version
	after    string   // the version follows the last one of this, if it is not empty
	limits   func(system string) []limit
}

// A limit is something that does not work, or not by itself, in a mode of run.
type limit struct {
	Mode string `json:"mode"` // or "every mode"
	Says string `json:"says"`
	Mend string `json:"mend,omitempty"`
}

// runtimeKinds returns all that the doctor knows, in order. What is said about
// each was measured with its Azure SDK on Linux, unless a comment says otherwise.
func runtimeKinds() []runtimeKind {
	none := func(string) []limit { return nil }
	return []runtimeKind{
		{"go", []string{"go"}, []string{"version"}, "go version go", systemStore},
		{"node", []string{"node"}, []string{"--version"}, "", none},
		{"python", []string{"python3", "python"}, []string{"--version"}, "", none},
		{"java", []string{"java"}, []string{"-version"}, " version ", javaLimits},
		{"dotnet", []string{"dotnet"}, []string{"--list-runtimes"}, "Microsoft.NETCore.App ", systemStore},
		{"rust", []string{"rustc", "cargo"}, []string{"--version"}, "", rustLimits},
		{"curl", []string{"curl"}, []string{"--version"}, "", none},
		{"bun", []string{"bun"}, []string{"--version"}, "", none},
		{"deno", []string{"deno"}, []string{"--version"}, "", none},
	}
}

// systemStore is about programs that read SSL_CERT_FILE on Linux only (package
// crypto/x509; for .NET on other systems this is inferred, not measured).
func systemStore(system string) []limit {
	const says = "programs trust the store of the system, not the variables that run sets"
	switch system {
	case "darwin":
		return []limit{{"proxy", says, "fakeentra serve --ca-out ca.pem, and then security add-trusted-cert ca.pem"}}
	case "windows":
		return []limit{{"proxy", says, "fakeentra serve --ca-out ca.pem, and then certutil -user -addstore Root ca.pem"}}
	}
	return nil
}

// javaLimits are of the modes in which /etc is not the command's own.
func javaLimits(system string) []limit {
	const says = "works by JAVA_TOOL_OPTIONS, and Java says so on standard error"
	limits := []limit{{"proxy", says, ""}}
	if system == "linux" {
		limits = append([]limit{{"notify", says, ""}}, limits...)
	}
	return limits
}

func rustLimits(string) []limit {
	return []limit{{"every mode", "programs built with webpki-roots trust no certificate but their own", "build them with rustls-native-certs or rustls-platform-verifier"}}
}

// A runtimeFinding is a language or tool on this machine.
type runtimeFinding struct {
	Name    string  `json:"name"`
	Path    string  `json:"path"`
	Version string  `json:"version,omitempty"` // empty if it did not say
	Limits  []limit `json:"limits"`
}

func (r runtimeFinding) says() string {
	version := r.Version
	if version == "" {
		version = "of a version that it does not tell"
	}
	if len(r.Limits) == 0 {
		return version + ", works in every mode"
	}
	return version
}

// findRuntimes looks in PATH.
func findRuntimes(ctx context.Context, system string) []runtimeFinding {
	found := []runtimeFinding{}
	for _, k := range runtimeKinds() {
		for _, program := range k.programs {
			path, err := exec.LookPath(program)
			if err != nil {
				continue
			}
			version := k.version(ctx, path)
			limits := append([]limit{}, k.limits(system)...)
			found = append(found, runtimeFinding{Name: k.name, Path: path, Version: version, Limits: limits})
			break
		}
	}
	return found
}

var versionPattern = pattern.New(`^"?v?([0-9]+\.[0-9]+[0-9A-Za-z.+_-]*)`)

// version asks a program for its version. Several would download another one if
// a file in the folder they are called in said so, or look for news.
func (k runtimeKind) version(ctx context.Context, path string) string {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, k.args...)
	cmd.WaitDelay = time.Second
	cmd.Dir = filepath.VolumeName(os.TempDir()) + string(filepath.Separator)
	cmd.Env = append(os.Environ(), "GOTOOLCHAIN=local", "RUSTUP_AUTO_INSTALL=0", "DENO_NO_UPDATE_CHECK=1", "DOTNET_CLI_TELEMETRY_OPTOUT=1", "DOTNET_NOLOGO=1")
	out, err := cmd.CombinedOutput() // Java says it on standard error
	if err != nil {
		return ""
	}
	text := string(out)
	if k.after != "" {
		i := strings.LastIndex(text, k.after)
		if i < 0 {
			return ""
		}
		text = text[i+len(k.after):]
	}
	for _, word := range strings.Fields(text) {
		if m := versionPattern.FindStringSubmatch(word); m != nil {
			return m[1]
		}
	}
	return ""
}
