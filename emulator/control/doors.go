package control

import (
	"context"
	"net/http"

	"github.com/fakeentra/fakeentra/internal/edge"
)

// HostDoors are the ways in for programs on one host.
type HostDoors struct {
	Host  string            `json:"host"`
	Doors map[string]string `json:"doors"` // URLs by kind, as in Info
	// Variables are those that Azure sets on the host, in the form of os.Environ.
	Variables []string `json:"variables,omitempty"`
}

func postDoors(c *call) (edge.Response, *refusal) {
	const example = `{"host": name}`
	texts, no := readTexts(c.body, example, "host")
	if no != nil {
		return edge.Response{}, no
	}
	if texts["host"] == "" {
		return edge.Response{}, refuse("bad-body", "the request body names no host").expecting(example)
	}
	doors, err := c.OpenDoors(texts["host"])
	if err != nil {
		return edge.Response{}, refuse("cannot", err).expecting("the name of a host of this cloud")
	}
	return edge.JSON(http.StatusOK, doors), nil
}

// OpenDoors opens doors for programs on a host, beside those that the cloud was
// started with, unless there are any.
func (c *Client) OpenDoors(ctx context.Context, host string) (HostDoors, error) {
	var doors HostDoors
	err := c.call(ctx, http.MethodPost, "/doors", map[string]string{"host": host}, &doors)
	return doors, err
}
