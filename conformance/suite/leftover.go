package suite

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/fakeentra/fakeentra/conformance/driver"
	"github.com/fakeentra/fakeentra/conformance/internal/lab"
	"github.com/fakeentra/fakeentra/conformance/internal/stage"
)

// leftoverChecks are about secrets on the machine of a client, in files and in the
// programs that it starts.
func leftoverChecks() []*Check {
	return []*Check{
		{
			ID: "SEC-05", Level: Should, Tags: []string{"sec"}, Title: "no secret is left in a file",
			Requirement: "A client leaves no file with a secret behind, unless a cache was asked for that outlives the process. That one is for its owner alone.",
			Sources:     []string{"https://github.com/AzureAD/microsoft-authentication-library-for-dotnet/issues/3186"},
			Provokes:    "An exchange, and a list of blobs, with an empty home and an empty folder for temporary files.",
			Passes:      "no file there has a secret; with a cache that was asked for, none that has one can be read by others (mode 0600)",
			Process:     true,
			Names:       true, Needs: []driver.Capability{driver.IMDS},
			Cases: []Case{
				{Name: "no cache asked for", Run: useOnce, After: func(s *Session) {
					found := s.unsafe(func(stage.Leftover) bool { return true })
					s.Want("files", found == "", "no file with a secret", "%s", found)
				}},
				{Name: "a cache asked for", Needs: []driver.Capability{driver.PersistentCache}, Run: func(s *Session) {
					s.Config.PersistentCache = true
					useOnce(s)
				}, After: func(s *Session) {
					found := s.unsafe(func(f stage.Leftover) bool { return f.Mode().Perm()&0o077 != 0 })
					s.Want("mode", found == "", "no file with a secret that others can read", "%s", found)
				}},
			},
		},
		{
			ID: "SEC-06", Level: May, Tags: []string{"sec"}, Title: "no secret is given to programs in their arguments or environment",
			Requirement: "What others on a machine can see of the programs that a client starts, or what these programs hand on, has no secret.",
			Sources:     []string{"https://man7.org/linux/man-pages/man5/proc_pid_cmdline.5.html", "https://man7.org/linux/man-pages/man5/proc_pid_environ.5.html"},
			Provokes:    "An exchange, and a list of blobs. Whenever a request comes in, the programs that the client has started are looked at.",
			Passes:      "no argument and no variable of any of them has a secret",
			Process:     true,
			Names:       true, Needs: []driver.Capability{driver.IMDS},
			Cases: []Case{{Run: func(s *Session) {
				s.Watch = true
				useOnce(s)
			}, After: func(s *Session) {
				actual := "none"
				for _, p := range s.Seen() {
					if found := s.spilled(strings.Join(append(p.Args, p.Environ...), "\n")); len(found) > 0 {
						actual = strings.Join(found, " and ") + " in those of " + p.Args[0]
						break
					}
				}
				s.Want("programs", actual == "none", "no secret in arguments or variables", "%s", actual)
			}}},
		},
	}
}

func useOnce(s *Session) {
	s.use()
	s.Reached(lab.Token)
}

// unsafe names the first of the files that have a secret and are of a kind.
func (s *Session) unsafe(kind func(stage.Leftover) bool) string {
	left := s.Left()
	for _, name := range slices.Sorted(maps.Keys(left)) {
		if found := s.spilled(string(left[name].Content)); len(found) > 0 && kind(left[name]) {
			return fmt.Sprintf("%s in %s, %v", strings.Join(found, " and "), name, left[name].Mode().Perm())
		}
	}
	return ""
}
