package reference

import "strings"

// tokenFile returns the assertion of a pod. It is read each time: kubelet replaces
// it long before it ends.
func (c *client) tokenFile() (string, error) {
	content, err := c.readFile(c.environ("AZURE_FEDERATED_TOKEN_FILE"))
	return strings.TrimSpace(string(content)), err
}
