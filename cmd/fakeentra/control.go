package main

import (
	"errors"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/fakeentra/fakeentra/emulator/control"
)

// controlVariable names the variable that says where the control plane is.
const controlVariable = "FAKEENTRA_CONTROL"

// A plane is the control plane that journal and health ask.
type plane struct {
	url     string
	timeout time.Duration
}

func (p *plane) flags(cmd *cobra.Command, timeout time.Duration) {
	f := cmd.Flags()
	f.SortFlags = false
	f.StringVar(&p.url, "control", "", "`URL` of the control plane (default: $"+controlVariable+")")
	f.DurationVar(&p.timeout, "timeout", timeout, "`TIME` to wait for an answer")
}

// client returns a client of the control plane.
func (p *plane) client() (*control.Client, error) {
	if p.timeout <= 0 {
		return nil, usage("for instance --timeout 5s", "--timeout is %v; expected a time to wait", p.timeout)
	}
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

// elsewhere is what to suspect of an answer that the control plane never gives.
const elsewhere = "does something else listen there?"

// explain says what the control plane refused, or why it was not reached.
func (p *plane) explain(err error) error {
	if e, ok := errors.AsType[*control.Error](err); ok {
		hint := elsewhere
		if e.Expected != "" {
			hint = "expected " + e.Expected
		}
		return failed(hint, "%s refuses: %s", p.url, e.Message)
	}
	if _, ok := errors.AsType[*url.Error](err); ok {
		return failed("is \"fakeentra serve\" still running? it prints its addresses", "cannot reach the control plane at %s: %v", p.url, cause(err))
	}
	return failed(elsewhere, "%s", strings.TrimPrefix(err.Error(), "fakeentra control: "))
}
