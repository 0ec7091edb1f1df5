package main

import (
	"context"
	"io"
	"net"
	"path/filepath"
	"strconv"

	"github.com/fakeentra/fakeentra"
	"github.com/fakeentra/fakeentra/emulator/journal"
	"github.com/fakeentra/fakeentra/internal/sandbox"
)

// A place is what run leads a command to: a host of a cloud of its own, or of one
// that another process serves.
type place struct {
	world sandbox.World
	// environ is that of a command in mode proxy, and made when it is asked for.
	environ func() ([]string, error)
	// variables are those of the host, for a command in a sandbox.
	variables func() ([]string, error)
	// mount shows in a world what Azure mounts on the host, for a sandbox that can
	// do so, and returns the variables of the host there. It is nil if there is
	// nothing of the kind.
	mount func(*sandbox.World) (variables []string, unmount func(), err error)
	// temporary are the folders that any of these has made.
	temporary func() []string
	// journal returns what the command asked for, when it has ended.
	journal func() (journal.Log, error)
	close   func() error // may be called twice
	shared  bool         // with other programs, whose requests are in the journal, too
	unheard string       // what a command may have met that is in no journal
}

// unheard says that requests for 169.254.169.254 are refused, which no emulator
// hears of.
func unheard(host string, source fakeentra.Source) string {
	answers := "nothing answers at 169.254.169.254 on the host " + host + ", whose source is " + string(source)
	switch {
	case source.HasMetadata():
		return ""
	case source == fakeentra.NoSource:
		return answers + "; name another one with --host, or give it the source imds"
	}
	return answers + "; tokens are to be had where its environment variables say"
}

// placeIn is a host of a cloud of this process.
func placeIn(cloud *fakeentra.Cloud, host string) place {
	h := cloud.Host(host)
	m := &mounts{cloud: cloud, host: h}
	return place{
		world: sandbox.World{
			Knows: cloud.Knows,
			Serve: func(ctx context.Context, https, http net.Listener) error {
				return cloud.ServeOn(ctx, host, https, http)
			},
			CA:        cloud.CAPEM(),
			Metadata:  h.Source().HasMetadata(),
			Endpoints: endpoints(cloud, h),
		},
		environ: func() ([]string, error) {
			files, err := cloud.CertificateFiles() // else the next line panics
			if err != nil {
				return nil, err
			}
			m.made = append(m.made, filepath.Dir(files.CA))
			m.notePod()
			return h.Environ(), nil
		},
		variables: m.variables,
		mount:     m.show,
		temporary: func() []string { return m.made },
		journal: func() (journal.Log, error) {
			err := cloud.Close() // what is in flight belongs to it
			return cloud.Journal(), err
		},
		close:   cloud.Close,
		unheard: unheard(host, h.Source()),
	}
}

// endpoints is the managed identity endpoint of a host, unless it is
// 169.254.169.254, or there is none.
func endpoints(cloud *fakeentra.Cloud, h *fakeentra.Host) []sandbox.Endpoint {
	port, err := portOf(h.Endpoint())
	if err != nil {
		return nil
	}
	return []sandbox.Endpoint{{Port: port, Serve: func(ctx context.Context, l net.Listener) error {
		return cloud.ServeEndpoint(ctx, h.Name(), l)
	}}}
}

func portOf(authority string) (int, error) {
	_, port, err := net.SplitHostPort(authority)
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(port)
}

// place finds where a command is to run. The caller must close it.
func (r *runner) place(ctx context.Context, w io.Writer) (place, error) {
	if r.attach.to != "" {
		return attachment{r.attach.to, r.start.host}.place(ctx)
	}
	cloud, host, err := r.cloud(w)
	if err != nil {
		return place{}, err
	}
	if host == "" {
		_ = cloud.Close() // nothing runs in it
		return place{}, failed("add one under hosts in the scenario, as in vm1: {source: imds}", "the scenario %s has no host to run on", r.scenario)
	}
	return placeIn(cloud, host), nil
}
