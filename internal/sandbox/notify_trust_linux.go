//go:build amd64 || arm64

package sandbox

import (
	"fmt"
	"os"
	"slices"
)

// environ returns the environment of the command. The files that it names are
// in memory, and gone with this process, whatever ends it.
func (n *notified) environ(w World, c Command) ([]string, error) {
	ca, err := n.file("ca.pem", w.CA)
	if err != nil {
		return nil, err
	}
	trusted := c.trusted()
	certificates, store := trusted.with(w.CA)
	bundle, err := n.file("bundle.pem", certificates)
	if err != nil {
		return nil, err
	}
	env := slices.Clone(c.Env)
	if c.Environ != nil {
		env = append(env, c.Environ(ca, bundle)...)
	}
	if trusted.java == "" {
		return env, nil
	}
	cacerts, err := n.file("cacerts", store)
	return append(env, javaTrust(env, cacerts)...), err
}

// file makes a file in memory and returns its name.
func (n *notified) file(name string, content []byte) (string, error) {
	fd, err := memoryFile(name, content)
	if err != nil {
		return "", fmt.Errorf("cannot make a file in memory: %w", err)
	}
	n.memory = append(n.memory, fd)
	return fmt.Sprintf("/proc/%d/fd/%d", os.Getpid(), fd), nil
}
