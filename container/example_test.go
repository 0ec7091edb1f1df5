package container_test

import (
	"os/exec"
	"testing"

	"github.com/testcontainers/testcontainers-go"

	"github.com/fakeentra/fakeentra/container"
)

// A test of a program that runs on this machine.
func Example() {
	_ = func(t *testing.T) {
		cloud, err := container.Run(t.Context(), "fakeentra:latest", container.WithScenarioFile("my-cloud.yaml"))
		testcontainers.CleanupContainer(t, cloud)
		if err != nil {
			t.Fatal(err)
		}
		cloud.LogOnFailure(t)

		program := exec.CommandContext(t.Context(), "./export")
		if program.Env, err = cloud.Environ(t.Context()); err != nil {
			t.Fatal(err)
		}
		if out, err := program.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
}

// A test of a program in a container, which finds the cloud at 169.254.169.254.
func ExampleContainer_JoinNetwork() {
	_ = func(t *testing.T) {
		cloud, err := container.Run(t.Context(), "fakeentra:latest", container.WithMetadataAddress(), testcontainers.WithExposedPorts("3000/tcp"))
		testcontainers.CleanupContainer(t, cloud)
		if err != nil {
			t.Fatal(err)
		}
		cloud.LogOnFailure(t)

		exporter, err := testcontainers.Run(t.Context(), "my-exporter:latest", cloud.JoinNetwork(t.Context()))
		testcontainers.CleanupContainer(t, exporter)
		if err != nil {
			t.Fatal(err)
		}
		address, err := cloud.PortEndpoint(t.Context(), "3000/tcp", "http") // of the exporter
		if err != nil {
			t.Fatal(err)
		}
		t.Log(address)
	}
}
