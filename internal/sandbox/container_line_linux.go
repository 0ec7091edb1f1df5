package sandbox

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"

	"golang.org/x/sys/unix"
)

// A line connects this process with the first one of a container. What it carries
// is JSON, each in a file in memory, so that there is no limit to it.
type line struct{ *net.UnixConn }

// An errand is what the first process of a container is told.
type errand struct {
	Start  *start // with the three files of the command
	Signal int    // to the process group of the command
	Look   int    // at the other programs, if it is not 0: a number for the answer
}

// A start is a command to be started, and the world around it.
type start struct {
	Path      string // of the program; it is looked for if it is empty
	Args, Env []string
	MaxMemory int64
	Metadata  bool
	TLS       bool // with MetadataTLS
	IPv6      bool
	Endpoints []int // ports
}

// A word is what it says to an errand.
type word struct {
	Started  *started  // with the socket of the fork
	Missing  string    // there is no such program as was to be started
	Look     int       // the number of what is answered
	Programs []Program // that there are
	Ended    *Result   // but for its leaks
	Failed   string
}

// A started is a fork that is about to become a command. It is what this process
// has to know of its plan.
type started struct {
	Path   string   // of the program
	Moves  []string // purposes
	Socket int
	Gifts  int
	Fresh  bool // the network is being set up
}

// send says something, with files.
func (l line) send(what any, files ...*os.File) error {
	text, err := json.Marshal(what)
	if err != nil {
		return err
	}
	fd, err := unix.MemfdCreate("line", unix.MFD_CLOEXEC)
	if err != nil {
		return fmt.Errorf("cannot make a file in memory: %w", err)
	}
	memory := os.NewFile(uintptr(fd), "line")
	defer func() { _ = memory.Close() }()
	if _, err := memory.WriteAt(text, 0); err != nil {
		return err
	}
	rights := []int{fd}
	for _, f := range files {
		rights = append(rights, int(f.Fd()))
	}
	_, _, err = l.WriteMsgUnix([]byte{0}, unix.UnixRights(rights...), nil)
	return err
}

// receive hears something. The caller closes the files. It fails with [io.EOF] when
// the other end was closed.
func (l line) receive(what any) ([]*os.File, error) {
	const most = 8
	var text [1]byte
	control := make([]byte, unix.CmsgSpace(4*most))
	_, length, _, _, err := l.ReadMsgUnix(text[:], control)
	if err != nil {
		return nil, err
	}
	messages, err := unix.ParseSocketControlMessage(control[:length])
	if err != nil {
		return nil, err
	}
	if len(messages) == 0 {
		return nil, io.EOF
	}
	rights, err := unix.ParseUnixRights(&messages[0])
	if err != nil {
		return nil, err
	}
	var files []*os.File
	for _, fd := range rights {
		files = append(files, os.NewFile(uintptr(fd), "of the line"))
	}
	if len(files) == 0 {
		return nil, io.EOF
	}
	defer func() { _ = files[0].Close() }()
	content, err := io.ReadAll(io.NewSectionReader(files[0], 0, maxSaid))
	if err == nil {
		err = json.Unmarshal(content, what)
	}
	if err != nil {
		closeFiles(files[1:])
		return nil, errors.Join(errors.New("the container says what nobody understands"), err)
	}
	return files[1:], nil
}

// maxSaid is how much one says at once.
const maxSaid = 64 << 20

func closeFiles(files []*os.File) {
	for _, f := range files {
		_ = f.Close() // it was never written to
	}
}
