package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/fakeentra/fakeentra"
	"github.com/fakeentra/fakeentra/emulator/journal"
	"github.com/fakeentra/fakeentra/internal/sandbox"
)

// A way leads a command to the cloud. Its name is a mode.
type way struct {
	name string
	run  entry
}

// An entry runs a command in a world, to its end.
type entry func(context.Context, sandbox.World, sandbox.Command) (sandbox.Result, error)

// auto stands for the first mode that this machine permits.
const auto = "auto"

// ways returns all there are, the most complete one first.
func (s *sandboxed) ways(p place) []way {
	return []way{{"netns", mounted(p)}, {"notify", unmounted(p, sandbox.Notify)}, {"proxy", s.proxied(p)}}
}

// modeNames are what --mode can be.
func modeNames() []string {
	names := []string{auto}
	for _, m := range new(sandboxed).ways(place{}) {
		names = append(names, m.name)
	}
	return names
}

// A sandboxed is what run is told about the way it leads a command to the cloud.
type sandboxed struct {
	mode             string
	verbose          bool
	failOnLeak       bool
	forward, publish []int
	egress           egress
	keepEnv          bool
}

func (s *sandboxed) flags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&s.mode, "mode", auto, "`MODE` of leading the command to the cloud: "+strings.Join(modeNames(), ", "))
	f.IntSliceVar(&s.forward, "forward", nil, "let the command reach a `PORT` of this machine's loopback, as PORT of its own; several are separated by commas")
	f.IntSliceVar(&s.publish, "publish", nil, "let this machine reach a `PORT` of the command's loopback, as PORT of its own")
	s.egress.flags(cmd)
	f.BoolVar(&s.keepEnv, "keep-env", false, "keep the variables that lead Azure clients elsewhere, such as HTTPS_PROXY and AZURE_AUTHORITY_HOST, unless they are set anew")
	f.BoolVar(&s.failOnLeak, "fail-on-leak", false, "fail when the command asked for a host outside the cloud")
	f.BoolVarP(&s.verbose, "verbose", "v", false, "say which mode was taken, why others were not, and which variables were taken away")
	complete(cmd, "mode", modeNames, cobra.ShellCompDirectiveNoFileComp)
}

// check refuses what no mode can do.
func (s *sandboxed) check() error {
	const hint = "fakeentra run --help lists the flags"
	if !slices.Contains(modeNames(), s.mode) {
		return usage(hint, "--mode is %q; expected one of %s", s.mode, strings.Join(modeNames(), ", "))
	}
	taken := map[int]string{53: "for DNS"}
	for _, list := range []struct {
		flag  string
		ports []int
	}{{"--forward", s.forward}, {"--publish", s.publish}} {
		for _, port := range list.ports {
			if port < 1 || port > 65535 {
				return usage(hint, "%s has %d; expected port numbers from 1 to 65535", list.flag, port)
			}
			if by := taken[port]; by != "" {
				return usage("take another port", "%s has %d, which is taken %s", list.flag, port, by)
			}
			taken[port] = "by " + list.flag
		}
	}
	return s.egress.check()
}

// checkEndpoints refuses ports that belong to the host.
func (s *sandboxed) checkEndpoints(endpoints []sandbox.Endpoint) error {
	for _, e := range endpoints {
		for flag, ports := range map[string][]int{"--forward": s.forward, "--publish": s.publish} {
			if slices.Contains(ports, e.Port) {
				return usage("take another port", "%s has %d, at which the host has its managed identity endpoint", flag, e.Port)
			}
		}
	}
	return nil
}

// enter runs a command in the mode that was asked for, or in the first one that
// this machine permits.
func (s *sandboxed) enter(ctx context.Context, w io.Writer, p place, c sandbox.Command) (sandbox.Result, error) {
	c.Forward, c.Publish = s.forward, s.publish
	c.Egress, c.Dial = s.egress.hosts, s.egress.dial
	c.Env = s.inherited()
	c.Environ = func(ca, bundle string) []string {
		return fakeentra.Doors{}.Environ(fakeentra.Certificates{CA: ca, Bundle: bundle})
	}
	var result sandbox.Result
	var err error
	for _, m := range s.ways(p) {
		if s.mode != auto && s.mode != m.name {
			continue
		}
		if m.name == "proxy" && len(s.egress.hosts) > 0 {
			warn(w, "netns and notify keep the command to the hosts of --egress", "mode proxy keeps nothing from the command that does not ask the proxy")
		}
		result, err = m.run(ctx, p.world, c)
		if s.mode != auto || !errors.Is(err, sandbox.ErrUnavailable) {
			s.say(w, m.name, err)
			return result, err
		}
		s.say(w, m.name, err)
	}
	return result, err
}

// say tells which mode was taken or, if it was not, why.
func (s *sandboxed) say(w io.Writer, mode string, err error) {
	switch {
	case !s.verbose:
	case err == nil:
		_, _ = fmt.Fprintf(w, "fakeentra: ran in mode %s\n", mode)
		s.sayVariables(w, mode)
	case errors.Is(err, sandbox.ErrUnavailable) && s.mode == auto:
		f := explain(err)
		complain(w, &failure{0, "mode " + mode + ": " + f.text, f.hint})
	}
}

// mounted returns the mode in which a command has a file system of its own, with
// what Azure mounts on the host.
func mounted(p place) entry {
	if p.mount == nil {
		return unmounted(p, sandbox.Netns)
	}
	return func(ctx context.Context, w sandbox.World, c sandbox.Command) (sandbox.Result, error) {
		variables, unmount, err := p.mount(&w)
		if err != nil {
			return sandbox.Result{}, err
		}
		defer unmount()
		c.Env, c.Temporary = slices.Concat(c.Env, variables), p.temporary()
		return sandbox.Netns(ctx, w, c)
	}
}

// unmounted returns a mode in which files are where they are on this machine.
func unmounted(p place, enter entry) entry {
	return func(ctx context.Context, w sandbox.World, c sandbox.Command) (sandbox.Result, error) {
		variables, err := p.variables()
		if err != nil {
			return sandbox.Result{}, err
		}
		c.Env, c.Temporary = slices.Concat(c.Env, variables), p.temporary()
		return enter(ctx, w, c)
	}
}

// proxied returns the mode that works on every system: variables lead the
// command to a proxy, and nothing but its own good will keeps it there. Its
// network is that of the machine, so there are no ports to connect.
func (s *sandboxed) proxied(p place) entry {
	return func(_ context.Context, _ sandbox.World, c sandbox.Command) (sandbox.Result, error) {
		env, err := p.environ()
		if err != nil {
			f := explain(err)
			return sandbox.Result{}, failed(cmp.Or(f.hint, "set TMPDIR to a folder that has room"), "%s", f.text)
		}
		c.Env, c.Temporary = s.keep(s.egress.pass(env)), p.temporary()
		status, err := sandbox.Run(c)
		return sandbox.Result{Status: status}, err
	}
}

// leaked lists what the command asked for outside the cloud: what its sandbox
// kept from it, and the requests for other hosts that reached the cloud.
func leaked(leaks []sandbox.Leak, log journal.Log) []string {
	var lines []string
	for _, l := range leaks {
		lines = append(lines, l.Kind+" "+l.Name)
	}
	for _, e := range log.Entries {
		if u, err := url.Parse(e.Request.URL); err == nil && e.Op == unknownHost {
			lines = append(lines, "request "+u.Host)
		}
	}
	slices.Sort(lines)
	return slices.Compact(lines)
}

// unknownHost is the operation of requests for hosts that are not emulated.
const unknownHost journal.Op = "door.unknown-host"
