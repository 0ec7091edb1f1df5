package main

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/fakeentra/fakeentra"
)

// inherited is the environment that a command starts from.
func (s *sandboxed) inherited() []string {
	if s.keepEnv {
		return os.Environ()
	}
	return fakeentra.CleanEnviron(os.Environ())
}

// keep adds the variables that are otherwise taken away to an environment that
// does not set them.
func (s *sandboxed) keep(env []string) []string {
	if !s.keepEnv {
		return env
	}
	given := os.Environ()
	for _, name := range misleading(given) {
		named := func(entry string) bool { return strings.HasPrefix(entry, name+"=") }
		if i := slices.IndexFunc(given, named); !slices.ContainsFunc(env, named) {
			env = append(env, given[i])
		}
	}
	return env
}

// sayVariables tells what became of variables that lead past the cloud. Those
// that lead to it under the same name in a mode are no news.
func (s *sandboxed) sayVariables(w io.Writer, mode string) {
	const some = "/"
	doors := fakeentra.Doors{}
	if mode == "proxy" {
		doors.Proxy = some
	}
	names := misleading(os.Environ())
	for _, entry := range doors.Environ(fakeentra.Certificates{CA: some, Bundle: some}) {
		own, _, _ := strings.Cut(entry, "=")
		names = slices.DeleteFunc(names, func(name string) bool { return name == own })
	}
	switch list := strings.Join(names, ", "); {
	case list == "":
	case s.keepEnv:
		_, _ = fmt.Fprintf(w, "fakeentra: kept %s\n", list)
	default:
		_, _ = fmt.Fprintf(w, "fakeentra: took away %s; --keep-env keeps them\n", list)
	}
}
