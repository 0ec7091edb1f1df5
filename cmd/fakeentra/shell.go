package main

import (
	"path/filepath"
	"slices"
	"strings"
)

// A shell is a syntax for variables. Each of its functions returns whole lines.
type shell struct {
	name  string
	set   func(name, value string) string
	unset func(name string) string  // nil if there is no way to take a variable away
	holds func(value string) string // says what about a value cannot be written down; nil if everything can
	lacks string                    // a variable that cannot be set, if there is one
}

// syntaxes returns all there are.
func syntaxes() []shell {
	return []shell{
		{name: "sh", set: setSh, unset: func(name string) string { return "unset " + name + "\n" }},
		{name: "fish", set: setFish, unset: func(name string) string { return "set -e " + name + "\n" }},
		{name: "powershell", set: setPowerShell, unset: func(name string) string { return "Remove-Item -ErrorAction Ignore Env:" + name + "\n" }},
		{name: "cmd", set: setCmd, unset: func(name string) string { return setCmd(name, "") }, holds: holdsCmd},
		{name: "dotenv", set: setDotenv, holds: holdsDotenv},
		{name: "github", set: setGitHub, lacks: nodeVariable}, // github.com/actions/runner/pull/2775
	}
}

func shellNames() []string {
	var names []string
	for _, s := range syntaxes() {
		names = append(names, s.name)
	}
	return names
}

func findShell(name string) (shell, error) {
	all := syntaxes()
	i := slices.IndexFunc(all, func(s shell) bool { return s.name == name })
	if i < 0 {
		return shell{}, usage("one of "+strings.Join(shellNames(), ", "), "there is no syntax for the shell %q", name)
	}
	return all[i], nil
}

// detectShell guesses the shell that this program was called from. PowerShell
// sets PSModulePath for what it starts. On Windows it is set for every program,
// with two folders, and PowerShell puts that of the user before them
// (about_PSModulePath). SHELL is the user's shell elsewhere, and Git Bash's on
// Windows.
func detectShell(system string, getenv func(string) string) string {
	modules := getenv("PSModulePath")
	login := strings.TrimSuffix(filepath.Base(filepath.ToSlash(getenv("SHELL"))), ".exe")
	switch {
	case system == "windows" && getenv("SHELL") != "":
		return "sh"
	case system == "windows" && strings.Count(modules, ";") < 2:
		return "cmd"
	case modules != "", login == "pwsh":
		return "powershell"
	case login == "fish", login == "csh", login == "tcsh", login == "nu":
		return login // those that there is no syntax for are refused
	}
	return "sh"
}

func setSh(name, value string) string { return "export " + name + "=" + shellWord(value) + "\n" }

// setFish quotes as fish does: only \ and ' mean something between single
// quotes.
func setFish(name, value string) string {
	return "set -gx " + name + " '" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(value) + "'\n"
}

// setPowerShell doubles quotes. PowerShell takes typographic ones for straight
// ones (about_Quoting_Rules).
func setPowerShell(name, value string) string {
	double := strings.NewReplacer("'", "''", "\u2018", "\u2018\u2018", "\u2019", "\u2019\u2019", "\u201a", "\u201a\u201a", "\u201b", "\u201b\u201b")
	return "$env:" + name + " = '" + double.Replace(value) + "'\n"
}

// setCmd writes a line of a batch file. At the prompt, %% would not be %.
func setCmd(name, value string) string {
	return `set "` + name + "=" + strings.ReplaceAll(value, "%", "%%") + "\"\r\n"
}

func holdsCmd(value string) string {
	if strings.ContainsAny(value, "\"\r\n") {
		return "a quote or a line break"
	}
	return ""
}

// setDotenv quotes in the one way that all readers take literally. They are not
// of one mind about anything else.
func setDotenv(name, value string) string {
	if word := shellWord(value); word == value {
		return name + "=" + value + "\n"
	}
	return name + "='" + value + "'\n"
}

func holdsDotenv(value string) string {
	if strings.Contains(value, "'") || strings.Contains(value, `\\`) || strings.HasSuffix(value, `\`) {
		return "a quote, or a backslash before a backslash or at its end"
	}
	return ""
}

// setGitHub writes the form for values of several lines, which holds every
// value: the delimiter must not be one of its lines (GitHub Actions, Workflow
// commands, Setting an environment variable).
func setGitHub(name, value string) string {
	delimiter := "END"
	lines := strings.FieldsFunc(value, func(r rune) bool { return r == '\n' || r == '\r' })
	for slices.Contains(lines, delimiter) {
		delimiter += "_"
	}
	return name + "<<" + delimiter + "\n" + value + "\n" + delimiter + "\n"
}
