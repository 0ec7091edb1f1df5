package reference

import "strings"

// tokenFile returns the assertion of a pod. It is read each time: kubelet replaces
// it long before it ends.
func (c *client) tokenFile() (string, error) {
	if c.Kept != nil && *c.Kept != "" {
		return *c.Kept, nil
	}
	content, err := c.readFile(c.environ("AZURE_FEDERATED_TOKEN_FILE"))
	token := strings.TrimSpace(string(content))
	if c.Kept != nil {
		*c.Kept = token
	}
	return token, err
}
