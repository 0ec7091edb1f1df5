package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/fakeentra/fakeentra/emulator/environment"
	"github.com/fakeentra/fakeentra/internal/sandbox"
)

// An egress is what run is told about real hosts that the command may reach.
type egress struct {
	words []string
	hosts []sandbox.Egress

	mu     sync.Mutex
	failed []string // hosts that were not reached, and why
}

// nowhere is the word for no host at all.
const nowhere = "none"

func (e *egress) flags(cmd *cobra.Command) {
	cmd.Flags().StringSliceVar(&e.words, "egress", []string{nowhere}, "let the command reach a real `HOST`, at the ports 443 and 80, or at a port that it names, as in api.example.com,db.example.com:5432")
}

// check understands the words. Hosts of Azure are refused: nothing that runs
// here may reach them.
func (e *egress) check() error {
	const most = 50
	if slices.Equal(e.words, []string{nowhere}) {
		return nil
	}
	for _, word := range e.words {
		host, ports, err := splitEgress(word)
		if err != nil {
			return err
		}
		for _, port := range ports {
			e.hosts = append(e.hosts, sandbox.Egress{Host: host, Port: port})
		}
	}
	if len(e.words) > most {
		return usage("start a proxy that the command is led to by --forward and --keep-env", "--egress has %d hosts; expected %d at most", len(e.words), most)
	}
	return nil
}

// splitEgress takes HOST or HOST:PORT apart.
func splitEgress(word string) (host string, ports []int, err error) {
	const hint = "for instance --egress api.example.com,db.example.com:5432"
	host, ports = word, []int{443, 80}
	if i := strings.LastIndexByte(word, ':'); i >= 0 && isHostName(strings.ToLower(word[:i])) && !strings.Contains(word, "/") {
		port, err := strconv.ParseUint(word[i+1:], 10, 16)
		if err != nil || port == 0 || port == 53 {
			return "", nil, usage(hint, "--egress has %q; expected a port from 1 to 65535, and not that of DNS", word)
		}
		host, ports = word[:i], []int{int(port)}
	}
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	switch {
	case isAddress(host) || !isHostName(host) || host == nowhere:
		return "", nil, usage(hint, "--egress has %q; expected %s, or the names of hosts, without a scheme or wildcards", word, nowhere)
	case host == "localhost" || strings.HasSuffix(host, ".localhost"):
		return "", nil, usage("--forward PORT leads to this machine's loopback", "--egress has %q, which is no other host", word)
	case environment.Azure(host):
		return "", nil, usage("the scenario decides which hosts of Azure there are, and the cloud answers for them", "--egress has %q, a host of Azure; nothing that runs here may reach Azure itself", word)
	}
	return host, ports, nil
}

// isAddress reports whether resolvers take a word for an IPv4 address, also in
// the forms of inet_aton(3), such as 0xa9fea9fe: no top-level domain begins with
// a digit (RFC 3696 section 2).
func isAddress(host string) bool {
	last := host[strings.LastIndexByte(host, '.')+1:]
	return last == "" || last[0] >= '0' && last[0] <= '9'
}

func isHostName(host string) bool {
	const longest = 253
	other := func(r rune) bool { return r != '-' && r != '_' && (r < 'a' || r > 'z') && (r < '0' || r > '9') }
	for label := range strings.SplitSeq(host, ".") {
		if label == "" || len(label) > 63 || strings.ContainsFunc(label, other) {
			return false
		}
	}
	return len(host) <= longest
}

// checkEmulated refuses hosts that the cloud answers for.
func (e *egress) checkEmulated(knows func(string) bool) error {
	for _, h := range e.hosts {
		if knows(h.Host) {
			return usage("leave it out: the command reaches the emulated one", "--egress has %q, which the cloud emulates", h.Host)
		}
	}
	return nil
}

// dial connects to a real host for the command.
func (e *egress) dial(ctx context.Context, to sandbox.Egress) (net.Conn, error) {
	d := net.Dialer{Timeout: 30 * time.Second, Control: refusePlatform}
	address := net.JoinHostPort(to.Host, strconv.Itoa(to.Port))
	c, err := d.DialContext(ctx, "tcp", address)
	if err != nil && ctx.Err() == nil {
		e.mu.Lock()
		defer e.mu.Unlock()
		if line := fmt.Sprintf("%s: %v", address, cause(err)); !slices.Contains(e.failed, line) {
			e.failed = append(e.failed, line)
		}
	}
	return c, err
}

var errPlatform = errors.New("its name leads to an address of the platform, such as that of a real metadata service")

// refusePlatform keeps names from leading to what a virtual machine trusts:
// link-local addresses, and that of Azure's wire server (Microsoft: What is IP
// address 168.63.129.16?).
func refusePlatform(_, address string, _ syscall.RawConn) error {
	to, err := netip.ParseAddrPort(address)
	if err != nil {
		return err
	}
	ip := to.Addr().Unmap()
	if ip.IsLinkLocalUnicast() || ip.IsUnspecified() || ip == netip.AddrFrom4([4]byte{168, 63, 129, 16}) {
		return errPlatform
	}
	return nil
}

// pass lets an environment's proxy be passed by, on the way to real hosts.
func (e *egress) pass(env []string) []string {
	passed := func(separator string) (list string) {
		for _, h := range e.hosts {
			if !strings.Contains(list+separator, separator+h.Host+separator) {
				list += separator + h.Host
			}
		}
		return list
	}
	const java = "-Dhttp.nonProxyHosts=localhost|127.*"
	for i, entry := range env {
		switch name, value, _ := strings.Cut(entry, "="); name {
		case "NO_PROXY", "no_proxy":
			env[i] += passed(",")
		case javaVariable:
			env[i] = name + "=" + strings.Replace(value, java, java+passed("|"), 1)
		}
	}
	return env
}
