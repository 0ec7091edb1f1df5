//go:build amd64 || arm64

package sandbox

import (
	"encoding/binary"
	"os"
	"os/signal"
	"syscall"

	"golang.org/x/sys/unix"
)

// A word is what a child says to its parent: one of these, and an error number.
// The first two come with the listener of a filter.
const (
	wordKillable   = 'k' // calls that were received are not restarted by signals
	wordRestarting = 'r' // they are
	wordFailed     = 'f'
	wordSize       = 5
)

func say(what byte, errno syscall.Errno, files ...int) error {
	word := binary.NativeEndian.AppendUint32([]byte{what}, uint32(errno))
	return unix.Sendmsg(parentSocket, word, unix.UnixRights(files...), nil, 0)
}

func errnoIn(word []byte) syscall.Errno {
	return syscall.Errno(binary.NativeEndian.Uint32(word[1:]))
}

// receive reads a word of the child; it is empty if the child has closed the
// socket.
func (n *notified) receive() (word []byte, files []int, err error) {
	word, control := make([]byte, wordSize), make([]byte, unix.CmsgSpace(4))
	length, rights, err := 0, 0, error(unix.EINTR)
	for err == unix.EINTR {
		length, rights, _, _, err = unix.Recvmsg(n.parent, word, control, unix.MSG_CMSG_CLOEXEC)
	}
	if err != nil {
		return nil, nil, err
	}
	messages, err := unix.ParseSocketControlMessage(control[:rights])
	if err != nil {
		return nil, nil, err
	}
	for _, m := range messages {
		if files, err = unix.ParseUnixRights(&m); err != nil {
			return nil, nil, err
		}
	}
	return word[:length], files, nil
}

// notifyChild puts a filter on this process and becomes the command: its path,
// and its arguments with the name that it is called by. It never returns.
func notifyChild(command []string) {
	signals := make(chan os.Signal, 16)
	signal.Notify(signals, passedOn()...) // they are for the command
	var v [1]byte
	if n, err := unix.Read(parentSocket, v[:]); n != 1 || err != nil || len(command) < 2 {
		os.Exit(statusFailed) // the parent is gone
	}
	fd, killable, err := confine(variant(v[0]))
	if err != nil {
		_ = say(wordFailed, errno(err))
		os.Exit(statusFailed)
	}
	word := byte(wordRestarting)
	if killable {
		word = wordKillable
	}
	if err := say(word, 0, fd); err != nil {
		os.Exit(statusFailed)
	}
	select {
	case sig := <-signals:
		signal.Reset(sig)
		_ = unix.Kill(os.Getpid(), sig.(syscall.Signal))
	default:
	}
	err = unix.Exec(command[0], command[1:], os.Environ())
	_ = say(wordFailed, errno(err))
	os.Exit(statusFailed)
}

// errno returns the error number of a system call.
func errno(err error) syscall.Errno {
	if e, ok := err.(syscall.Errno); ok {
		return e
	}
	return unix.EINVAL
}
