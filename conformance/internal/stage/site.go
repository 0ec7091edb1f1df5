package stage

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"sync"

	"github.com/fakeentra/fakeentra"
	"github.com/fakeentra/fakeentra/conformance/internal/lab"
)

// A site is what leads clients to labs that others start: addresses of loopback which
// stay the same from one lab to the next, and the certificates for them.
type site struct {
	*locator
	folder    string
	variables []string // that lead clients to it, in every lab
}

// newSite opens the addresses that all labs have. ports is the first port to take, of
// several in a row; 0 stands for free ones. Its error is [ErrUnavailable].
func newSite(temp string, ports int) (_ *site, err error) {
	front, err := lab.NewFront()
	if err != nil {
		return nil, err
	}
	s := &site{locator: newLocator(front, listenFrom(ports))}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.end())
		}
	}()
	if s.folder, err = os.MkdirTemp(temp, "fakeentra-"); err != nil {
		return nil, fmt.Errorf("there is no place for the certificates: %w; set TMPDIR to a folder that can be written", err)
	}
	for _, usual := range []string{"https://" + fakeentra.AzurePublic.LoginHost, metadata} {
		host, err := url.Parse(usual)
		if err == nil {
			err = s.reserve(host)
		}
		if err != nil {
			return nil, err
		}
	}
	s.variables, err = s.doors(s.folder)
	return s, err
}

// listenFrom returns what listens at one port after the other, or at free ones if the
// first is 0.
func listenFrom(first int) func() (net.Listener, int, error) {
	if first == 0 {
		return listenOnLoopback
	}
	var mu sync.Mutex
	return func() (net.Listener, int, error) {
		mu.Lock()
		defer mu.Unlock()
		l, err := net.Listen("tcp4", fmt.Sprintf("127.0.0.1:%d", first))
		if err != nil {
			var op *net.OpError
			if errors.As(err, &op) {
				err = op.Err
			}
			return nil, 0, fmt.Errorf("port %d is %w (%w); take others with --ports", first, ErrUnavailable, err)
		}
		first++
		return l, first - 1, nil
	}
}

// end closes what newSite opened.
func (s *site) end() error {
	s.close()
	if s.folder == "" {
		return nil
	}
	return os.RemoveAll(s.folder)
}
