package sandbox

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/fakeentra/fakeentra/internal/pki"
)

// Where the trust stores of a sandbox with its own /etc are.
const (
	caFile      = "/etc/ssl/certs/fakeentra.pem"
	bundleFile  = "/etc/ssl/certs/ca-certificates.crt"
	cacertsFile = "/etc/ssl/certs/java/cacerts"
)

// javaStores are where the distributions keep the trust store of their Java.
var javaStores = []string{cacertsFile, "/etc/pki/java/cacerts", "/etc/pki/ca-trust/extracted/java/cacerts", "/etc/ssl/java-cacerts"}

// A Trusted are the certificates that this machine trusts, for one command.
type Trusted struct {
	read   chan struct{} // closed when the rest is there
	bundle []byte        // in PEM form
	java   string        // folder of the Java that the command finds; or nothing
	store  pki.TrustStore
}

// ReadTrusted begins to read the certificates that this machine trusts, for a
// command with an environment, which takes a millisecond: the caller makes the
// world meanwhile.
func ReadTrusted(env []string) *Trusted {
	t := &Trusted{read: make(chan struct{})}
	go func() {
		defer close(t.read)
		const room = 4 << 10 // for the certificates of a world
		t.bundle = pki.SystemBundle(room)
		if t.java = javaHome(env); t.java != "" || exists(cacertsFile) {
			t.store = t.store.With(t.bundle, time.Now())
		}
	}()
	return t
}

func exists(name string) bool {
	_, err := os.Stat(name)
	return err == nil
}

// trusted are the certificates of this machine, when they are there.
func (c Command) trusted() *Trusted {
	t := c.Trusted
	if t == nil {
		t = ReadTrusted(c.Env)
	}
	<-t.read
	return t
}

// javaFolder is the Java that the command finds, if there is a command.
func (t *Trusted) javaFolder() string {
	if t == nil {
		return ""
	}
	return t.java
}

// with returns them and those of a world, in PEM form and, if the command may
// start Java, as its trust store.
func (t *Trusted) with(ca []byte) (bundle, store []byte) {
	bundle = append(t.bundle, ca...)
	if t.store != nil {
		store = t.store.With(ca, time.Now()).JKS()
	}
	return bundle, store
}

// files are the certificates of this machine with that of the world, in every
// form and place in which programs look, by name below /etc.
func (t *Trusted) files(certificate []byte) (map[string][]byte, error) {
	hashed, err := hashedName(certificate)
	if err != nil {
		return nil, err
	}
	bundle, store := t.with(certificate)
	files := map[string][]byte{}
	add := func(name string, content []byte) { files[strings.TrimPrefix(name, "/etc/")] = content }
	for _, name := range pki.Bundles() {
		if exists(name) {
			add(name, bundle)
		}
	}
	add(bundleFile, bundle)
	add(caFile, certificate)
	add("/etc/ssl/certs/"+hashed+".0", certificate)
	if store == nil {
		return files, nil
	}
	for _, name := range javaStores {
		if exists(name) {
			add(name, store)
		}
	}
	add(cacertsFile, store)
	return files, nil
}

// hashedName returns the name by which OpenSSL finds the certificate of a world.
func hashedName(certificate []byte) (string, error) {
	block, _ := pem.Decode(certificate)
	if block == nil {
		return "", errors.New("the certificate of the sandbox is not PEM")
	}
	ca, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return "", fmt.Errorf("the certificate of the sandbox: %w", err)
	}
	return pki.HashedName(ca.Subject.CommonName)
}

// javaHome returns the folder of the Java that an environment leads to, or
// nothing.
func javaHome(env []string) string {
	if home := variable(env, "JAVA_HOME"); home != "" {
		return home
	}
	for _, folder := range filepath.SplitList(variable(env, "PATH")) {
		java, err := exec.LookPath(filepath.Join(folder, "java"))
		if err != nil {
			continue
		}
		if java, err = filepath.EvalSymlinks(java); err == nil {
			return filepath.Dir(filepath.Dir(java))
		}
	}
	return ""
}

// javaOptions returns the variable that makes the Java in a folder trust what is
// in store, unless it reads a store of the system: it says on standard error that
// it saw the variable. What the variable held stays in it.
func javaOptions(home string, env []string, store string) []string {
	if home == "" {
		return nil
	}
	for _, folder := range []string{"lib/security", "jre/lib/security"} {
		read, err := filepath.EvalSymlinks(filepath.Join(home, folder, "cacerts"))
		if err == nil && slices.Contains(javaStores, read) {
			return nil
		}
	}
	return javaTrust(env, store)
}

// javaTrust returns the variable that makes every Java trust what is in store.
func javaTrust(env []string, store string) []string {
	options := "-Djavax.net.ssl.trustStore=" + store + " -Djavax.net.ssl.trustStorePassword=" + pki.JKSPassword + " -Djavax.net.ssl.trustStoreType=JKS"
	return []string{"JAVA_TOOL_OPTIONS=" + strings.TrimSpace(variable(env, "JAVA_TOOL_OPTIONS")+" "+options)}
}

// variable returns the value that counts: the last one.
func variable(env []string, name string) string {
	for _, entry := range slices.Backward(env) {
		if value, ok := strings.CutPrefix(entry, name+"="); ok {
			return value
		}
	}
	return ""
}
