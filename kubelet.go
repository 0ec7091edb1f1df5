package fakeentra

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path"
	"path/filepath"
	"time"

	"github.com/fakeentra/fakeentra/emulator/kubernetes"
	"github.com/fakeentra/fakeentra/internal/door"
	"github.com/fakeentra/fakeentra/internal/edge"
)

// A projection is what kubelet keeps for one pod: a folder with its service
// account token, and one with the certificate authority of the token proxy.
type projection struct {
	host   string
	folder string // temporary; token and ca-cert are in it
	issued time.Time
	timer  *time.Timer
	proxy  *endpoint // nil without an identity binding
}

// A Mount is a folder of this machine that programs on a host find elsewhere.
type Mount struct {
	Folder string // on this machine
	SeenAs string // the absolute path on the host
}

// Mounts returns the folders that are mounted at the real place, for sandboxes
// that can do so: they mount each one, and set [Host.MountedVariables]. Only pods
// have any. The first call makes them; Close removes them. It panics if they
// cannot be made.
func (h *Host) Mounts() []Mount {
	if _, ok := h.cloud.kubernetes.Pod(h.name); !ok {
		return nil
	}
	p, err := h.cloud.project(h.name)
	must(err)
	out := []Mount{{p.tokens(), path.Dir(kubernetes.TokenFile)}}
	if p.proxy != nil {
		out = append(out, Mount{p.authorities(), path.Dir(kubernetes.CAFile)})
	}
	return out
}

// MountedVariables returns [Host.Variables] as they are where [Host.Mounts] are
// mounted and production host names lead to the Cloud: exactly those of the real
// place.
func (h *Host) MountedVariables() []string {
	pod := h.cloud.kubernetes.Variables(h.name, kubernetes.Injection{TokenFile: kubernetes.TokenFile, CAFile: kubernetes.CAFile})
	if pod == nil {
		return h.Variables()
	}
	return pod
}

// SandboxVariables returns [Host.Variables] as they are where production host
// names lead to the Cloud, and files are where they are on this machine: the
// token proxy of a pod has the name of its cluster.
func (h *Host) SandboxVariables() []string {
	if _, ok := h.cloud.kubernetes.Pod(h.name); !ok {
		return h.Variables()
	}
	p, err := h.cloud.project(h.name)
	must(err)
	at := p.injection()
	at.Proxy = ""
	return h.cloud.kubernetes.Variables(h.name, at)
}

// workloadVariables are those of places where an assertion comes from elsewhere
// than a managed identity endpoint.
func (h *Host) workloadVariables() []string {
	if _, ok := h.cloud.kubernetes.Pod(h.name); !ok {
		return h.cloud.runners.Variables(h.name)
	}
	p, err := h.cloud.project(h.name)
	must(err)
	return h.cloud.kubernetes.Variables(h.name, p.injection())
}

func (p *projection) tokens() string      { return filepath.Join(p.folder, "token") }
func (p *projection) authorities() string { return filepath.Join(p.folder, "ca-cert") }

// injection says where programs on this machine find what is in the folders.
func (p *projection) injection() kubernetes.Injection {
	at := kubernetes.Injection{TokenFile: filepath.Join(p.tokens(), path.Base(kubernetes.TokenFile))}
	if p.proxy != nil {
		at.CAFile, at.Proxy = filepath.Join(p.authorities(), path.Base(kubernetes.CAFile)), p.proxy.origin
	}
	return at
}

// project returns the projection of a pod, which begins with the first call.
func (c *Cloud) project(host string) (*projection, error) {
	c = c.line.latest.Load()
	c.projecting.Lock()
	defer c.projecting.Unlock()
	if c.isClosed() {
		return nil, errClosed
	}
	if p := c.projections[host]; p != nil {
		return p, nil
	}
	p, err := c.beginProjection(host)
	if err != nil {
		return nil, fmt.Errorf("pod %q: %w", host, err)
	}
	if c.projections == nil {
		c.projections = map[string]*projection{}
	}
	c.projections[host] = p
	return p, nil
}

func (c *Cloud) isClosed() bool {
	c = c.line.first
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.closed
}

func (c *Cloud) beginProjection(host string) (*projection, error) {
	folder, err := os.MkdirTemp("", "fakeentra-pod-")
	if err != nil {
		return nil, fmt.Errorf("cannot make a temporary folder for its token: %w; set TMPDIR to one that can be written", err)
	}
	p := &projection{host: host, folder: folder}
	if err := c.fill(p); err != nil {
		return nil, errors.Join(err, p.end())
	}
	p.timer = time.AfterFunc(c.untilDue(p), func() { c.line.latest.Load().tick(host) })
	return p, nil
}

// fill makes the folders and what is in them.
func (c *Cloud) fill(p *projection) error {
	if err := os.Mkdir(p.tokens(), 0o700); err != nil {
		return err
	}
	if err := c.rotate(p); err != nil {
		return err
	}
	pod, _ := c.kubernetes.Pod(p.host)
	if !pod.Bound() {
		return nil
	}
	return c.openTokenProxy(p)
}

// openTokenProxy listens as the token proxy of a pod's cluster, and writes the
// authority to trust there to a file. Programs that call it by its production
// name get the same certificates.
func (c *Cloud) openTokenProxy(p *projection) error {
	authority, err := c.tokenProxyAuthority()
	if err != nil {
		return err
	}
	if err := os.Mkdir(p.authorities(), 0o700); err != nil {
		return err
	}
	if err := replaceFile(p.authorities(), path.Base(kubernetes.CAFile), authority.PEM()); err != nil {
		return err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("cannot listen on a loopback address: %w", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	p.proxy = &endpoint{origin: "https://" + l.Addr().String(), cancel: cancel, done: make(chan error, 1)}
	go func() { p.proxy.done <- door.ServeTLS(ctx, l, c.line.clusters, authority, p.host) }()
	return nil
}

// rotate replaces the token of a pod, as kubelet does.
func (c *Cloud) rotate(p *projection) error {
	req, err := c.kubernetes.TokenRequest(p.host)
	if err != nil {
		return err
	}
	now := c.Now()
	resp, err := c.router.Serve(edge.Caller{Host: "kubelet", TLS: true}, req)
	if err != nil {
		return fmt.Errorf("its token cannot be had: %w", err)
	}
	body, err := io.ReadAll(resp.HTTP(req).Body)
	if err != nil {
		return err
	}
	raw, err := kubernetes.ReadToken(resp.Status, body)
	if err != nil {
		return err
	}
	p.issued = now
	return replaceFile(p.tokens(), path.Base(kubernetes.TokenFile), []byte(raw))
}

// retry is how long kubelet waits after a token that could not be had.
const retry = time.Minute

// untilDue returns how long the token of a pod is good for.
func (c *Cloud) untilDue(p *projection) time.Duration {
	return max(kubernetes.Due(p.issued).Sub(c.Now()), time.Second)
}

// due reports whether a token has to be replaced. One from the future is of a
// clock that was set back.
func (c *Cloud) due(p *projection) bool {
	now := c.Now()
	return now.Before(p.issued) || !now.Before(kubernetes.Due(p.issued))
}

// tick replaces a token in real time. What goes wrong is in the journal, and the
// old token stays where it is.
func (c *Cloud) tick(host string) {
	c.projecting.Lock()
	defer c.projecting.Unlock()
	p := c.projections[host]
	if p == nil {
		return // the Cloud was closed meanwhile
	}
	c.refresh(p)
}

// refresh replaces a token that is due, and sets the timer anew.
func (c *Cloud) refresh(p *projection) {
	wait := retry
	if !c.due(p) || c.rotate(p) == nil {
		wait = c.untilDue(p)
	}
	p.timer.Reset(wait)
}

// clockMoved replaces at once the tokens that are due by now.
func (c *Cloud) clockMoved() {
	c.projecting.Lock()
	defer c.projecting.Unlock()
	for _, p := range c.projections {
		c.refresh(p)
	}
}

// adopt takes over the projections of the Cloud before. Where a new token cannot
// be written, the old one stays, as ever.
func (c *Cloud) adopt(old *Cloud) {
	old.projecting.Lock()
	held, authority := old.projections, old.clusterCA
	old.projections = nil
	old.projecting.Unlock()
	c.projecting.Lock()
	c.projections, c.clusterCA = held, authority
	c.projecting.Unlock()
	_ = c.reproject()
}

// reproject gives pods that came back with a reset a new token, and takes those
// of others away.
func (c *Cloud) reproject() error {
	c.projecting.Lock()
	defer c.projecting.Unlock()
	var errs []error
	for host, p := range c.projections {
		if _, ok := c.kubernetes.Pod(host); ok {
			errs = append(errs, c.rotate(p))
			p.timer.Reset(c.untilDue(p))
			continue
		}
		delete(c.projections, host)
		errs = append(errs, p.end())
	}
	return errors.Join(errs...)
}

// closeProjections stops kubelet and the token proxies, and removes the files.
func (c *Cloud) closeProjections() error {
	c.projecting.Lock()
	defer c.projecting.Unlock()
	var errs []error
	for _, p := range c.projections {
		errs = append(errs, p.end())
	}
	c.projections = nil
	return errors.Join(errs...)
}

func (p *projection) end() error {
	if p.timer != nil {
		p.timer.Stop()
	}
	var err error
	if p.proxy != nil {
		p.proxy.cancel()
		err = <-p.proxy.done
	}
	return errors.Join(err, os.RemoveAll(p.folder))
}
