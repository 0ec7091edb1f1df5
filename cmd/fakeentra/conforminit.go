package main

import (
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/spf13/cobra"

	"github.com/fakeentra/fakeentra/conformance/clients"
)

func conformInitCommand() *cobra.Command {
	var language string
	cmd := &cobra.Command{
		Use:     "init --lang LANGUAGE [FOLDER]",
		Short:   "write a driver to begin with",
		Example: `  fakeentra conform init --lang python`,
		Long: `Writes a driver that works, for the SDK of Azure in a language, to a folder:
"conformance" unless another one is named. Two of its functions are to be
replaced for another SDK: the one that makes a client of a configuration, and
the one that gets a token. A workflow for GitHub Actions is written beside it.

Nothing that is there is written over.`,
		DisableFlagsInUseLine: true,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 1 {
				return usage("name one folder", "there are %d folders", len(args))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			folder := "conformance"
			if len(args) == 1 {
				folder = args[0]
			}
			if language == "" {
				return usage("for instance --lang "+clients.Languages()[0], "--lang is missing; expected one of %s", strings.Join(clients.Languages(), ", "))
			}
			return initDriver(cmd.OutOrStdout(), language, folder)
		},
	}
	cmd.Flags().StringVar(&language, "lang", "", "`LANGUAGE` of the driver: "+strings.Join(clients.Languages(), ", "))
	complete(cmd, "lang", clients.Languages, cobra.ShellCompDirectiveNoFileComp)
	return cmd
}

func initDriver(w io.Writer, language, folder string) error {
	t, err := clients.New(language)
	if err != nil {
		return usage("a driver is any program that speaks the protocol of package conformance/driver", "--lang: %v", err)
	}
	files := t.Files
	if len(t.Ignored) > 0 {
		files[".gitignore"] = strings.Join(t.Ignored, "\n") + "\n"
	}
	files["workflow.yml"] = workflow(t, folder)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if _, err := os.Lstat(filepath.Join(folder, name)); err == nil {
			return usage("name another folder", "there is a %s already, which is not written over", filepath.Join(folder, name))
		}
	}
	var written []string
	for _, name := range slices.Sorted(maps.Keys(files)) {
		mode := fs.FileMode(0o644)
		if slices.Contains(t.Scripts, name) {
			mode = 0o755
		}
		path := filepath.Join(folder, name)
		err := os.MkdirAll(filepath.Dir(path), 0o755)
		if err == nil {
			written = append(written, path)
			err = os.WriteFile(path, []byte(files[name]), mode)
		}
		if err != nil {
			for _, path := range written {
				_ = os.Remove(path) // half a driver is none, and in the way of a whole one
			}
			return failed("name another folder", "cannot write %s: %v", path, cause(err))
		}
	}
	_, err = io.WriteString(w, nextSteps(t, folder))
	return err
}

// nextSteps says what to do with a driver.
func nextSteps(t clients.Template, folder string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "There is a driver in %s. Next:\n\n  cd %s\n", folder, quoted([]string{folder}))
	for _, step := range t.Install {
		fmt.Fprintf(&b, "  %s\n", step)
	}
	command := quoted(t.Command)
	fmt.Fprintf(&b, "  fakeentra conform smoke -- %s\n  fakeentra conform run --report report.html -- %s\n\n", command, command)
	b.WriteString("Then replace what it does with the SDK by what it is to do with yours, and move\nworkflow.yml to .github/workflows.\n")
	return b.String()
}

// workflow runs the driver in GitHub Actions.
func workflow(t clients.Template, folder string) string {
	var b strings.Builder
	at := inYAML(filepath.ToSlash(folder))
	fmt.Fprintf(&b, "name: conformance\non: [push, pull_request]\njobs:\n  conformance:\n    runs-on: ubuntu-latest\n    defaults: {run: {working-directory: %s}}\n    steps:\n      - uses: actions/checkout@v4\n", at)
	for _, step := range t.Install {
		fmt.Fprintf(&b, "      - run: %s\n", inYAML(step))
	}
	fmt.Fprintf(&b, "      - uses: fakeentra/fakeentra/conformance/action@v1\n        with:\n          working-directory: %s\n          driver: %s\n", at, inYAML(quoted(t.Command)))
	return b.String()
}

// inYAML writes text so that it is nothing else in YAML: as in JSON, if anything in it
// may be special.
func inYAML(text string) string {
	if plain().MatchString(text) {
		return text
	}
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	_ = e.Encode(text) // text can be encoded
	return strings.TrimSpace(b.String())
}

var plain = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[A-Za-z./][A-Za-z0-9 ./_-]*$`) })
