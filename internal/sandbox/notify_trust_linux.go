//go:build amd64 || arm64

package sandbox

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"slices"

	"github.com/fakeentra/fakeentra/internal/pki"
)

// environ returns the environment of the command. The files that it names are
// in memory, and gone with this process, whatever ends it.
func (n *notified) environ(w World, c Command) ([]string, error) {
	ca, err := n.file("ca.pem", w.CA)
	if err != nil {
		return nil, err
	}
	trusted := pki.SystemBundle(w.CA)
	bundle, err := n.file("bundle.pem", trusted)
	if err != nil {
		return nil, err
	}
	env := slices.Clone(c.Env)
	if c.Environ != nil {
		env = append(env, c.Environ(ca, bundle)...)
	}
	if javaHome(env) == "" {
		return env, nil
	}
	block, _ := pem.Decode(w.CA)
	if block == nil {
		return nil, errors.New("cannot read the certificate of the sandbox: it is not PEM")
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("cannot read the certificate of the sandbox: %w", err)
	}
	store, err := n.file("cacerts", pki.JKS(trusted, cert.NotBefore))
	return append(env, javaTrust(env, store)...), err
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
