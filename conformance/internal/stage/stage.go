// Package stage puts a client under test into a lab: in this process, over a
// network in memory, or in a process of its own, in a sandbox.
package stage

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/fakeentra/fakeentra/conformance/driver"
	"github.com/fakeentra/fakeentra/conformance/internal/lab"
)

// A Target is where clients under test come from.
type Target interface {
	// Wiring names the way in which clients are led to labs.
	Wiring() string
	// Hello asks the driver who it is.
	Hello(context.Context, driver.Request) (driver.Hello, error)
	// Enter puts a driver into a lab.
	Enter(context.Context, *lab.Lab, Place) (Stage, error)
	// Close ends what drivers are left.
	Close() error
}

// ErrProcess is what Enter fails with when a place can only be had by a driver in a
// process of its own. The case is skipped then.
var ErrProcess = errors.New("this needs a driver in a process of its own: fakeentra conform run")

// ErrUncovered is wrapped by what Enter fails with when the wiring cannot have a
// place, whatever the client is capable of. The case is skipped then.
var ErrUncovered = errors.New("the wiring cannot have it")

// A Place is what a driver's machine has besides a network.
type Place struct {
	Environ []string          // variables
	Proxy   bool              // an HTTP proxy at port 3128 of loopback
	Files   map[string]string // by absolute name, in folders that the machine does not have
	IPv6    []string          // host names that have an address of IPv6 alone
	Unnamed bool              // clients name no identity, which some have a cache for that all of a process share
	Watch   bool              // note which programs the driver starts
	Ends    bool              // what the driver wrote and left is looked at when it has ended
	Fresh   bool              // the driver's process is to be a new one, and to be used by nobody else
}

// ErrNoIPv6 is what Enter fails with when this machine cannot have a place with
// hosts of IPv6.
var ErrNoIPv6 = errors.New("this machine has no IPv6")

// A Leftover is a file that a driver left behind.
type Leftover struct {
	os.FileInfo
	Content []byte // the head of it
}

// A Program is a process that a driver started, as others on its machine see it.
type Program struct {
	Args    []string
	Environ []string
}

// ProxyPort is the port of a Place's proxy.
const ProxyPort = 3128

// A Stage is a driver in a lab. Its methods are called from one goroutine at a
// time.
type Stage interface {
	// Do has the driver answer a request. Its error says how the driver broke the
	// protocol, or that ctx ended.
	Do(context.Context, driver.Request) (driver.Answer, error)
	// Complete adds to a configuration what depends on where the driver is.
	Complete(*driver.Config)
	// Write replaces one of the files of the place.
	Write(name, content string) error
	// Output is what the driver wrote that is no answer.
	Output() string
	// Leaks are what it asked for outside the lab, as "dns NAME" and "connect
	// ADDRESS". They are complete when the driver has ended. Where nothing watches
	// it, they are what it asked a proxy for.
	Leaks() []string
	// Left are files that it left in its home and in its folder for temporary
	// files, by name.
	Left() map[string]Leftover
	// Seen are the programs that it had started when a request came in, if the
	// place is watched. They are complete when the driver has ended.
	Seen() []Program
	// Leave ends the stage. The driver may go on with another lab.
	Leave() error
}

// A mount is a folder of this machine that drivers see elsewhere.
type mount struct{ folder, seenAs string }

// keyFolder is where clients of Azure Arc look for key files.
const keyFolder = "/var/opt/azcmagent/tokens"

// mounts makes the folders of a place below base.
func mounts(base string, l *lab.Lab, p Place) ([]mount, error) {
	var all []mount
	add := func(seenAs string) (string, error) {
		for _, m := range all {
			if m.seenAs == seenAs {
				return m.folder, nil
			}
		}
		folder := filepath.Join(base, fmt.Sprintf("mount%d", len(all)))
		all = append(all, mount{folder, seenAs})
		return folder, os.MkdirAll(folder, 0o755)
	}
	if l.HasKeyFolder() {
		folder, err := add(keyFolder)
		if err != nil {
			return nil, err
		}
		l.Host.ShowKeyFolder(folder, keyFolder)
	}
	for name, content := range p.Files {
		folder, err := add(filepath.Dir(name))
		if err == nil {
			err = place(folder, filepath.Base(name), content)
		}
		if err != nil {
			return nil, err
		}
	}
	return all, nil
}

// symlink begins the content of a file that is a symbolic link.
const symlink = "-> "

// place makes a file, at once as kubelet does.
func place(folder, name, content string) error {
	path := filepath.Join(folder, name)
	if to, ok := strings.CutPrefix(content, symlink); ok {
		return os.Symlink(to, path)
	}
	if err := os.WriteFile(path+"~", []byte(content), 0o644); err != nil {
		return err
	}
	return os.Rename(path+"~", path)
}

// write replaces a file of a place.
func write(all []mount, name, content string) error {
	for _, m := range all {
		if m.seenAs == filepath.Dir(name) {
			return place(m.folder, filepath.Base(name), content)
		}
	}
	return fmt.Errorf("the place has no folder %s", filepath.Dir(name))
}
