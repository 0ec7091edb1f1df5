package main

import (
	"cmp"
	"io"
	"slices"
	"strings"

	"github.com/fakeentra/fakeentra"
)

// cloud starts the cloud and finds its host, which is empty if nothing was
// asked for and the scenario has none. The caller must close the cloud.
func (s *start) cloud(warnings io.Writer) (*fakeentra.Cloud, string, error) {
	file, err := readScenario(s.scenario)
	if err != nil {
		return nil, "", err
	}
	s.loaded = file
	kept, err := openKeyFile(s.freshKeys, warnings)
	if err != nil {
		return nil, "", err
	}
	key := fakeentra.WithFreshKey()
	if kept.pem != nil {
		key = fakeentra.WithSigningKey(kept.pem)
	}
	cloud, err := fakeentra.New(fakeentra.WithScenarioFile(file.name, file.data), key)
	if err != nil {
		return nil, "", cmp.Or(kept.check(), err)
	}
	host, err := pickHost(cloud.Hosts(), s.host, file.name)
	if err != nil {
		return nil, "", err
	}
	return cloud, host, kept.keep(cloud, warnings)
}

func pickHost(hosts []string, wanted, scenario string) (string, error) {
	switch {
	case slices.Contains(hosts, wanted):
		return wanted, nil
	case wanted == "" && len(hosts) == 0:
		return "", nil
	case wanted == "":
		return hosts[0], nil
	case len(hosts) == 0:
		return "", usage("add it under hosts in "+scenario, "the scenario %s has no host %q, and no other", scenario, wanted)
	}
	return "", usage("it has "+strings.Join(hosts, ", "), "the scenario %s has no host %q", scenario, wanted)
}
