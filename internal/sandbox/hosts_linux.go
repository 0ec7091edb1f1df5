//go:build amd64 || arm64

package sandbox

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/miekg/dns"
	"golang.org/x/sys/unix"
)

// wellKnown are names that every program with musl finds at its first try,
// where they are emulated.
var wellKnown = []string{
	"login.microsoftonline.com", "login.microsoft.com", "login.windows.net", "sts.windows.net",
	"login.microsoftonline.us", "login.chinacloudapi.cn", "login.partner.microsoftonline.cn",
}

// hosts are the names in the /etc/hosts of programs with musl. Its resolver asks
// DNS servers in a way that leaves nobody but the server to answer, and port 53
// is not for everyone (openDNS), but it looks into the file first.
type hosts struct {
	mu    sync.Mutex
	asked []string // emulated names that a DNS server was asked for
}

// add makes the next lookup of a name succeed: musl reports the one that failed
// as temporary.
func (h *hosts) add(name string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !slices.Contains(h.asked, name) {
		h.asked = append(h.asked, name)
	}
}

// names are the emulated names that are known by now.
func (s *switchboard) names() []string {
	s.hosts.mu.Lock()
	defer s.hosts.mu.Unlock()
	names := slices.Clone(s.hosts.asked)
	for _, name := range wellKnown {
		if s.resolver.knows(name) && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

// question takes note of the names in a datagram to a DNS server.
func (s *switchboard) question(c *call) {
	query, err := memory(c.tid, c.args[1], int(min(c.args[2], dns.MaxMsgSize)))
	var m dns.Msg
	if err != nil || m.Unpack(query) != nil || !s.listener.waits(c.id) {
		return
	}
	for _, q := range m.Question {
		if a, ok := s.resolver.lookup(q.Name); ok && a == worldAddress {
			s.hosts.add(strings.ToLower(strings.TrimSuffix(q.Name, ".")))
		}
	}
}

// open is open(2): path, flags, mode. musl reads two files by it that say where
// names lead.
func (s *switchboard) open(c *call) answer {
	const longest = len("/etc/resolv.conf\x00")
	b, err := memory(c.tid, c.args[0], longest)
	path, _, ended := bytes.Cut(b, []byte{0})
	if err != nil || !ended || !s.listener.waits(c.id) {
		return proceed
	}
	var text string
	switch string(path) {
	case "/etc/hosts":
		text = fmt.Sprintf("%v localhost %s\n", loopback, s.resolver.hostname)
		for _, name := range s.names() {
			text += fmt.Sprintf("%v %s\n", worldAddress, name)
		}
		for name, address := range s.resolver.real {
			text += fmt.Sprintf("%v %s\n", address, name)
		}
	case "/etc/resolv.conf": // questions that nobody can answer fail fast
		text = fmt.Sprintf("nameserver %v\noptions timeout:1 attempts:1\n", s.routes.dnsUDP.Addr())
	default:
		return proceed
	}
	fd, err := memoryFile(string(path), []byte(text))
	if err != nil {
		return failed(err)
	}
	defer func() { _ = unix.Close(fd) }()
	if err := s.listener.give(c.id, fd, c.args[1]&unix.O_CLOEXEC != 0); err != nil {
		return failed(err)
	}
	return answer{given: true}
}

// memoryFile returns a file without a place on the disk, to be read from the
// beginning.
func memoryFile(name string, content []byte) (int, error) {
	fd, err := unix.MemfdCreate(name, unix.MFD_CLOEXEC)
	if err != nil {
		return -1, err
	}
	if _, err := unix.Pwrite(fd, content, 0); err != nil {
		_ = unix.Close(fd)
		return -1, err
	}
	return fd, nil
}
