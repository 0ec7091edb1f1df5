package sandbox

import (
	"context"
	"encoding/binary"
	"net/netip"
	"os"
	"sync"
	"time"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// A watch counts the addresses outside of a sandbox that its program asks for.
// What it sees has been refused by the kernel already.
type watch struct {
	sockets []*os.File // of openWatches
	leaks   *leaks
}

// run counts until ctx is done, and closes the sockets. By then the program has
// ended, and all that it has sent is counted.
func (w *watch) run(ctx context.Context) {
	var group sync.WaitGroup
	for _, s := range w.sockets {
		group.Go(func() {
			defer func() { _ = s.Close() }()
			raw, err := s.SyscallConn()
			if err != nil {
				return
			}
			defer context.AfterFunc(ctx, func() { _ = s.SetReadDeadline(time.Unix(1, 0)) })()
			for raw.Read(w.read) == nil {
			}
			_ = s.SetReadDeadline(time.Time{})
			_ = raw.Read(w.readAll)
		})
	}
	group.Wait()
}

// snap is how much of a packet is of interest: the longest IPv4 header, and the
// ports behind it.
const snap = 64

// read counts a packet, unless there is none.
func (w *watch) read(fd uintptr) bool {
	var packet [snap]byte
	var control [64]byte
	n, length, _, _, err := unix.Recvmsg(int(fd), packet[:], control[:], unix.MSG_DONTWAIT)
	if err != nil {
		return false
	}
	if to, ok := destination(packet[:n], control[:length]); ok && to.Addr() != worldAddress6 {
		w.leaks.add(leakConnect, to.String())
	}
	return true
}

// readAll does not wait for more.
func (w *watch) readAll(fd uintptr) bool {
	for w.read(fd) {
	}
	return true
}

// destination returns where a packet goes to: the address in its IPv4 header, and
// the port in the second half word behind it. Of IPv6 there is no header, but a
// control message (ipv6(7), struct in6_pktinfo).
func destination(packet, control []byte) (netip.AddrPort, bool) {
	if len(control) > 0 {
		messages, err := unix.ParseSocketControlMessage(control)
		if err != nil || len(messages) == 0 || len(messages[0].Data) < 16 || len(packet) < 4 {
			return netip.AddrPort{}, false
		}
		ip, _ := netip.AddrFromSlice(messages[0].Data[:16])
		return netip.AddrPortFrom(ip, binary.BigEndian.Uint16(packet[2:])), true
	}
	if len(packet) < 20 {
		return netip.AddrPort{}, false
	}
	header := int(packet[0]&15) * 4 // RFC 791 section 3.1
	if len(packet) < header+4 {
		return netip.AddrPort{}, false
	}
	ip, _ := netip.AddrFromSlice(packet[16:20])
	return netip.AddrPortFrom(ip, binary.BigEndian.Uint16(packet[header+2:])), true
}

// beginnings selects what begins a conversation with an address that is not of
// the sandbox.
func beginnings(family, protocol int) []unix.SockFilter {
	f := toOutsideIPv4()
	flags := []bpf.Instruction{bpf.LoadMemShift{Off: 0}, bpf.LoadIndirect{Off: flagsOffset, Size: 1}}
	if family == unix.AF_INET6 {
		f = toOutsideIPv6()
		flags = []bpf.Instruction{bpf.LoadAbsolute{Off: flagsOffset, Size: 1}}
	}
	if protocol == unix.IPPROTO_TCP { // a SYN that is no answer (RFC 9293 section 3.1)
		f = append(append(f, flags...), bpf.ALUOpConstant{Op: bpf.ALUOpAnd, Val: synAndAck})
		f = append(f, dropIf(bpf.JumpNotEqual, syn)...)
	}
	return assemble(append(f, bpf.RetConstant{Val: snap}))
}

// The flags in a TCP header.
const (
	flagsOffset = 13
	synAndAck   = 0x12
	syn         = 0x02
)

func toOutsideIPv4() []bpf.Instruction {
	const fragment, target = 6, 16
	var f []bpf.Instruction
	for _, own := range []netip.Prefix{netip.PrefixFrom(loopback, 8), worldNetwork, netip.PrefixFrom(metadataAddress, 32)} {
		mask := ^uint32(0) << (32 - own.Bits())
		f = append(f, bpf.LoadAbsolute{Off: target, Size: 4}, bpf.ALUOpConstant{Op: bpf.ALUOpAnd, Val: mask})
		f = append(f, dropIf(bpf.JumpEqual, binary.BigEndian.Uint32(own.Addr().AsSlice())&mask)...)
	}
	f = append(f, bpf.LoadAbsolute{Off: fragment, Size: 2}) // only the first one has ports
	return append(f, dropIf(bpf.JumpBitsSet, 0x1fff)...)
}

// toOutsideIPv6 looks at the header in front of what the socket gets
// (SKF_NET_OFF, linux/filter.h). The sandbox has no address but ::1.
func toOutsideIPv6() []bpf.Instruction {
	const target = 0xfff00000 + 24
	return append([]bpf.Instruction{
		bpf.LoadAbsolute{Off: target, Size: 4}, bpf.TAX{},
		bpf.LoadAbsolute{Off: target + 4, Size: 4}, bpf.ALUOpX{Op: bpf.ALUOpOr}, bpf.TAX{},
		bpf.LoadAbsolute{Off: target + 8, Size: 4}, bpf.ALUOpX{Op: bpf.ALUOpOr},
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: 0, SkipTrue: 3}, bpf.LoadAbsolute{Off: target + 12, Size: 4},
	}, dropIf(bpf.JumpEqual, 1)...)
}

// dropIf ends a filter, for a packet that it does not keep, if what was loaded
// meets a condition.
func dropIf(cond bpf.JumpTest, value uint32) []bpf.Instruction {
	return []bpf.Instruction{bpf.JumpIf{Cond: cond, Val: value, SkipFalse: 1}, bpf.RetConstant{Val: 0}}
}

func assemble(f []bpf.Instruction) []unix.SockFilter {
	raw, err := bpf.Assemble(f)
	if err != nil {
		panic(err) // the programs above are the same every time
	}
	program := make([]unix.SockFilter, len(raw))
	for i, r := range raw {
		program[i] = unix.SockFilter{Code: r.Op, Jt: r.Jt, Jf: r.Jf, K: r.K}
	}
	return program
}
