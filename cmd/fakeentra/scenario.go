package main

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/fakeentra/fakeentra/fixtures"
	"github.com/fakeentra/fakeentra/internal/scenario"
)

// defaultScenario is what serve and run load when they are told nothing.
const defaultScenario = "msi-fic-blob"

// A scenarioFile is a scenario that has been read, but not understood yet.
type scenarioFile struct {
	name string
	data []byte
}

// readScenario reads an embedded scenario, by its name, or a file, by its path.
func readScenario(name string) (scenarioFile, error) {
	if data, err := fixtures.Scenarios.ReadFile("scenarios/" + name + ".yaml"); err == nil {
		return scenarioFile{name, data}, nil
	}
	known := "a file, or one of: " + strings.Join(embeddedScenarios(), ", ")
	if name == "" {
		return scenarioFile{}, usage("name "+known, "the scenario has no name")
	}
	data, err := readFile(name)
	switch {
	case err == nil:
		return scenarioFile{name, data}, nil
	case errors.Is(err, fs.ErrNotExist) && !strings.ContainsAny(name, `./\`):
		return scenarioFile{}, usage("name "+known, "there is no scenario %q", name)
	}
	return scenarioFile{}, failed("name "+known, "cannot read the scenario %s: %v", name, cause(err))
}

// readFile reads no more than a scenario can have, and the byte after it, which
// is reported by the parser.
func readFile(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	return io.ReadAll(io.LimitReader(f, scenario.MaxSize+1))
}

// embeddedScenarios are the names of the scenarios that this program contains.
func embeddedScenarios() []string {
	files, _ := fs.Glob(fixtures.Scenarios, "scenarios/*.yaml")
	for i, f := range files {
		files[i] = strings.TrimSuffix(strings.TrimPrefix(f, "scenarios/"), ".yaml")
	}
	return files
}

// A start is what serve and run are told about the cloud that they start.
type start struct {
	scenario  string
	host      string
	freshKeys bool

	loaded scenarioFile // since the cloud was started
}

func (s *start) flags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&s.scenario, "scenario", defaultScenario, "scenario to start from: a `FILE`, or the name of an embedded one")
	f.StringVar(&s.host, "host", "", "`NAME` of the host that programs seem to run on (default: the first one of the scenario)")
	f.BoolVar(&s.freshKeys, "fresh-keys", false, "sign with a new key and keep none")
	complete(cmd, "scenario", func() []string { return embeddedScenarios() }, cobra.ShellCompDirectiveDefault)
	complete(cmd, "host", s.hosts, cobra.ShellCompDirectiveNoFileComp)
}

func complete(cmd *cobra.Command, flag string, words func() []string, files cobra.ShellCompDirective) {
	if err := cmd.RegisterFlagCompletionFunc(flag, func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return words(), files
	}); err != nil {
		panic(err) // there is no such flag
	}
}

// hosts are the names of the hosts that the scenario has.
func (s *start) hosts() []string {
	var names []string
	if file, err := readScenario(s.scenario); err == nil {
		if parsed, err := scenario.Parse(file.name, file.data); err == nil {
			for _, h := range parsed.Hosts {
				names = append(names, h.Name)
			}
		}
	}
	return names
}
