package main

import (
	"errors"
	"net/url"
	"os"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/fakeentra/fakeentra/emulator/control"
)

// controlVariable names the variable that says where the control plane is.
const controlVariable = "FAKEENTRA_CONTROL"

// A plane is the control plane that journal and health ask.
type plane struct{ url string }

func (p *plane) flags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&p.url, "control", "", "`URL` of the control plane (default: $"+controlVariable+")")
}

// client returns a client of the control plane.
func (p *plane) client() (*control.Client, error) {
	if p.url == "" {
		p.url = os.Getenv(controlVariable)
	}
	if p.url == "" {
		return nil, usage("pass --control, or set "+controlVariable+", as \"fakeentra serve\" prints it", "the URL of the control plane is missing")
	}
	if u, err := url.Parse(p.url); err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Hostname() == "" {
		return nil, usage("for instance http://127.0.0.1:8090, as \"fakeentra serve\" prints it", "%q is not the URL of a control plane", p.url)
	}
	return control.NewClient(p.url, nil), nil
}

// explain says what the control plane refused, or why it was not reached.
func (p *plane) explain(err error) error {
	if e, ok := errors.AsType[*control.Error](err); ok {
		hint := ""
		if e.Expected != "" {
			hint = "expected " + e.Expected
		}
		return failed(hint, "%s refuses: %s", p.url, e.Message)
	}
	if errno, ok := errors.AsType[syscall.Errno](err); ok {
		err = errno
	}
	return failed("is \"fakeentra serve\" still running? it prints its addresses", "cannot reach the control plane at %s: %v", p.url, err)
}
