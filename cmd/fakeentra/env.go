package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"maps"
	"net"
	"net/url"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/fakeentra/fakeentra"
)

// readyVariable names the variable that says where the ready file is.
const readyVariable = "FAKEENTRA_READY_FILE"

// An enver is what env is told.
type enver struct {
	readyFile, host, shell string
	unset                  bool
}

func envCommand() *cobra.Command {
	e := &enver{}
	cmd := &cobra.Command{
		Use:   "env [flags]",
		Short: "print what leads a shell to a cloud that is served",
		Example: `  eval "$(fakeentra env --ready-file up)"  # file of fakeentra serve
  fakeentra env --ready-file up --host web --shell fish | source
  fakeentra env --ready-file up --shell powershell | Out-String | iex
  fakeentra env --ready-file up --shell cmd > up.cmd && call up.cmd
  fakeentra env --ready-file up --shell github`,
		Long: `Prints the variables that lead programs to a cloud that "fakeentra serve" runs,
as the file says that its flag --ready-file names, and takes away those that
would lead them past it. With --host, programs seem to run on another host than
the one of serve, which opens doors for it at free ports. What Azure sets there
is printed, too. The syntax is that of a shell, or
  dotenv  a file of variables; docker run --env-file takes its quotes literally
  github  $GITHUB_ENV, which it is appended to, for the steps that follow

With --unset, it prints what takes all of them away, and needs no cloud. What
else JAVA_TOOL_OPTIONS and NODE_OPTIONS hold stays in them. Node.js does not
start without the file that the latter names, which is gone when the cloud is.`,
		DisableFlagsInUseLine: true,
		Args:                  noArguments,
		ValidArgsFunction:     cobra.NoFileCompletions,
		RunE:                  func(cmd *cobra.Command, _ []string) error { return e.run(cmd) },
	}
	f := cmd.Flags()
	f.SortFlags = false
	f.StringVar(&e.readyFile, "ready-file", "", "`FILE` that serve wrote (default: $"+readyVariable+")")
	f.StringVar(&e.host, "host", "", "`NAME` of the host that programs seem to run on (default: that of serve)")
	f.StringVar(&e.shell, "shell", "", "`SHELL` to print for: "+strings.Join(shellNames(), ", ")+" (default: $SHELL, or PowerShell if it is the caller)")
	f.BoolVar(&e.unset, "unset", false, "print what takes the variables away")
	complete(cmd, "shell", shellNames, cobra.ShellCompDirectiveNoFileComp)
	complete(cmd, "host", func() []string { return nil }, cobra.ShellCompDirectiveNoFileComp)
	return cmd
}

func (e *enver) run(cmd *cobra.Command) error {
	if e.shell == "" {
		e.shell = detectShell(runtime.GOOS, os.Getenv)
	}
	sh, err := findShell(e.shell)
	if err != nil {
		return err
	}
	if e.unset && sh.unset == nil {
		return usage(`start the shell of a later step with eval "$(fakeentra env --shell sh --unset)", or delete the file`, "%s cannot take variables away", sh.name)
	}
	change := takeAway(os.Environ())
	if !e.unset {
		r, err := e.ready()
		if err == nil && e.host != "" && e.host != r.Host {
			err = r.move(cmd.Context(), e.host)
		}
		if err != nil {
			return err
		}
		change = lead(os.Environ(), r.remembered(os.Environ()))
	}
	if options, ok := change.set[sh.lacks]; ok {
		delete(change.set, sh.lacks)
		warn(cmd.ErrOrStderr(), "in the env of a step that needs it, say "+sh.lacks+": "+options, "%s takes no %s, and without it some of Node.js ignores proxies", sh.name, sh.lacks)
	}
	text, err := change.in(sh)
	if err != nil {
		return err
	}
	if len(change.unset) > 0 && sh.unset == nil {
		warn(cmd.ErrOrStderr(), "", "%s cannot take variables away, and these lead past the cloud: %s", sh.name, strings.Join(change.unset, ", "))
	}
	if sh.name == "github" {
		return appendToGitHub(text)
	}
	_, err = io.WriteString(cmd.OutOrStdout(), text)
	return err
}

// ready reads the ready file of a cloud that answers.
func (e *enver) ready() (ready, error) {
	if e.readyFile == "" {
		e.readyFile = os.Getenv(readyVariable)
	}
	var r ready
	if e.readyFile == "" {
		return r, usage("pass --ready-file, or set "+readyVariable+`, to the file of "fakeentra serve --ready-file"`, "the name of the ready file is missing")
	}
	content, err := readFile(e.readyFile)
	if errors.Is(err, fs.ErrNotExist) {
		return r, failed(`is "fakeentra serve --ready-file `+e.readyFile+`" running? the file is there while everything listens`, "there is no ready file %s", e.readyFile)
	}
	const hint = `name the file of "fakeentra serve --ready-file"`
	if err != nil {
		return r, failed(hint, "cannot read the ready file %s: %v", e.readyFile, cause(err))
	}
	if err := json.Unmarshal(content, &r); err != nil || len(r.Environ) == 0 {
		return r, failed(hint, "%s is not a ready file", e.readyFile)
	}
	for _, name := range slices.Sorted(maps.Keys(r.Environ)) {
		if !isVariable(name) || strings.Contains(r.Environ[name], "\x00") {
			return r, failed(hint, "%s has %q, which is not a variable", e.readyFile, name)
		}
	}
	return r, r.answers(e.readyFile)
}

// move makes r tell of another host, for which the cloud opens doors.
func (r *ready) move(ctx context.Context, host string) error {
	if r.Control == "" {
		return failed(`start "fakeentra serve" without --control ""`, "the cloud has no control plane, which --host asks for doors")
	}
	to := plane{url: r.Control, timeout: 10 * time.Second}
	api, err := to.client()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, to.timeout)
	defer cancel()
	other, err := api.OpenDoors(ctx, host)
	if err != nil {
		return to.explain(err)
	}
	r.Host, r.HTTPS, r.IMDS, r.Proxy = other.Host, other.Doors["https"], other.Doors["imds"], other.Doors["proxy"]
	r.export(other.Variables)
	return nil
}

// answers fails if nothing listens any more: a cloud that was killed leaves its
// ready file.
func (r ready) answers(file string) error {
	for _, door := range []string{r.Control, r.Proxy, r.HTTPS, r.IMDS} {
		if door == "" {
			continue
		}
		address := ""
		if u, err := url.Parse(door); err == nil {
			address = u.Host
		}
		c, err := net.DialTimeout("tcp", address, 5*time.Second)
		if err != nil {
			return failed(`start "fakeentra serve" again`, "nothing answers at %s, which %s names: %v", door, file, cause(err))
		}
		return c.Close()
	}
	return nil
}

// isVariable reports whether every shell takes a name for that of a variable.
func isVariable(name string) bool {
	other := func(r rune) bool {
		return r != '_' && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9')
	}
	return name != "" && !strings.ContainsFunc(name, other) && (name[0] < '0' || name[0] > '9')
}

// A change is what is to happen to the variables of a shell.
type change struct {
	set   map[string]string
	unset []string // in order
}

const (
	javaVariable = "JAVA_TOOL_OPTIONS"
	nodeVariable = "NODE_OPTIONS"
)

// holdsOptions reports whether a variable is a list of options, some of which may
// be the user's.
func holdsOptions(variable string) bool { return variable == javaVariable || variable == nodeVariable }

// lead returns what makes an environment lead to the cloud that added is of.
func lead(env []string, added map[string]string) change {
	c := clean(env)
	kept := variables(fakeentra.CleanEnviron(env))
	for name, value := range added {
		if holdsOptions(name) {
			value = strings.TrimSpace(kept[name] + " " + value)
		}
		c.set[name] = value
	}
	c.unset = slices.Compact(slices.Sorted(slices.Values(append(c.unset, rememberedIn(env)...))))
	c.unset = slices.DeleteFunc(c.unset, func(name string) bool { _, ok := c.set[name]; return ok })
	return c
}

// hostVariable names the variables that the host of a cloud has and the shell had
// not, such as those of a CI job, so that they can be taken away without the
// cloud.
const hostVariable = "FAKEENTRA_HOST_VARIABLES"

// remembered returns the variables that lead to a cloud, and which of them are
// its host's.
func (r ready) remembered(env []string) map[string]string {
	had, before := variables(env), rememberedIn(env)
	var names []string
	for name, value := range variables(r.hostVariables()) {
		if own, ok := had[name]; !ok || own != value || slices.Contains(before, name) {
			names = append(names, name)
		}
	}
	all := maps.Clone(r.Environ)
	if slices.Sort(names); len(names) > 0 {
		all[hostVariable] = strings.Join(names, " ")
	}
	return all
}

// rememberedIn returns the names that an earlier call remembered, and that of
// the variable which holds them.
func rememberedIn(env []string) []string {
	names := strings.Fields(variables(env)[hostVariable])
	if len(names) > 0 {
		names = append(names, hostVariable)
	}
	return slices.DeleteFunc(names, func(name string) bool { return !isVariable(name) })
}

// takeAway returns what undoes every lead, and removes from env what leads past
// clouds.
func takeAway(env []string) change {
	const anything = "http://127.0.0.1:1"
	c := clean(env)
	kept := variables(fakeentra.CleanEnviron(env))
	files := fakeentra.Certificates{CA: anything, Bundle: anything, TrustStore: anything, NodeProxy: anything}
	for name := range variables(fakeentra.Doors{Proxy: anything}.Environ(files)) {
		if kept[name] == "" || !holdsOptions(name) {
			c.unset = append(c.unset, name)
		}
	}
	c.unset = append(append(c.unset, controlVariable), rememberedIn(env)...)
	slices.Sort(c.unset)
	c.unset = slices.Compact(c.unset)
	return c
}

// clean returns what removes from env what leads past clouds.
func clean(env []string) change {
	kept := variables(fakeentra.CleanEnviron(env))
	c := change{set: map[string]string{}}
	for name, value := range variables(env) {
		rest, ok := kept[name]
		switch {
		case !ok:
			c.unset = append(c.unset, name)
		case rest != value:
			c.set[name] = rest
		}
	}
	slices.Sort(c.unset)
	return c
}

// misleading returns the names of the variables in env that are taken away, in
// order.
func misleading(env []string) []string { return clean(env).unset }

func variables(env []string) map[string]string {
	all := map[string]string{}
	for _, entry := range env {
		name, value, _ := strings.Cut(entry, "=")
		all[name] = value
	}
	return all
}

// in writes a change in the syntax of a shell that has one for it, as far as it
// goes.
func (c change) in(sh shell) (string, error) {
	var b strings.Builder
	for _, name := range c.unset {
		if sh.unset != nil {
			b.WriteString(sh.unset(name))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(c.set)) {
		if sh.holds != nil {
			if what := sh.holds(c.set[name]); what != "" {
				return "", failed("print it for another shell", "%s is %q; %s cannot write down %s", name, c.set[name], sh.name, what)
			}
		}
		b.WriteString(sh.set(name, c.set[name]))
	}
	return b.String(), nil
}

// appendToGitHub hands variables to the steps that follow in a job.
func appendToGitHub(text string) (err error) {
	const hint = "GitHub Actions sets it for each step"
	name := os.Getenv("GITHUB_ENV")
	if name == "" {
		return failed(hint, "GITHUB_ENV is not set")
	}
	f, err := os.OpenFile(name, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err == nil {
		_, err = io.WriteString(f, text)
		err = errors.Join(err, f.Close())
	}
	if err != nil {
		return failed(hint, "cannot append to GITHUB_ENV, %s: %v", name, cause(err))
	}
	return nil
}
