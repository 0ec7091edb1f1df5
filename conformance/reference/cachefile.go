package reference

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/AzureAD/microsoft-authentication-library-for-go/apps/cache"
)

// A cacheFile keeps the tokens of MSAL for the next start, when the configuration
// asks for that. Nobody but its owner can read it.
type cacheFile struct {
	path string
	mode fs.FileMode
}

// cacheFile returns the file for a tenant, or false if there is to be none: a client
// in the process of the suite has no home.
func (c *client) cacheFile(tenant string) (cacheFile, bool) {
	home, err := os.UserHomeDir()
	if err != nil || c.Transport != nil || !c.PersistentCache && !c.CacheUnasked {
		return cacheFile{}, false
	}
	mode := fs.FileMode(0o600)
	if c.CacheReadable {
		mode = 0o644
	}
	return cacheFile{filepath.Join(home, ".fakeentra-reference", tenant+".json"), mode}, true
}

// Replace implements [cache.ExportReplace].
func (f cacheFile) Replace(_ context.Context, to cache.Unmarshaler, _ cache.ReplaceHints) error {
	content, err := os.ReadFile(f.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return to.Unmarshal(content)
}

// Export implements [cache.ExportReplace].
func (f cacheFile) Export(_ context.Context, from cache.Marshaler, _ cache.ExportHints) error {
	content, err := from.Marshal()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(f.path), 0o700); err != nil {
		return err
	}
	return os.WriteFile(f.path, content, f.mode)
}
