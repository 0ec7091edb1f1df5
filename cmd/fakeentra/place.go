package main

import (
	"context"
	"io"
	"net"

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
	variables func() []string
	// journal returns what the command asked for, when it has ended.
	journal func() (journal.Log, error)
	close   func() error // may be called twice
	shared  bool         // with other programs, whose requests are in the journal, too
}

// placeIn is a host of a cloud of this process.
func placeIn(cloud *fakeentra.Cloud, host string) place {
	return place{
		world: sandbox.World{
			Knows: cloud.Knows,
			Serve: func(ctx context.Context, https, http net.Listener) error {
				return cloud.ServeOn(ctx, host, https, http)
			},
			CA:       cloud.CAPEM(),
			Metadata: cloud.Host(host).Source().HasMetadata(),
		},
		environ: func() ([]string, error) {
			_, err := cloud.CertificateFiles() // else the next line panics
			if err != nil {
				return nil, err
			}
			return cloud.Host(host).Environ(), nil
		},
		variables: func() []string { return sandboxVariables(cloud.Host(host)) },
		journal: func() (journal.Log, error) {
			err := cloud.Close() // what is in flight belongs to it
			return cloud.Journal(), err
		},
		close: cloud.Close,
	}
}

// sandboxVariables are those of a pod or a CI job.
func sandboxVariables(h *fakeentra.Host) []string {
	switch h.Source() {
	case fakeentra.AKS, fakeentra.GitHub, fakeentra.AzurePipelines:
		return h.SandboxVariables()
	}
	return nil
}

// place finds where a command is to run. The caller must close it.
func (r *runner) place(ctx context.Context, w io.Writer) (place, error) {
	if r.attach.to != "" {
		return r.attach.place(ctx)
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
