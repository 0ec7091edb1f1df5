package container

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"path"
	"slices"
	"strings"

	"github.com/moby/moby/api/types/container"
	"github.com/testcontainers/testcontainers-go"

	"github.com/fakeentra/fakeentra"
	"github.com/fakeentra/fakeentra/internal/door"
	"github.com/fakeentra/fakeentra/internal/pki"
)

// JoinNetwork returns an option for a container under test, which then has no
// network but that of the cloud, as by "docker run --network container:ID":
// 169.254.169.254, every emulated name and DNS are the cloud's. Programs need no
// setting and no proxy; they are given certificates to trust by variables. Start
// the cloud with [WithMetadataAddress].
//
// The two share their ports: expose those of the container under test at [Run],
// and do without 80, 443, 8888 and 8099.
func (c *Container) JoinNetwork(ctx context.Context) testcontainers.CustomizeRequestOption {
	return func(req *testcontainers.GenericContainerRequest) error {
		if !c.options.metadataAddress {
			return errors.New("fakeentra: JoinNetwork needs a cloud at 169.254.169.254; add container.WithMetadataAddress() to container.Run")
		}
		files := certificatesUnderTest()
		env := fakeentra.Doors{}.Environ(files)
		env = append(env, "JAVA_TOOL_OPTIONS=-Djavax.net.ssl.trustStore="+files.TrustStore+" -Djavax.net.ssl.trustStorePassword="+pki.JKSPassword)
		join := func(h *container.HostConfig) { h.NetworkMode = container.NetworkMode("container:" + c.ID) }
		return errors.Join(c.trust(ctx, req, files, env), testcontainers.WithHostConfigModifier(join)(req))
	}
}

// UseProxy returns an option for a container under test, which is then attached
// to the network of the cloud, and given variables that lead programs to its
// proxy and make them trust it. It needs no privilege, and the network of the
// cloud can be any, but programs must honour proxies, as most do. Node.js does
// so for all of its connections, by a module that it preloads. To reach other
// containers, extend NO_PROXY and no_proxy. Options that the image itself has in
// JAVA_TOOL_OPTIONS or NODE_OPTIONS are lost unless you set them again.
func (c *Container) UseProxy(ctx context.Context) testcontainers.CustomizeRequestOption {
	return func(req *testcontainers.GenericContainerRequest) error {
		name, address, err := c.reachable(ctx)
		if err != nil {
			return err
		}
		if !slices.Contains(req.Networks, name) {
			req.Networks = append(req.Networks, name)
		}
		port, _, _ := strings.Cut(proxyPort, "/")
		files := certificatesUnderTest()
		files.NodeProxy = path.Join(path.Dir(files.CA), door.NodeProxyFile)
		return c.trust(ctx, req, files, fakeentra.Doors{Proxy: "http://" + net.JoinHostPort(address, port)}.Environ(files))
	}
}

// reachable returns a network that the cloud is in, and its address there.
func (c *Container) reachable(ctx context.Context) (name, address string, err error) {
	state, err := c.Inspect(ctx)
	if err != nil {
		return "", "", fmt.Errorf("fakeentra: cannot tell the network of the cloud: %w", err)
	}
	networks := state.NetworkSettings.Networks
	names := slices.Sorted(maps.Keys(networks))
	if n := c.options.network; n != nil {
		names = []string{n.Name}
	}
	for _, name := range names {
		if n := networks[name]; n != nil && n.IPAddress.IsValid() {
			return name, n.IPAddress.String(), nil
		}
	}
	return "", "", errors.New("fakeentra: the cloud has no address in a network; attach it to one, as by container.WithNetworkAliases")
}

// certificatesUnderTest are where containers under test have the certificates.
func certificatesUnderTest() fakeentra.Certificates {
	const folder = "/fakeentra-certificates"
	return fakeentra.Certificates{CA: path.Join(folder, caFile), Bundle: path.Join(folder, bundleFile), TrustStore: path.Join(folder, trustStoreFile)}
}

// trust adds files and variables to a container under test. What it sets itself
// stays, and comes before ours where a variable holds options.
func (c *Container) trust(ctx context.Context, req *testcontainers.GenericContainerRequest, files fakeentra.Certificates, env []string) error {
	contents, err := c.certificates(ctx)
	if err != nil {
		return err
	}
	for _, name := range []string{files.CA, files.Bundle, files.TrustStore, files.NodeProxy} {
		if name != "" {
			req.Files = append(req.Files, testcontainers.ContainerFile{Reader: bytes.NewReader(contents[path.Base(name)]), ContainerFilePath: name, FileMode: 0o444})
		}
	}
	if req.Env == nil {
		req.Env = map[string]string{}
	}
	for _, variable := range env {
		name, value, _ := strings.Cut(variable, "=")
		given, set := req.Env[name]
		switch {
		case !set:
			req.Env[name] = value
		case name == "JAVA_TOOL_OPTIONS" || name == "NODE_OPTIONS":
			req.Env[name] = strings.TrimSpace(given + " " + value)
		}
	}
	return nil
}
