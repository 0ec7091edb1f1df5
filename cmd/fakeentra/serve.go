package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/fakeentra/fakeentra"
	"github.com/fakeentra/fakeentra/internal/sandbox"
)

// A server is what serve is told.
type server struct {
	start
	listen       fakeentra.Listen
	dns          nameserver
	certificates certificateFolder
	takeAddress  bool
	noWatch      bool
	caOut        string
	readyFile    readyFile
}

func serveCommand() *cobra.Command {
	s := &server{}
	cmd := &cobra.Command{
		Use:   "serve [flags]",
		Short: "serve a cloud on network listeners until stopped",
		Example: `  fakeentra serve                                # prints what to paste
  fakeentra serve --scenario my.yaml --proxy 127.0.0.1:8888 --ready-file up`,
		Long: `Serves a cloud until it is interrupted or terminated. It prints a line for each
door, and "export" lines that lead the programs of another shell to the proxy:
they keep their production URLs. All of it can be pasted into a shell.

Doors are at loopback addresses, with free ports, unless an ADDR says otherwise,
as in 127.0.0.1:8080. An empty one, as in --imds "", keeps a door shut.

When the file of the scenario changes, it is loaded again, at once and as a
whole: keys, certificates, doors and the journal stay, and what programs changed
does not. A file that cannot be used changes nothing, and standard error says
why. Where there is no terminal, SIGHUP has the file loaded in any case.

The certificate authority is a new one at every start. The key that tokens are
signed with is kept in the user's state folder, $XDG_STATE_HOME/fakeentra or
~/.local/state/fakeentra (macOS: ~/Library/Application Support/fakeentra,
Windows: %LocalAppData%\fakeentra), for the user alone.`,
		Args:                  noArguments,
		DisableFlagsInUseLine: true,
		RunE:                  func(cmd *cobra.Command, _ []string) error { return s.serve(cmd) },
		ValidArgsFunction:     cobra.NoFileCompletions,
	}
	s.flags(cmd)
	const free = "127.0.0.1:0"
	f := cmd.Flags()
	f.SortFlags = false
	f.StringVar(&s.listen.HTTPS, "https", free, "`ADDR` for login hosts and storage accounts, by SNI")
	f.StringVar(&s.listen.IMDS, "imds", free, "`ADDR` for the managed identity endpoint of the host")
	f.StringVar(&s.listen.Proxy, "proxy", free, "`ADDR` for a forward proxy that answers for every emulated name")
	f.StringVar(&s.listen.Control, "control", free, "`ADDR` for journal, faults, clock, keys and reset")
	f.StringVar(&s.dns.listen, "dns", "", "`ADDR` for DNS over UDP and TCP, which knows the emulated names and no other (default: none)")
	f.StringVar(&s.dns.answer, "dns-answer", "", "`IPADDR` that DNS answers with (default: that of --https)")
	f.BoolVar(&s.takeAddress, "take-metadata-address", false, "put 169.254.169.254 on the loopback interface of a container or a pod")
	f.BoolVar(&s.noWatch, "no-watch", false, "do not load the scenario again when its file changes")
	f.StringVar(&s.certificates.path, "certificates", "", "`DIR` for the certificates that clients must trust, which is removed at the end if it was not there")
	f.StringVar(&s.caOut, "ca-out", "", "`FILE` to write the certificate authority's certificate to")
	f.StringVar((*string)(&s.readyFile), "ready-file", "", "`FILE` that holds all of this as JSON while everything listens")
	return cmd
}

func (s *server) serve(cmd *cobra.Command) (err error) {
	answer, err := s.check()
	if err != nil {
		return err
	}
	cloud, host, err := s.cloud(cmd.ErrOrStderr())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, cloud.Close()) }()
	if err := s.readyFile.claim(cmd.Context()); err != nil {
		return err
	}
	ctx, stop := untilSignal(cmd.Context())
	defer stop()
	if s.takeAddress {
		if err := sandbox.TakeMetadataAddress(); err != nil {
			return failed("--take-metadata-address is for containers and pods, as of docker run --user 0 --cap-add NET_ADMIN, but not with the network of the machine", "cannot take the address 169.254.169.254: %v", err)
		}
	}
	dns, stopDNS, err := s.dns.start(ctx, cloud.Knows, answer)
	if err != nil {
		return err
	}
	defer stopDNS()
	defer s.certificates.remove()
	follower := follower{cloud: cloud, file: s.loaded, says: cmd.ErrOrStderr()}
	defer follower.follow(ctx, !s.noWatch)()
	defer stop()
	if err := s.certificates.write(cloud); err != nil { // before anything says that the cloud is up
		return err
	}
	var announced error
	s.listen.Host = host
	s.listen.Ready = func(doors fakeentra.Doors) {
		if announced = s.announce(cmd, cloud, ready{Doors: doors, DNS: dns, Scenario: s.scenario}); announced != nil {
			stop()
		}
	}
	err = cloud.Serve(ctx, s.listen)
	return errors.Join(announced, err, s.readyFile.remove())
}

// untilSignal returns a context that is done when the process is told to end. By
// then a second signal ends it at once, which [signal.NotifyContext] leaves to
// chance.
func untilSignal(parent context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(parent)
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, endingSignals()...)
	go func() {
		select {
		case <-signals:
		case <-ctx.Done():
		}
		signal.Stop(signals)
		cancel()
	}()
	return ctx, cancel
}

// check refuses addresses that nothing could listen on. It returns the one that
// DNS answers with.
func (s *server) check() (netip.Addr, error) {
	open := false
	for _, a := range []struct {
		flag, address string
		door          bool
	}{
		{"https", s.listen.HTTPS, true}, {"imds", s.listen.IMDS, true}, {"proxy", s.listen.Proxy, true}, {"control", s.listen.Control, true}, {"dns", s.dns.listen, false},
	} {
		if a.address == "" {
			continue
		}
		open = open || a.door
		_, port, err := net.SplitHostPort(a.address)
		if err == nil {
			_, err = strconv.ParseUint(port, 10, 16)
		}
		if err != nil {
			return netip.Addr{}, usage("for instance 127.0.0.1:8080, or 127.0.0.1:0 for a free port", "--%s is %q; expected an address and a port", a.flag, a.address)
		}
	}
	if !open {
		return netip.Addr{}, usage("leave out one of --https, --imds, --proxy and --control", "every door is shut")
	}
	return s.dns.address(s.listen.HTTPS)
}

// A ready says all that a client of the doors needs to know. It is what the
// ready file holds, with the members https, imds, proxy, control and host of
// the doors that are open.
type ready struct {
	fakeentra.Doors
	DNS      string `json:"dns,omitempty"` // address and port
	Scenario string `json:"scenario"`
	CA       string `json:"ca,omitempty"`     // name of a file
	Bundle   string `json:"bundle,omitempty"` // likewise, with the certificates of this machine
	// TrustStore is the name of the same for Java.
	TrustStore string `json:"trustStore,omitempty"`
	// NodeProxy is the name of a module that Node.js is to preload.
	NodeProxy string            `json:"nodeProxy,omitempty"`
	Environ   map[string]string `json:"environ"`

	exports []string // Environ in order
}

// announce prints the doors when everything listens.
func (s *server) announce(cmd *cobra.Command, cloud *fakeentra.Cloud, r ready) error {
	if err := s.trust(cmd.ErrOrStderr(), cloud, &r); err != nil {
		return err
	}
	var own []string
	if r.Host != "" && (r.IMDS != "" || cloud.Host(r.Host).Endpoint() == "") {
		if err := (&mounts{cloud: cloud, host: cloud.Host(r.Host)}).checkTokens(); err != nil {
			return err
		}
		own = cloud.Host(r.Host).VariablesAt(r.IMDS)
	}
	r.export(own)
	if err := s.readyFile.write(r); err != nil {
		return err
	}
	if _, err := io.WriteString(cmd.OutOrStdout(), r.String()); err != nil {
		return failed("", "cannot print the doors: %v", cause(err))
	}
	if err := tellSupervisor(); err != nil {
		warn(cmd.ErrOrStderr(), "unset NOTIFY_SOCKET if there is no service manager", "cannot tell the service manager that the cloud is up: %v", cause(err))
	}
	return nil
}

// export sets the variables that lead to the doors, with those of the host.
func (r *ready) export(own []string) {
	r.exports = append(r.Doors.Environ(fakeentra.Certificates{CA: r.CA, Bundle: r.Bundle, TrustStore: r.TrustStore, NodeProxy: r.NodeProxy}), own...)
	if r.Control != "" {
		r.exports = append(r.exports, controlVariable+"="+r.Control)
	}
	r.Environ = variables(r.exports)
}

// trust tells where the certificates are that clients must trust.
func (s *server) trust(warnings io.Writer, cloud *fakeentra.Cloud, r *ready) (err error) {
	files := s.certificates.files
	if s.certificates.path == "" {
		if files, err = cloud.CertificateFiles(); err != nil {
			f := explain(err)
			warn(warnings, f.hint, "%s", f.text)
		}
	}
	r.CA, r.Bundle, r.TrustStore, r.NodeProxy = files.CA, files.Bundle, files.TrustStore, files.NodeProxy
	if s.caOut == "" {
		return nil
	}
	if err := writeOpenly(s.caOut, cloud.CAPEM()); err != nil {
		return failed("name a file that can be written", "cannot write the certificate to %s: %v", s.caOut, cause(err))
	}
	r.CA, err = filepath.Abs(s.caOut)
	return err
}

// writeOpenly writes a file that everybody may read, whatever the umask is. It
// keeps the file that is there, which may be all that is mounted of a folder.
func writeOpenly(path string, content []byte) error {
	if err := os.WriteFile(path, content, 0o644); err != nil {
		return err
	}
	if info, err := os.Stat(path); err != nil || !info.Mode().IsRegular() {
		return err
	}
	return os.Chmod(path, 0o644)
}

// String returns lines for a shell: comments, and what to export.
func (r ready) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "# fakeentra serves %s\n", r.Scenario)
	metadata := "managed identities of " + r.Host
	if r.Host == "" {
		metadata = "managed identities, but the scenario has no host"
	}
	for _, d := range []struct{ name, url, what string }{
		{"https", r.HTTPS, "login hosts and storage accounts, by SNI"},
		{"imds", r.IMDS, metadata},
		{"proxy", r.Proxy, "all of these, under their production URLs"},
		{"control", r.Control, "journal, faults, clock, keys, reset"},
		{"dns", r.DNS, "the emulated names, and no other"},
	} {
		if d.url != "" {
			fmt.Fprintf(&b, "# %-7s  %-24s  %s\n", d.name, d.url, d.what)
		}
	}
	for _, v := range r.exports {
		name, value, _ := strings.Cut(v, "=")
		fmt.Fprintf(&b, "export %s=%s\n", name, shellWord(value))
	}
	return b.String()
}

// shellWord quotes what a shell would take apart.
func shellWord(s string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("/:.,_-@%+", r)
	}
	if s != "" && strings.TrimFunc(s, plain) == "" {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
