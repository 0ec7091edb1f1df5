// Package blob emulates the Blob service of Azure Storage as far as a workload
// needs it that signs in with Microsoft Entra: containers, block blobs, lists,
// and above all the decision whether a bearer token may do what it asks for.
//
// What Blob can do beyond that (leases, snapshots, copies, tags, append and
// page blobs, shared access signatures) is refused with 501 and never answered
// with wrong data. Every refusal is one row of the table that [Refusals]
// returns.
package blob

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/fakeentra/fakeentra/emulator/directory"
	"github.com/fakeentra/fakeentra/emulator/environment"
	"github.com/fakeentra/fakeentra/emulator/token"
	"github.com/fakeentra/fakeentra/internal/edge"
	"github.com/fakeentra/fakeentra/internal/pattern"
)

// Config is what a Service needs. All fields must be set.
type Config struct {
	Environment environment.Environment
	Directory   *directory.Directory
	// Keys are the signing keys of the cloud's token service.
	Keys token.KeySource
	// Seed sets the ETags of one cloud apart from those of another.
	Seed string
}

// A Service is the Blob service of a cloud: the endpoints of all its storage
// accounts. Its methods may be called from several goroutines.
type Service struct {
	Config
	routes []edge.Route
	store  store

	mu       sync.RWMutex
	accounts map[string]Account
}

// An Account is a storage account.
type Account struct {
	Name string // 3 to 24 lower-case letters and digits
	// Tenant is the tenant of the account's subscription. Only tokens of this
	// tenant are accepted.
	Tenant directory.TenantID
	// ResourceID is the scope that role assignments on the account have.
	ResourceID directory.ResourceID
	// PublicAccess allows containers that anyone may read. It is off in accounts
	// made since November 2023.
	PublicAccess bool
}

// New returns a Service without accounts, which keeps blobs in memory.
func New(c Config) *Service {
	s := &Service{Config: c, accounts: map[string]Account{}, store: newMemory(c.Seed)}
	s.routes = s.table()
	return s
}

// accountName is the rule of Microsoft's page "Storage account overview".
var accountName = pattern.New(`^[a-z0-9]{3,24}$`)

// AddAccount adds a storage account. It fails when the name is not one that
// Azure would take, or is taken, and when the resource ID is missing.
func (s *Service) AddAccount(a Account) error {
	if !accountName.MatchString(a.Name) {
		return fmt.Errorf("storage account %q: the name must be 3 to 24 lower-case letters and digits", a.Name)
	}
	if a.ResourceID == "" {
		return fmt.Errorf("storage account %q: the resource ID is missing, which roles are assigned on", a.Name)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, taken := s.accounts[a.Name]; taken {
		return fmt.Errorf("storage account %q: the name is taken; account names are unique in the whole cloud", a.Name)
	}
	s.accounts[a.Name] = a
	return nil
}

// Account returns the account with a name.
func (s *Service) Account(name string) (Account, bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	a, ok := s.accounts[name]
	return a, ok
}

// Accounts returns all accounts, sorted by name.
func (s *Service) Accounts() []Account {
	s.mu.RLock()
	defer s.mu.RUnlock()
	out := make([]Account, 0, len(s.accounts))
	for _, a := range s.accounts {
		out = append(out, a)
	}
	slices.SortFunc(out, func(a, b Account) int { return cmp.Compare(a.Name, b.Name) })
	return out
}

// Knows reports whether a host name, without a port, is the endpoint of an
// account of this service, or its secondary endpoint.
func (s *Service) Knows(host string) bool {
	name, _ := s.accountOf(host)
	_, ok := s.Account(name)
	return ok
}

// CreateContainer makes an empty private container, as it would be created at
// now. It does nothing when the container exists.
func (s *Service) CreateContainer(account, name string, now time.Time) error {
	at := place{account: account, container: name}
	if err := s.usable(at); err != nil {
		return err
	}
	s.store.update(func(tx transaction) { provide(tx, at, now) })
	return nil
}

// PutBlob stores a block blob as it would be uploaded at now, and creates its
// container if need be. An empty content type stands for
// application/octet-stream. The caller must not change content afterwards.
func (s *Service) PutBlob(account, containerName, name string, content []byte, contentType string, now time.Time) error {
	at := place{account: account, container: containerName, blob: name}
	if err := s.usable(at); err != nil {
		return err
	}
	if err := checkBlobName(name); err != nil {
		return fmt.Errorf("blob %q in %s/%s: %s", name, account, containerName, err.Reason)
	}
	properties := contentHeaders{Type: cmp.Or(contentType, defaultContentType), MD5: md5Of(content)}
	s.store.update(func(tx transaction) {
		provide(tx, at, now)
		tx.putBlob(at, blob{name: name, content: content, properties: properties, etag: tx.etag(now), created: now, modified: now})
	})
	return nil
}

// provide makes sure that the container of a place exists.
func provide(tx transaction, at place, now time.Time) {
	if _, exists := tx.container(at); !exists {
		tx.putContainer(at, container{name: at.container, etag: tx.etag(now), modified: now})
	}
}

// usable checks what an API call outside HTTP names.
func (s *Service) usable(at place) error {
	if _, ok := s.Account(at.account); !ok {
		return fmt.Errorf("there is no storage account %q", at.account)
	}
	if err := checkContainerName(at.container); err != nil {
		return fmt.Errorf("container %q in %s: %s", at.container, at.account, err.Reason)
	}
	return nil
}

// Reset forgets all accounts, containers and blobs.
func (s *Service) Reset() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.accounts)
	s.store.reset()
}

// accountOf returns the account that a host name stands for, and whether it is
// the secondary endpoint, which is for reading only.
func (s *Service) accountOf(host string) (name string, secondary bool) {
	label, ok := strings.CutSuffix(strings.ToLower(host), "."+s.Environment.BlobSuffix)
	if !ok {
		return "", false
	}
	return strings.CutSuffix(label, "-secondary")
}
