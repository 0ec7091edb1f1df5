package sandbox

import (
	"encoding/binary"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

// newLink returns the message that a kernel describes an interface with.
func newLink(flags uint32, name string, attributes ...uint16) []byte {
	n := binary.NativeEndian
	body := n.AppendUint32(make([]byte, 8), flags)
	body = n.AppendUint32(body, 0)
	body = append(attribute(body, unix.IFLA_IFNAME, name+"\x00"), make([]byte, -(len(name)+1)&3)...)
	for _, a := range attributes {
		body = attribute(body, a, "\x00\x00\x00\x00")
	}
	head := n.AppendUint32(nil, uint32(unix.SizeofNlMsghdr+len(body)))
	head = n.AppendUint16(head, unix.RTM_NEWLINK)
	return append(append(head, make([]byte, 10)...), body...)
}

func attribute(to []byte, kind uint16, value string) []byte {
	to = binary.NativeEndian.AppendUint16(to, uint16(unix.SizeofRtAttr+len(value)))
	return append(binary.NativeEndian.AppendUint16(to, kind), value...)
}

func TestAMachineIsToldFromAContainerByWhereItsInterfacesLead(t *testing.T) {
	for _, c := range []struct {
		what    string
		message []byte
		want    link
		machine bool
	}{
		{"a loopback interface", newLink(unix.IFF_UP|unix.IFF_LOOPBACK, "lo"), link{"lo", unix.IFF_UP | unix.IFF_LOOPBACK, false}, false},
		{"the card of a machine", newLink(unix.IFF_UP, "eth0"), link{"eth0", unix.IFF_UP, false}, true},
		{"a card that is down", newLink(0, "eth1"), link{"eth1", 0, false}, false},
		{"a VLAN of a card that is here too", newLink(unix.IFF_UP, "eth0.5", unix.IFLA_LINK), link{"eth0.5", unix.IFF_UP, false}, true},
		{"the interface of a container", newLink(unix.IFF_UP, "eth0", unix.IFLA_LINK, unix.IFLA_LINK_NETNSID), link{"eth0", unix.IFF_UP, true}, false},
	} {
		got, err := links(c.message)
		if diff := cmp.Diff([]link{c.want}, got, cmp.AllowUnexported(link{})); err != nil || diff != "" {
			t.Fatalf("%s: %v (-want +got):\n%s", c.what, err, diff)
		}
		if got[0].ownsNetwork() != c.machine {
			t.Errorf("%s: is of a machine: %t, want %t", c.what, got[0].ownsNetwork(), c.machine)
		}
	}
}
