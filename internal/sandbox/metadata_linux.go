package sandbox

import (
	"fmt"
	"net"
	"net/netip"

	"golang.org/x/sys/unix"
)

// TakeMetadataAddress puts 169.254.169.254 on the loopback interface of this
// process's network, which takes CAP_NET_ADMIN. It refuses if the network has
// another interface that is up, and so may be that of a machine, whose real
// Instance Metadata Service would be out of reach.
func TakeMetadataAddress() error {
	interfaces, err := net.Interfaces()
	if err != nil {
		return err
	}
	for _, i := range interfaces {
		if i.Flags&net.FlagLoopback == 0 && i.Flags&net.FlagUp != 0 {
			return fmt.Errorf("this network has the interface %s, so it may be that of a machine", i.Name)
		}
	}
	s, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer func() { _ = unix.Close(s) }()
	return addAddress(s, "lo:2", netip.PrefixFrom(metadataAddress, metadataAddress.BitLen()))
}
