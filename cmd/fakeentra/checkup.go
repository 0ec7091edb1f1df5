package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"time"

	"github.com/fakeentra/fakeentra/emulator/control"
)

// checkStateFolder looks whether keys can be kept, by writing a file beside
// them, or where the folder would be made.
func checkStateFolder() checkup {
	c := checkup{Name: "state folder"}
	folder, err := stateFolder()
	if err != nil {
		c.Says, c.Mend = fmt.Sprintf("cannot be told: %v", err), "set HOME, or pass --fresh-keys"
		return c
	}
	parent := folder
	for {
		if _, err := os.Stat(parent); !errors.Is(err, fs.ErrNotExist) || parent == filepath.Dir(parent) {
			break
		}
		parent = filepath.Dir(parent)
	}
	file, err := os.CreateTemp(parent, ".fakeentra-doctor-*")
	if err != nil {
		c.Says, c.Mend = fmt.Sprintf("%s cannot be written: %v", folder, cause(err)), "make it writable, or pass --fresh-keys"
		return c
	}
	_ = errors.Join(file.Close(), os.Remove(file.Name())) // it is empty
	c.OK, c.Says = true, folder
	if parent != folder {
		c.Says += ", which the first start makes"
	}
	return c
}

// checkKey looks at the key of an earlier start as a start does.
func checkKey() checkup {
	c := checkup{Name: "signing key"}
	var warnings strings.Builder
	kept, err := openKeyFile(false, &warnings)
	switch err := cmp.Or(err, kept.check()); {
	case err != nil:
		f := explain(err)
		c.Says, c.Mend = f.text, f.hint
	case kept.path == "":
		c.Says, c.Mend = "cannot be kept", "make the state folder writable, or pass --fresh-keys"
	case kept.pem == nil:
		c.OK, c.Says = true, "none yet"
	default:
		c.OK, c.Says = true, kept.path
	}
	return c
}

// checkClock finds clocks that are behind: certificates and tokens are not valid
// yet for programs on a machine with another clock.
func (p patient) checkClock() checkup {
	c := checkup{Name: "clock", OK: true, Says: p.now.UTC().Format(time.RFC3339)}
	if p.now.Before(p.built) {
		c.OK, c.Mend = false, "set the clock"
		c.Says += fmt.Sprintf(", but this program was built at %s", p.built.UTC().Format(time.RFC3339))
	}
	return c
}

// builtAt returns the time of the commit that this program was built from, or
// nothing.
func builtAt() time.Time {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return time.Time{}
	}
	for _, s := range info.Settings {
		if at, err := time.Parse(time.RFC3339, s.Value); err == nil && s.Key == "vcs.time" {
			return at
		}
	}
	return time.Time{}
}

// checkControl asks the cloud that FAKEENTRA_CONTROL names, if it is on this
// machine's loopback. It follows nobody elsewhere.
func checkControl(ctx context.Context, address string) checkup {
	c := checkup{Name: "served cloud", OK: true}
	if address == "" {
		c.Says = controlVariable + " names none"
		return c
	}
	u, err := url.Parse(address)
	if err != nil || !net.ParseIP(u.Hostname()).IsLoopback() {
		c.Says = address + " was not asked, because it has no loopback address, such as 127.0.0.1"
		return c
	}
	hc := &http.Client{
		Transport:     &http.Transport{DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Timeout:       5 * time.Second,
	}
	health, err := control.NewClient(address, hc).Health(ctx)
	if err != nil {
		f := explain((&plane{url: address}).explain(err))
		c.OK, c.Says, c.Mend = false, f.text, `start "fakeentra serve" again, or unset `+controlVariable
		return c
	}
	c.Says = strings.TrimSpace(address + " serves " + health.Scenario)
	return c
}
