// Package container runs a cloud in a container, as a module of Testcontainers
// for Go:
//
//	cloud, err := container.Run(ctx, "fakeentra:latest", container.WithScenarioFile("my-cloud.yaml"))
//	testcontainers.CleanupContainer(t, cloud)
//	if err != nil {
//		t.Fatal(err)
//	}
//	cloud.LogOnFailure(t)
//
//	program := exec.CommandContext(ctx, "./export") // yours, with its production URLs
//	program.Env, err = cloud.Environ(ctx)
//
// The script container/build makes the image, from a clone of this module.
//
// A program on this machine is led to the cloud by [Container.Environ], and Go
// code of the test itself by [Container.Client]. A container under test is led
// to it by one of two options, which it is run with: [Container.JoinNetwork]
// leaves it as it is in production, and [Container.UseProxy] lets it keep a
// network of its own.
package container

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/testcontainers/testcontainers-go"

	"github.com/fakeentra/fakeentra"
	"github.com/fakeentra/fakeentra/emulator/control"
)

// Where the image listens.
const (
	httpsPort   = "443/tcp"
	imdsPort    = "80/tcp"
	proxyPort   = "8888/tcp"
	controlPort = "8099/tcp"
)

// A Container is a running cloud. Its methods may be called from several
// goroutines.
type Container struct {
	*testcontainers.DockerContainer
	options options

	mu     sync.Mutex
	folder string // of certificates on this machine, since the first Environ
	files  fakeentra.Certificates
}

// Run starts a cloud and waits until it is up. Besides those of this package, it
// takes all options of Testcontainers; what they say goes before what this
// package says.
//
// It fails before it starts anything if the scenario is broken, if no engine
// answers or if the image is missing. If it fails later, the container that it
// returns is there to be terminated.
func Run(ctx context.Context, image string, opts ...testcontainers.ContainerCustomizer) (*Container, error) {
	o, err := settle(opts)
	if err != nil {
		return nil, err
	}
	if err := prepared(ctx, image); err != nil {
		return nil, err
	}
	running, err := testcontainers.Run(ctx, image, append(o.request(), opts...)...)
	if running == nil {
		return nil, fmt.Errorf("fakeentra: %w", err)
	}
	c := &Container{DockerContainer: running, options: o}
	if err != nil {
		return c, c.explain(err)
	}
	return c, nil
}

// explain adds what the container said before it ended.
func (c *Container) explain(err error) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience) // that of the caller may be done
	defer cancel()
	said, failed := c.Logs(ctx)
	if failed != nil {
		return fmt.Errorf("fakeentra: %w", err)
	}
	defer func() { _ = said.Close() }()
	const enough = 64 << 10
	text, _ := io.ReadAll(io.LimitReader(said, enough)) // what was read will do
	return fmt.Errorf("fakeentra: %w; the container says:\n%s", err, strings.TrimSpace(string(text)))
}

// patience is for questions to a cloud that is up, or has just ended.
const patience = 10 * time.Second

// endpoint returns the URL of a port, as this machine reaches it. It has an
// address in it, not a name: the control plane answers for no other name than
// localhost, and ::1 may not be published.
func (c *Container) endpoint(ctx context.Context, scheme, port string) (string, error) {
	host, err := c.Host(ctx)
	if err != nil {
		return "", fmt.Errorf("fakeentra: cannot tell where the engine publishes ports: %w", err)
	}
	addresses, err := net.DefaultResolver.LookupNetIP(ctx, "ip4", host)
	if err != nil {
		return "", fmt.Errorf("fakeentra: cannot tell where the engine publishes ports: %w", err)
	}
	published, err := c.MappedPort(ctx, port)
	if err != nil {
		return "", fmt.Errorf("fakeentra: cannot tell the port of the container's %s: %w", port, err)
	}
	return scheme + "://" + netip.AddrPortFrom(addresses[0].Unmap(), published.Num()).String(), nil
}

// HTTPS returns the URL of the port that answers for login hosts, storage
// accounts and issuers. It chooses among them by the name in the TLS handshake,
// so dial it, and ask for theirs.
func (c *Container) HTTPS(ctx context.Context) (string, error) {
	return c.endpoint(ctx, "https", httpsPort)
}

// IMDS returns the URL of the managed identity endpoint of the emulated host,
// which unmodified programs look for at http://169.254.169.254.
func (c *Container) IMDS(ctx context.Context) (string, error) {
	return c.endpoint(ctx, "http", imdsPort)
}

// Proxy returns the URL of the forward proxy, which answers for every emulated
// name and for 169.254.169.254.
func (c *Container) Proxy(ctx context.Context) (string, error) {
	return c.endpoint(ctx, "http", proxyPort)
}

// Control returns a client of the control plane: journal, faults, clock, keys,
// and the names and identifiers of what the scenario defines.
func (c *Container) Control(ctx context.Context) (*control.Client, error) {
	url, err := c.endpoint(ctx, "http", controlPort)
	if err != nil {
		return nil, err
	}
	return control.NewClient(url, nil), nil
}

// LogOnFailure writes to the log of a test that fails what was asked of the
// cloud, and why each answer was given. Call it after
// [testcontainers.CleanupContainer], which would end the cloud too early.
func (c *Container) LogOnFailure(t fakeentra.TB) {
	t.Helper()
	t.Cleanup(func() {
		if !t.Failed() {
			return
		}
		ctx, cancel := context.WithTimeout(context.Background(), patience) // that of the test is done
		defer cancel()
		t.Logf("What was asked of fakeentra, and why it answered as it did:\n%s", c.transcript(ctx))
	})
}

func (c *Container) transcript(ctx context.Context) string {
	plane, err := c.Control(ctx)
	if err != nil {
		return err.Error()
	}
	log, err := plane.Journal(ctx, control.Filter{})
	if err != nil {
		return err.Error()
	}
	return log.String()
}
