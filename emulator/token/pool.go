package token

import (
	"errors"
	"fmt"
	"io/fs"
	"sync"
)

// A Pool hands out keys that were made before, so that a cloud starts without
// generating any. When it has none left it generates. A Pool may be shared and
// used from several goroutines.
type Pool struct {
	files fs.FS
	mu    sync.Mutex
	keys  map[string]*Key // parsed so far
}

// NewPool returns a Pool of the files keys/key1.pem, keys/key2.pem and so on in
// files.
func NewPool(files fs.FS) *Pool { return &Pool{files: files, keys: map[string]*Key{}} }

// From returns a source of keys for a [Ring], which starts with the n-th key.
// Sources that start at different numbers have no key in common until they have
// passed through the whole pool.
func (p *Pool) From(n int) func() (*Key, error) {
	size := p.size()
	taken := 0
	var mu sync.Mutex
	return func() (*Key, error) {
		mu.Lock()
		defer mu.Unlock()
		if taken >= size {
			return GenerateKey()
		}
		taken++
		return p.key((n+taken-1)%size + 1)
	}
}

func (p *Pool) size() int {
	for n := 0; ; n++ {
		if _, err := fs.Stat(p.files, name(n+1)); errors.Is(err, fs.ErrNotExist) {
			return n
		}
	}
}

func name(n int) string { return fmt.Sprintf("keys/key%d.pem", n) }

func (p *Pool) key(n int) (*Key, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if k := p.keys[name(n)]; k != nil {
		return k, nil
	}
	b, err := fs.ReadFile(p.files, name(n))
	if err != nil {
		return nil, err
	}
	k, err := ParsePEM(b)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name(n), err)
	}
	p.keys[name(n)] = k
	return k, nil
}
