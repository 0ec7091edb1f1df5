package main

import (
	"encoding/json"
	"errors"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/fakeentra/fakeentra/internal/toolchain"
)

// nasty are values that shells take apart, or quote in a way of their own.
var nasty = map[string]string{
	"plain":     "/tmp/ca.pem",
	"empty":     "",
	"spaces":    " a  b ",
	"dollar":    "$HOME `id` $(id)",
	"single":    "it's",
	"double":    `say "a"`,
	"backslash": `C:\new\`,
	"two":       `\\server\share`,
	"lines":     "a\n END\nEND",
	"percent":   "100%PATH%",
	"list":      "localhost|127.* & <x> !y! ^z ~ #",
	"curly":     "a\u2018b\u2019c",
}

func TestVariablesAreQuotedForTheShell(t *testing.T) {
	for shell, want := range map[string]map[string]string{
		"sh": {
			"plain": "export V=/tmp/ca.pem\n", "empty": "export V=''\n", "spaces": "export V=' a  b '\n", "dollar": "export V='$HOME `id` $(id)'\n",
			"single": `export V='it'\''s'` + "\n", "double": `export V='say "a"'` + "\n", "backslash": `export V='C:\new\'` + "\n", "two": `export V='\\server\share'` + "\n",
			"lines": "export V='a\n END\nEND'\n", "percent": "export V=100%PATH%\n", "list": "export V='localhost|127.* & <x> !y! ^z ~ #'\n", "curly": "export V='a\u2018b\u2019c'\n",
		},
		"fish": {
			"plain": "set -gx V '/tmp/ca.pem'\n", "empty": "set -gx V ''\n", "spaces": "set -gx V ' a  b '\n", "dollar": "set -gx V '$HOME `id` $(id)'\n",
			"single": `set -gx V 'it\'s'` + "\n", "double": `set -gx V 'say "a"'` + "\n", "backslash": `set -gx V 'C:\\new\\'` + "\n", "two": `set -gx V '\\\\server\\share'` + "\n",
			"lines": "set -gx V 'a\n END\nEND'\n", "percent": "set -gx V '100%PATH%'\n", "list": "set -gx V 'localhost|127.* & <x> !y! ^z ~ #'\n", "curly": "set -gx V 'a\u2018b\u2019c'\n",
		},
		"powershell": {
			"plain": "$env:V = '/tmp/ca.pem'\n", "empty": "$env:V = ''\n", "spaces": "$env:V = ' a  b '\n", "dollar": "$env:V = '$HOME `id` $(id)'\n",
			"single": "$env:V = 'it''s'\n", "double": `$env:V = 'say "a"'` + "\n", "backslash": `$env:V = 'C:\new\'` + "\n", "two": `$env:V = '\\server\share'` + "\n",
			"lines": "$env:V = 'a\n END\nEND'\n", "percent": "$env:V = '100%PATH%'\n", "list": "$env:V = 'localhost|127.* & <x> !y! ^z ~ #'\n", "curly": "$env:V = 'a\u2018\u2018b\u2019\u2019c'\n",
		},
		"cmd": {
			"plain": "set \"V=/tmp/ca.pem\"\r\n", "empty": "set \"V=\"\r\n", "spaces": "set \"V= a  b \"\r\n", "dollar": "set \"V=$HOME `id` $(id)\"\r\n",
			"single": "set \"V=it's\"\r\n", "double": "refused: a quote or a line break", "backslash": `set "V=C:\new\"` + "\r\n", "two": `set "V=\\server\share"` + "\r\n",
			"lines": "refused: a quote or a line break", "percent": "set \"V=100%%PATH%%\"\r\n", "list": "set \"V=localhost|127.* & <x> !y! ^z ~ #\"\r\n", "curly": "set \"V=a\u2018b\u2019c\"\r\n",
		},
		"dotenv": {
			"plain": "V=/tmp/ca.pem\n", "empty": "V=''\n", "spaces": "V=' a  b '\n", "dollar": "V='$HOME `id` $(id)'\n",
			"single": "refused: a quote, or a backslash before a backslash or at its end", "double": `V='say "a"'` + "\n",
			"backslash": "refused: a quote, or a backslash before a backslash or at its end", "two": "refused: a quote, or a backslash before a backslash or at its end",
			"lines": "V='a\n END\nEND'\n", "percent": "V=100%PATH%\n", "list": "V='localhost|127.* & <x> !y! ^z ~ #'\n", "curly": "V='a\u2018b\u2019c'\n",
		},
		"github": {
			"plain": "V<<END\n/tmp/ca.pem\nEND\n", "empty": "V<<END\n\nEND\n", "spaces": "V<<END\n a  b \nEND\n", "dollar": "V<<END\n$HOME `id` $(id)\nEND\n",
			"single": "V<<END\nit's\nEND\n", "double": "V<<END\nsay \"a\"\nEND\n", "backslash": "V<<END\nC:\\new\\\nEND\n", "two": "V<<END\n\\\\server\\share\nEND\n",
			"lines": "V<<END_\na\n END\nEND\nEND_\n", "percent": "V<<END\n100%PATH%\nEND\n", "list": "V<<END\nlocalhost|127.* & <x> !y! ^z ~ #\nEND\n", "curly": "V<<END\na\u2018b\u2019c\nEND\n",
		},
	} {
		sh, err := findShell(shell)
		if err != nil {
			t.Fatal(err)
		}
		got := map[string]string{}
		for name, value := range nasty {
			got[name] = sh.set("V", value)
			if sh.holds != nil && sh.holds(value) != "" {
				got[name] = "refused: " + sh.holds(value)
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", shell, diff)
		}
	}
}

func TestVariablesAreTakenAway(t *testing.T) {
	want := map[string]string{"sh": "unset V\n", "fish": "set -e V\n", "powershell": "Remove-Item -ErrorAction Ignore Env:V\n", "cmd": "set \"V=\"\r\n"}
	got := map[string]string{}
	for _, sh := range syntaxes() {
		if sh.unset != nil {
			got[sh.name] = sh.unset("V")
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestShellsReadWhatWasWritten asks those that this machine has.
func TestShellsReadWhatWasWritten(t *testing.T) {
	for _, c := range []struct {
		program, shell string
		args           []string
	}{
		{"sh", "sh", []string{"-c"}},
		{"dash", "sh", []string{"-c"}},
		{"bash", "sh", []string{"-c"}},
		{"zsh", "sh", []string{"-c"}},
		{"busybox", "sh", []string{"sh", "-c"}},
		{"fish", "fish", []string{"--no-config", "-c"}},
		{"pwsh", "powershell", []string{"-NoProfile", "-NonInteractive", "-Command"}},
	} {
		t.Run(c.program, func(t *testing.T) {
			toolchain.Program(t, c.program)
			sh, err := findShell(c.shell)
			if err != nil {
				t.Fatal(err)
			}
			for name, value := range nasty {
				if value == "" && c.shell == "powershell" {
					continue // PowerShell before 7.5 takes variables away that are set to nothing
				}
				read := exec.Command(c.program, append(c.args, sh.set("V", value)+sh.set("W", "w")+sh.unset("W")+"env -0")...)
				read.Env = append(os.Environ(), "V=old", "W=old")
				out, err := read.CombinedOutput()
				got := slices.DeleteFunc(strings.Split(string(out), "\x00"), func(v string) bool { return !strings.HasPrefix(v, "V=") && !strings.HasPrefix(v, "W=") })
				if want := []string{"V=" + value}; err != nil || !slices.Equal(got, want) {
					t.Errorf("%s: %v; a program sees %q, want %q", name, err, got, want)
				}
			}
		})
	}
}

// TestReadersOfDotenvReadWhatWasWritten asks those that this machine has.
func TestReadersOfDotenvReadWhatWasWritten(t *testing.T) {
	sh, err := findShell("dotenv")
	if err != nil {
		t.Fatal(err)
	}
	want, text := map[string]string{}, ""
	for name, value := range nasty {
		if sh.holds(value) == "" {
			want[name], text = value, text+sh.set(name, value)
		}
	}
	file := filepath.Join(t.TempDir(), "env")
	write(t, file, []byte(text))
	for name, command := range map[string][]string{
		"Node.js": {"node", "--env-file=" + file, "--print", "JSON.stringify(process.env)"},
		"Python":  {"dotenv", "--file", file, "list", "--format", "json"},
		"sh":      {"sh", "-c", "set -a; . " + file + "; env -0"},
	} {
		t.Run(name, func(t *testing.T) {
			read := exec.Command(toolchain.Program(t, command[0]), command[1:]...)
			read.Env = []string{"PATH=" + os.Getenv("PATH"), "NODE_OPTIONS="}
			out, err := read.Output()
			if exit, ok := errors.AsType[*exec.ExitError](err); ok && strings.Contains(string(exit.Stderr), "bad option: --env-file") {
				toolchain.Without(t, "Node.js 20.6 or later", "see https://nodejs.org")
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, readerSays(t, out, want)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// readerSays returns the values of the names in want, which are in JSON or as
// env(1) prints them.
func readerSays(t *testing.T, out []byte, want map[string]string) map[string]string {
	t.Helper()
	all := variables(strings.Split(string(out), "\x00"))
	if out[0] == '{' {
		if err := json.Unmarshal(out, &all); err != nil {
			t.Fatal(err)
		}
	}
	maps.DeleteFunc(all, func(name, _ string) bool { _, asked := want[name]; return !asked })
	return all
}

func TestShellIsDetected(t *testing.T) {
	const twoFolders = `C:\Program Files\WindowsPowerShell\Modules;C:\Windows\system32\WindowsPowerShell\v1.0\Modules`
	for _, c := range []struct{ system, shell, modules, want string }{
		{"linux", "/bin/bash", "", "sh"},
		{"linux", "/usr/bin/zsh", "", "sh"},
		{"linux", "", "", "sh"},
		{"linux", "/usr/bin/fish", "", "fish"},
		{"linux", "/bin/tcsh", "", "tcsh"},
		{"linux", "/bin/bash", "/root/.local/share/powershell/Modules", "powershell"},
		{"darwin", "/usr/local/bin/pwsh", "", "powershell"},
		{"windows", "", twoFolders, "cmd"},
		{"windows", "", `C:\Users\u\Documents\PowerShell\Modules;` + twoFolders, "powershell"},
		{"windows", `C:\Program Files\Git\usr\bin\bash.exe`, twoFolders, "sh"},
	} {
		getenv := func(name string) string { return map[string]string{"SHELL": c.shell, "PSModulePath": c.modules}[name] }
		if got := detectShell(c.system, getenv); got != c.want {
			t.Errorf("%s, SHELL=%s, PSModulePath=%s: %q, want %q", c.system, c.shell, c.modules, got, c.want)
		}
	}
	if _, err := findShell("tcsh"); err == nil || !strings.Contains(err.Error(), `"tcsh"`) {
		t.Errorf("tcsh: %v, want a refusal", err)
	}
}
