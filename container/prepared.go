package container

import (
	"context"
	"fmt"
	"strings"

	"github.com/containerd/errdefs"
	"github.com/testcontainers/testcontainers-go"
)

// prepared fails unless an engine answers, and has an image that cannot be
// pulled.
func prepared(ctx context.Context, image string) (err error) {
	defer func() {
		if p := recover(); p != nil { // Testcontainers panics where it finds no engine
			err = noEngine(p)
		}
	}()
	provider, err := testcontainers.NewDockerProvider()
	if err != nil {
		return noEngine(err)
	}
	defer func() { _ = provider.Close() }()
	if err := provider.Health(ctx); err != nil {
		return noEngine(err)
	}
	if strings.Contains(image, "/") || provider.Config().Config.HubImageNamePrefix != "" {
		return nil // of a registry, which Testcontainers asks for it
	}
	if _, err = provider.Client().ImageInspect(ctx, image); errdefs.IsNotFound(err) {
		return fmt.Errorf("fakeentra: the engine has no image %q; build it from a clone of github.com/fakeentra/fakeentra: container/build%s", image, tagOf(image))
	}
	return err
}

func noEngine(cause any) error {
	all := strings.ReplaceAll(fmt.Sprint(cause), "\n", ", ") // one for each place where it may be
	return fmt.Errorf("fakeentra: no Docker engine answers: %s; start one, or set DOCKER_HOST to its address", all)
}

// tagOf returns what container/build must be told.
func tagOf(image string) string {
	if _, tag, ok := strings.Cut(image, ":"); ok {
		return " " + tag
	}
	return ""
}
