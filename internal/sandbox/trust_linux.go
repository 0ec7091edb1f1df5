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

// trustFiles are the certificates of this machine with that of the world, in
// every form and place in which programs look, by name below /etc.
func trustFiles(certificate []byte, java bool) (map[string][]byte, error) {
	block, _ := pem.Decode(certificate)
	if block == nil {
		return nil, errors.New("the certificate of the sandbox is not PEM")
	}
	ca, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("the certificate of the sandbox: %w", err)
	}
	hashed, err := pki.HashedName(ca.Subject.CommonName)
	if err != nil {
		return nil, err
	}
	bundle := pki.SystemBundle(certificate)
	files := map[string][]byte{}
	add := func(name string, content []byte) { files[strings.TrimPrefix(name, "/etc/")] = content }
	for _, name := range pki.Bundles() {
		if _, err := os.Stat(name); err == nil {
			add(name, bundle)
		}
	}
	add(bundleFile, bundle)
	add(caFile, certificate)
	add("/etc/ssl/certs/"+hashed+".0", certificate)
	if !java {
		return files, nil
	}
	store := pki.JKS(bundle, ca.NotBefore)
	for _, name := range javaStores {
		if _, err := os.Stat(name); err == nil {
			add(name, store)
		}
	}
	add(cacertsFile, store)
	return files, nil
}

// hasJava reports whether a program with an environment is likely to start Java.
func hasJava(env []string) bool {
	if javaHome(env) != "" {
		return true
	}
	_, err := os.Stat(cacertsFile)
	return err == nil
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

// javaOptions returns the variable that makes Java trust what is in store, unless
// it reads a store of the system: it says on standard error that it saw the
// variable. What the variable held stays in it.
func javaOptions(env []string, store string) []string {
	home := javaHome(env)
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
