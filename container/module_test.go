package container

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/moby/moby/api/types/container"
	"github.com/testcontainers/testcontainers-go"
	"github.com/testcontainers/testcontainers-go/network"
	"github.com/testcontainers/testcontainers-go/wait"

	"github.com/fakeentra/fakeentra/emulator/control"
	"github.com/fakeentra/fakeentra/internal/exampletest"
)

// blobs are what the example lists under the scenario that is used by default.
const blobs = "2026/q1.csv\nq1.csv\nq2.csv\n"

func TestTheModule(t *testing.T) {
	buildImages(t)
	t.Run("leads a child process to the cloud", leadsAChildProcess)
	t.Run("leads a container to the cloud by a shared network", leadsAContainerByASharedNetwork)
	t.Run("publishes ports of a container that joins its network", publishesPortsOfAContainerThatJoins)
	t.Run("leads a container to the cloud by its proxy", leadsAContainerByTheProxy)
	t.Run("answers under the emulated names in a network", answersUnderTheEmulatedNames)
	t.Run("opens each door to this machine", opensEachDoorToThisMachine)
	t.Run("serves a scenario from a host of it", servesAScenario)
	t.Run("says what was asked for when a test fails", saysWhatWasAskedFor)
	t.Run("says what the container said when it ends", saysWhatTheContainerSaid)
	t.Run("refuses before it starts anything", refusesBeforeItStartsAnything)
	t.Run("says that no engine answers", saysThatNoEngineAnswers)
}

// start runs a cloud until the test ends.
func start(t *testing.T, opts ...testcontainers.ContainerCustomizer) *Container {
	t.Helper()
	cloud, err := Run(t.Context(), "fakeentra:"+tag, opts...)
	testcontainers.CleanupContainer(t, cloud)
	if err != nil {
		t.Fatal(err)
	}
	cloud.LogOnFailure(t)
	return cloud
}

// outputOf runs the image of the example to its end and returns what it prints.
func outputOf(t *testing.T, opts ...testcontainers.ContainerCustomizer) string {
	t.Helper()
	ran, err := testcontainers.Run(t.Context(), "fakeentra-example:"+tag, append(opts, testcontainers.WithWaitStrategy(wait.ForExit()))...)
	testcontainers.CleanupContainer(t, ran)
	if err != nil {
		t.Fatal(err)
	}
	said, err := ran.Logs(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(said)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// ops are the operations that a cloud was asked for, without those of discovery.
func ops(t *testing.T, cloud *Container) []string {
	t.Helper()
	plane, err := cloud.Control(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	log, err := plane.Journal(t.Context(), control.Filter{})
	if err != nil {
		t.Fatal(err)
	}
	var ops []string
	for _, e := range log.Of("imds.token", "sts.token", "blob.list-blobs").Entries {
		ops = append(ops, string(e.Op))
	}
	return ops
}

var exchange = []string{"imds.token", "sts.token", "blob.list-blobs"}

func leadsAChildProcess(t *testing.T) {
	cloud := start(t)
	t.Setenv("JAVA_TOOL_OPTIONS", "-Dmine=1")
	t.Setenv("AZURE_AUTHORITY_HOST", "https://elsewhere.example")
	program := exec.CommandContext(t.Context(), exampletest.Build(t, "examples/go-azidentity"))
	env, err := cloud.Environ(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	program.Env = env
	out, err := program.CombinedOutput()
	if diff := cmp.Diff(blobs, string(out)); err != nil || diff != "" {
		t.Errorf("blobs: %v (-want +got):\n%s", err, diff)
	}
	for _, variable := range []string{"SSL_CERT_FILE=" + os.TempDir() + "/fakeentra-", "JAVA_TOOL_OPTIONS=-Dmine=1 -Djavax.net.ssl.trustStore="} {
		if !strings.Contains("\n"+strings.Join(env, "\n"), "\n"+variable) {
			t.Errorf("the environment has no %s", variable)
		}
	}
	if strings.Contains(strings.Join(env, "\n"), "elsewhere.example") {
		t.Error("the environment leads elsewhere by AZURE_AUTHORITY_HOST")
	}
	files, err := cloud.CertificateFiles(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := cloud.Terminate(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Dir(files.CA)); !os.IsNotExist(err) {
		t.Errorf("the folder of certificates is there after Terminate: %v", err)
	}
}

func leadsAContainerByASharedNetwork(t *testing.T) {
	cloud := start(t, WithMetadataAddress())
	if diff := cmp.Diff(blobs, outputOf(t, cloud.JoinNetwork(t.Context()))); diff != "" {
		t.Errorf("blobs (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(exchange, ops(t, cloud)); diff != "" {
		t.Errorf("operations (-want +got):\n%s", diff)
	}
	listBlobsInContainers(t, func() []testcontainers.ContainerCustomizer {
		return []testcontainers.ContainerCustomizer{cloud.JoinNetwork(t.Context())}
	})
}

// listBlobsInContainers runs a program of each language in a container under
// test.
func listBlobsInContainers(t *testing.T, options func() []testcontainers.ContainerCustomizer) {
	for _, p := range programs {
		if !strings.Contains(p.example, "msal") {
			continue // one of each language is enough here
		}
		t.Run(p.example, func(t *testing.T) {
			folder := p.folder(t)
			bind := func(h *container.HostConfig) {
				for _, path := range p.paths(t) {
					h.Binds = append(h.Binds, path+":"+path+":ro")
				}
			}
			said := outputOf(t, append(options(), testcontainers.WithEntrypoint(p.command...), testcontainers.WithHostConfigModifier(bind),
				testcontainers.WithConfigModifier(func(c *container.Config) { c.WorkingDir = folder }))...)
			if !strings.HasSuffix(said, blobs) { // Java talks of other things first
				t.Errorf("it says %q, and no blobs at the end", said)
			}
		})
	}
}

func publishesPortsOfAContainerThatJoins(t *testing.T) {
	cloud := start(t, WithMetadataAddress(), testcontainers.WithExposedPorts("3000/tcp"))
	server, err := testcontainers.Run(t.Context(), "fakeentra:"+tag, cloud.JoinNetwork(t.Context()),
		testcontainers.WithCmd("serve", "--fresh-keys", "--https=", "--imds=", "--proxy=", "--control=:3000"),
		testcontainers.WithWaitStrategy(wait.ForExec([]string{"/fakeentra", "health", "--control", "http://127.0.0.1:3000"})))
	testcontainers.CleanupContainer(t, server)
	if err != nil {
		t.Fatal(err)
	}
	url, err := cloud.endpoint(t.Context(), "http", "3000/tcp")
	if err != nil {
		t.Fatal(err)
	}
	if got := get(t, http.DefaultClient, url+"/health"); got != http.StatusOK {
		t.Errorf("GET %s/health: status %d, want 200", url, got)
	}
}

func leadsAContainerByTheProxy(t *testing.T) {
	cloud := start(t)
	if diff := cmp.Diff(blobs, outputOf(t, cloud.UseProxy(t.Context()))); diff != "" {
		t.Errorf("blobs (-want +got):\n%s", diff)
	}
	own := testcontainers.WithEnv(map[string]string{"NODE_OPTIONS": "--no-warnings", "JAVA_TOOL_OPTIONS": "-Dmine=1"}) // which must not be in the way
	listBlobsInContainers(t, func() []testcontainers.ContainerCustomizer {
		return []testcontainers.ContainerCustomizer{own, cloud.UseProxy(t.Context())}
	})
	_, err := testcontainers.Run(t.Context(), "fakeentra-example:"+tag, cloud.JoinNetwork(t.Context()))
	const want = "customize: fakeentra: JoinNetwork needs a cloud at 169.254.169.254; add container.WithMetadataAddress() to container.Run"
	if err == nil || err.Error() != want {
		t.Errorf("joining its network: %v; want %s", err, want)
	}
}

// The example reaches IMDS by the proxy, and all else by name, because of
// NO_PROXY.
func answersUnderTheEmulatedNames(t *testing.T) {
	networks := output(t, "docker", "network", "ls", "--format", "{{.Name}}")
	machine := addresses(t)
	before := machine()
	t.Run("in a network without a way out", func(t *testing.T) {
		n, err := network.New(t.Context(), network.WithInternal())
		testcontainers.CleanupNetwork(t, n)
		if err != nil {
			t.Fatal(err)
		}
		cloud := start(t, WithNetworkAliases(n), network.WithBridgeNetwork())
		direct := testcontainers.WithEnv(map[string]string{"NO_PROXY": "microsoftonline.com,windows.net"})
		if diff := cmp.Diff(blobs, outputOf(t, direct, cloud.UseProxy(t.Context()))); diff != "" {
			t.Errorf("blobs (-want +got):\n%s", diff)
		}
	})
	if diff := cmp.Diff(networks, output(t, "docker", "network", "ls", "--format", "{{.Name}}")); diff != "" {
		t.Errorf("networks afterwards (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(before, machine()); diff != "" {
		t.Errorf("routes and addresses of the machine afterwards (-want +got):\n%s", diff)
	}
}

func opensEachDoorToThisMachine(t *testing.T) {
	cloud := start(t)
	ca, err := cloud.CAPEM(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(ca)
	for _, door := range []struct {
		url  func(context.Context) (string, error)
		path string
	}{
		{cloud.IMDS, "/metadata/identity/oauth2/token?api-version=2018-02-01&resource=api://AzureADTokenExchange"},
		{cloud.HTTPS, "/11111111-1111-1111-1111-111111111111/v2.0/.well-known/openid-configuration"},
	} {
		url, err := door.url(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, ServerName: "login.microsoftonline.com"}}}
		if got := get(t, client, url+door.path); got != http.StatusOK {
			t.Errorf("GET %s%s: status %d, want 200", url, door.path, got)
		}
	}
	client, err := cloud.Client(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	const configuration = "https://login.microsoftonline.com/11111111-1111-1111-1111-111111111111/v2.0/.well-known/openid-configuration"
	if got := get(t, client, configuration); got != http.StatusOK {
		t.Errorf("GET %s: status %d, want 200", configuration, got)
	}
}

func get(t *testing.T, client *http.Client, url string) int {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Metadata", "true")
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	return resp.StatusCode
}

func servesAScenario(t *testing.T) {
	cloud := start(t, WithScenarioFile("../fixtures/scenarios/two-identities.yaml"), WithHost("vm1"))
	plane, err := cloud.Control(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	info, err := plane.Info(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, m := range info.ManagedIdentities {
		names = append(names, m.Name)
	}
	if diff := cmp.Diff([]string{"build-agent", "log-shipper"}, names); diff != "" {
		t.Errorf("managed identities (-want +got):\n%s", diff)
	}
}

// A failure is a test that has failed, as LogOnFailure sees it.
type failure struct {
	testing.TB
	cleanup func()
	log     string
}

func (f *failure) Failed() bool                    { return true }
func (f *failure) Cleanup(do func())               { f.cleanup = do }
func (f *failure) Logf(format string, args ...any) { f.log += fmt.Sprintf(format, args...) }

func saysWhatWasAskedFor(t *testing.T) {
	cloud := start(t)
	url, err := cloud.IMDS(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	get(t, http.DefaultClient, url+"/metadata/identity/oauth2/token?api-version=2018-02-01&resource=x&client_id=22222222-2222-2222-2222-222222222222")
	failed := &failure{TB: t}
	cloud.LogOnFailure(failed)
	failed.cleanup()
	const want = "What was asked of fakeentra, and why it answered as it did:\n1 imds.token 400 vm1 resource=x refused "
	if !strings.HasPrefix(failed.log, want) {
		t.Errorf("the log of the test is %q, want it to begin with %q", failed.log, want)
	}
}

func saysWhatTheContainerSaid(t *testing.T) {
	cloud, err := Run(t.Context(), "fakeentra:"+tag, testcontainers.WithCmdArgs("--dns=nonsense"))
	testcontainers.CleanupContainer(t, cloud)
	const want = "; the container says:\nfakeentra: --dns is \"nonsense\"; expected an address and a port\nhint: for instance 127.0.0.1:8080, or 127.0.0.1:0 for a free port"
	if err == nil || !strings.HasSuffix(err.Error(), want) {
		t.Errorf("%v; want it to end with %s", err, want)
	}
}

func refusesBeforeItStartsAnything(t *testing.T) {
	wrong := []byte("fakeentra: 1\ntenants:\n  contoso:\n    managed-identity: {}\n")
	for _, c := range []struct {
		image string
		opts  []testcontainers.ContainerCustomizer
		want  string
	}{
		{"fakeentra:" + tag, []testcontainers.ContainerCustomizer{WithScenario(wrong)}, "fakeentra: this scenario cannot be used:\n" +
			`scenario:4: unknown key "managed-identity"; did you mean "managed-identities"? expected one of: id, display-name, domains, policies, managed-identities, applications, service-principals`},
		{"fakeentra:" + tag, []testcontainers.ContainerCustomizer{WithScenarioFile("missing.yaml")}, "fakeentra: cannot read the scenario: open missing.yaml: no such file or directory"},
		{"fakeentra:" + tag, []testcontainers.ContainerCustomizer{WithHost("vm2")}, "fakeentra: the scenario msi-fic-blob has no host \"vm2\"; it has vm1, laptop"},
		{"fakeentra:missing", nil, "fakeentra: the engine has no image \"fakeentra:missing\"; build it from a clone of github.com/fakeentra/fakeentra: container/build missing"},
	} {
		cloud, err := Run(t.Context(), c.image, c.opts...)
		testcontainers.CleanupContainer(t, cloud)
		if cloud != nil || err == nil || err.Error() != c.want {
			t.Errorf("%v, %v; want no container and %s", cloud, err, c.want)
		}
	}
}

func saysThatNoEngineAnswers(t *testing.T) {
	run := exec.CommandContext(t.Context(), "go", "run", "./testdata/run")
	run.Env = append(os.Environ(), "DOCKER_HOST=tcp://127.0.0.1:1")
	out, err := run.CombinedOutput()
	const want = "fakeentra: no Docker engine answers: "
	if got := string(out); err != nil || !strings.HasPrefix(got, want) || !strings.HasSuffix(got, "; start one, or set DOCKER_HOST to its address\n") || strings.Count(got, "\n") != 1 {
		t.Errorf("%v, %s; want one line that begins with %s and ends with what to do", err, got, want)
	}
}
