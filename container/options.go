package container

import (
	"bytes"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"

	"github.com/moby/moby/api/types/container"
	"github.com/testcontainers/testcontainers-go"
	"github.com/testcontainers/testcontainers-go/network"
	"github.com/testcontainers/testcontainers-go/wait"

	"github.com/fakeentra/fakeentra"
	"github.com/fakeentra/fakeentra/fixtures"
)

// An Option says what cloud [Run] starts.
type Option func(*options) error

var _ testcontainers.ContainerCustomizer = Option(nil)

// Customize does nothing: [Run] applies an Option itself.
func (Option) Customize(*testcontainers.GenericContainerRequest) error { return nil }

type options struct {
	scenarioName    string
	scenario        []byte
	host            string
	network         *testcontainers.DockerNetwork
	metadataAddress bool
	names           []string // that the cloud answers for
}

// defaultScenario is what the program serves when it is told nothing.
const defaultScenario = "msi-fic-blob"

// WithScenario starts from a scenario, in YAML. Without it, and without
// [WithScenarioFile], the cloud is that of the scenario msi-fic-blob.
func WithScenario(yaml []byte) Option {
	return func(o *options) error {
		o.scenarioName, o.scenario = "scenario", yaml
		return nil
	}
}

// WithScenarioFile starts from a scenario file of this machine.
func WithScenarioFile(path string) Option {
	return func(o *options) error {
		content, err := os.ReadFile(path)
		if err != nil {
			return fmt.Errorf("fakeentra: cannot read the scenario: %w", err)
		}
		o.scenarioName, o.scenario = path, content
		return nil
	}
}

// WithHost makes programs seem to run on a host of the scenario. Without it, that
// is the first one.
func WithHost(name string) Option {
	return func(o *options) error {
		o.host = name
		return nil
	}
}

// WithNetworkAliases attaches the cloud to a network, and makes all other
// containers there find it under every emulated name: login hosts, storage
// accounts, issuers. What leads them to 169.254.169.254 is
// [Container.JoinNetwork] or [Container.UseProxy], because no name does.
//
// From an internal network, no engine publishes a port: add
// [network.WithBridgeNetwork], so that this machine reaches the cloud.
func WithNetworkAliases(n *testcontainers.DockerNetwork) Option {
	return func(o *options) error {
		o.network = n
		return nil
	}
}

// WithMetadataAddress gives the cloud's own network the address
// 169.254.169.254, and DNS for the emulated names, for containers that join it
// by [Container.JoinNetwork]. No other network is touched. To add the address,
// the cloud runs as root, with the capability NET_ADMIN and no other.
func WithMetadataAddress() Option {
	return func(o *options) error {
		o.metadataAddress = true
		return nil
	}
}

// settle reads the options of this package, and holds them to what the scenario
// says. Others are for Testcontainers.
func settle(opts []testcontainers.ContainerCustomizer) (options, error) {
	o := options{scenarioName: defaultScenario}
	for _, opt := range opts {
		if mine, ok := opt.(Option); ok {
			if err := mine(&o); err != nil {
				return o, err
			}
		}
	}
	return o, o.check()
}

func (o *options) check() (err error) {
	yaml := o.scenario
	if yaml == nil {
		if yaml, err = fixtures.Scenarios.ReadFile("scenarios/" + defaultScenario + ".yaml"); err != nil {
			return err
		}
	}
	cloud, err := fakeentra.New(fakeentra.WithScenarioFile(o.scenarioName, yaml))
	if err != nil {
		return fmt.Errorf("fakeentra: this scenario cannot be used:\n%w", err)
	}
	o.names = cloud.Names()
	if hosts := cloud.Hosts(); o.host != "" && !slices.Contains(hosts, o.host) {
		return fmt.Errorf("fakeentra: the scenario %s has no host %q; it has %s", o.scenarioName, o.host, list(hosts))
	}
	return cloud.Close()
}

func list(names []string) string {
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, ", ")
}

// scenarioPath is where the container has the scenario.
const scenarioPath = "/scenario.yaml"

// command is what the image is run with.
func (o *options) command() []string {
	command := []string{"serve", "--fresh-keys", "--https=:443", "--imds=:80", "--proxy=:8888", "--control=:8099"}
	if o.scenario != nil {
		command = append(command, "--scenario="+scenarioPath)
	}
	if o.host != "" {
		command = append(command, "--host="+o.host)
	}
	if o.metadataAddress {
		command = append(command, "--take-metadata-address", "--dns=127.0.0.1:53", "--dns-answer=169.254.169.254")
	}
	return command
}

// request is what Testcontainers is asked for, before what the caller asks for.
func (o *options) request() []testcontainers.ContainerCustomizer {
	request := []testcontainers.ContainerCustomizer{
		testcontainers.WithCmd(o.command()...),
		testcontainers.WithExposedPorts(httpsPort, imdsPort, proxyPort, controlPort),
		// As the image's own health check, which Docker asks every few seconds only.
		testcontainers.WithWaitStrategy(wait.ForExec([]string{"/fakeentra", "health"})),
	}
	if o.scenario != nil {
		request = append(request, testcontainers.WithFiles(testcontainers.ContainerFile{
			Reader: bytes.NewReader(o.scenario), ContainerFilePath: scenarioPath, FileMode: 0o444,
		}))
	}
	if o.network != nil {
		request = append(request, network.WithNetwork(o.names, o.network))
	}
	if o.metadataAddress {
		request = append(request, testcontainers.WithConfigModifier(asRoot), testcontainers.WithHostConfigModifier(ownMetadata))
	}
	return request
}

func asRoot(c *container.Config) { c.User = "0:0" }

// ownMetadata lets the cloud add an address, and makes it the name server of
// itself and of those who join its network.
func ownMetadata(c *container.HostConfig) {
	c.CapDrop, c.CapAdd = []string{"ALL"}, []string{"NET_ADMIN", "NET_BIND_SERVICE"}
	c.SecurityOpt = append(c.SecurityOpt, "no-new-privileges")
	c.DNS = []netip.Addr{netip.AddrFrom4([4]byte{127, 0, 0, 1})}
}
