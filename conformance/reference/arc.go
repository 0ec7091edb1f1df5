package reference

import (
	"context"
	"encoding/json"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/fakeentra/fakeentra/conformance/driver"
)

// arc is a machine elsewhere with the agent of Azure Arc. The agent has a client
// prove that it may read a file.
type arc struct {
	elsewhere
	endpoint string
}

// ask implements [source].
func (a arc) ask(ctx context.Context, m *managedIdentity, resource, _ string) (*http.Response, []byte, error) {
	q := url.Values{"api-version": {"2020-06-01"}, "resource": {resource}}
	names := map[string]string{"client_id": "client_id", "object_id": "object_id", "resource_id": "msi_res_id"}
	if err := m.selector(q, names); err != nil {
		return nil, nil, err
	}
	try := func(authorization string) (*http.Response, []byte, error) {
		req, err := get(ctx, a.endpoint, q)
		if err != nil {
			return nil, nil, err
		}
		req.Header.Set("Metadata", "true")
		if authorization != "" {
			req.Header.Set("Authorization", authorization)
		}
		return m.send(req)
	}
	resp, body, err := try("")
	if err != nil || resp.StatusCode != http.StatusUnauthorized {
		return resp, body, err
	}
	key, err := m.arcKey(resp.Header)
	if err != nil {
		return nil, nil, err
	}
	resp, body, err = try("Basic " + key)
	if err == nil && resp.StatusCode == http.StatusOK {
		err = m.confirmed(body, names)
	}
	return resp, body, err
}

// keyFile returns the file that a challenge names. Its path is not quoted.
func keyFile(h http.Header) (string, error) {
	challenges := h.Values("Www-Authenticate")
	if len(challenges) == 1 {
		if path, ok := strings.CutPrefix(challenges[0], "Basic realm="); ok && !strings.ContainsAny(path, `",`) {
			return path, nil
		}
	}
	return "", failed(driver.Auth, "the agent of Azure Arc did not answer with one challenge of the form Basic realm=FILE in WWW-Authenticate")
}

// maxKey is the longest key that is sent anywhere.
const maxKey = 4096

// arcKey reads the key that a challenge asks for. Only the agent can put a file
// where one is accepted, so that nobody else who answers at the endpoint gets to
// see what other files contain.
func (m *managedIdentity) arcKey(h http.Header) (string, error) {
	path, err := keyFile(h)
	if err != nil {
		if m.EmptyKey {
			return "", nil
		}
		return "", err
	}
	folder := m.agentFolder()
	inside := filepath.Clean(path) == path && filepath.Dir(path) == folder || m.LooseFolder && strings.HasPrefix(path, folder)
	switch {
	case !inside:
		return "", failed(driver.Auth, "the key file of Azure Arc is not in %s, where the agent puts it", folder)
	case filepath.Ext(path) != ".key":
		return "", failed(driver.Auth, "the key file of Azure Arc does not end in .key")
	}
	info, err := m.lstat(path)
	switch {
	case err != nil:
		return "", failed(driver.Auth, "the key file of Azure Arc cannot be read: %v", err)
	case m.accepts(info):
	case !info.Mode().IsRegular():
		return "", failed(driver.Auth, "the key file of Azure Arc is no ordinary file")
	case info.Size() > maxKey:
		return "", failed(driver.Auth, "the key file of Azure Arc is longer than %d bytes", maxKey)
	}
	key, err := m.readFile(path)
	if err != nil {
		return "", failed(driver.Auth, "the key file of Azure Arc cannot be read: %v", err)
	}
	return string(key), nil
}

// agentFolder is where the agent puts its key files.
func (m *managedIdentity) agentFolder() string {
	if runtime.GOOS == "windows" {
		return filepath.Join(m.environ("ProgramData"), "AzureConnectedMachineAgent", "Tokens")
	}
	return "/var/opt/azcmagent/tokens"
}

func (c *client) lstat(name string) (fs.FileInfo, error) {
	if c.Lstat != nil {
		return c.Lstat(name)
	}
	return os.Lstat(name)
}

// confirmed makes sure that a token is of the identity that was asked for. Agents
// of before 2026 do not know about selectors, and answer with another identity's.
func (m *managedIdentity) confirmed(body []byte, names map[string]string) error {
	name := names[m.Identity.Kind]
	if name == "" || m.Unconfirmed {
		return nil
	}
	var answer map[string]any
	_ = json.Unmarshal(body, &answer) // what is no JSON confirms nothing
	if id, _ := answer[name].(string); strings.EqualFold(id, m.Identity.Value) {
		return nil
	}
	return failed(driver.Auth, "the agent of Azure Arc did not confirm that the token is of the identity %s", m.Identity.Value)
}
