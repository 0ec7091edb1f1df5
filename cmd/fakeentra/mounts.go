package main

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"slices"

	"github.com/fakeentra/fakeentra"
	"github.com/fakeentra/fakeentra/internal/sandbox"
)

// keyFolder is where clients of Azure Arc look for key files (sources of all
// SDKs). The agent's program, which they take for the sign of a machine in Arc, is
// not shown: the variables that its installation sets come first for all of them.
const keyFolder = agentFolder + "/tokens"

// agentFolder is made and removed by clouds that run beside this one.
const agentFolder = "/var/opt/azcmagent"

// mounts are what a host has in its file system.
type mounts struct {
	cloud *fakeentra.Cloud
	host  *fakeentra.Host
	made  []string // temporary folders
}

// notePod notes the folder that a pod has, and makes it.
func (m *mounts) notePod() {
	for _, f := range m.host.Mounts() {
		if folder := filepath.Dir(f.Folder); !slices.Contains(m.made, folder) {
			m.made = append(m.made, folder)
		}
	}
}

// show adds them to a world.
func (m *mounts) show(w *sandbox.World) (variables []string, unmount func(), err error) {
	unmount = func() {}
	switch m.host.Source() {
	case fakeentra.Arc:
		unmount, err = m.showKeys(w)
	case fakeentra.AKS:
		err = m.showTokens(w)
	}
	if err != nil {
		return nil, nil, err
	}
	return m.host.MountedVariables(), unmount, nil
}

// variables are those of the host where its files are where they are on this
// machine.
func (m *mounts) variables() ([]string, error) {
	if err := m.checkTokens(); err != nil {
		return nil, err
	}
	m.notePod()
	return m.host.SandboxVariables(), nil
}

// checkTokens fails where the token of a pod would have no place, which makes
// the library panic.
func (m *mounts) checkTokens() error {
	if m.host.Source() != fakeentra.AKS {
		return nil
	}
	folder, err := temporaryFolder("the token of the pod")
	if err != nil {
		return err
	}
	return os.Remove(folder)
}

func temporaryFolder(what string) (string, error) {
	folder, err := os.MkdirTemp("", "fakeentra-")
	if err != nil {
		return "", failed("set TMPDIR to one that can be written", "cannot make a temporary folder for %s: %v", what, err)
	}
	return folder, nil
}

// showTokens shows the service account token of a pod.
func (m *mounts) showTokens(w *sandbox.World) error {
	if err := m.checkTokens(); err != nil {
		return err
	}
	m.notePod()
	for _, f := range m.host.Mounts() {
		w.Mounts = append(w.Mounts, sandbox.Mount{Folder: f.Folder, SeenAs: f.SeenAs})
	}
	return nil
}

// showKeys has a temporary folder for the key files of Azure Arc. They go there
// from when the sandbox stands: until then, another mode may be taken.
func (m *mounts) showKeys(w *sandbox.World) (remove func(), err error) {
	folder, err := temporaryFolder("the key files of Azure Arc")
	if err != nil {
		return nil, err
	}
	m.made = append(m.made, folder)
	w.Mounts = append(w.Mounts, sandbox.Mount{Folder: folder, SeenAs: keyFolder, Over: agentFolder})
	w.Endpoints = endpoints(m.cloud, m.host)
	serve := w.Endpoints[0].Serve
	w.Endpoints[0].Serve = func(ctx context.Context, l net.Listener) error {
		m.host.ShowKeyFolder(folder, keyFolder)
		return serve(ctx, l)
	}
	return func() { _ = os.RemoveAll(folder) }, nil // what is left is in the folder for temporary files
}
