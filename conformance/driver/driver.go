package driver

import (
	"context"
	"io"
	"io/fs"
	"net/http"
)

// A Driver makes clients under test. Its methods are called from one goroutine at
// a time, but several clients may be open.
type Driver interface {
	// Hello says who the client under test is. Capabilities that it leaves out
	// cost it the checks that need them, and no more.
	Hello() Hello
	// Open makes a client as its users would. It should not send anything yet.
	Open(Config) (Client, error)
}

// A Client is a client under test. Its methods are called from several goroutines
// where the driver has the capability concurrency. An error is a [*Failure], a
// [*Skip], or any other one, of which the text is looked at.
type Client interface {
	// Token does the exchange, or returns what it gave before.
	Token(context.Context, TokenRequest) (Outcome, error)
	// Close lets go of what the client holds.
	Close() error
}

// A ManagedIdentityClient also hands out the token of the managed identity, as
// the capability mi_token says.
type ManagedIdentityClient interface {
	Client
	ManagedIdentityToken(ctx context.Context, resource string) (Outcome, error)
}

// A ResourceClient also uses the token, as the capabilities blob and http say.
type ResourceClient interface {
	Client
	Resource(context.Context, ResourceRequest) (Outcome, error)
}

// InProcess is what a client is given that runs in the process of the suite, in
// place of a network and an environment. In a process of its own it is zero.
type InProcess struct {
	// Transport leads to the suite, wherever a request is for, and honours its
	// proxies and certificates. Clone it to change it.
	Transport *http.Transport
	// Getenv returns a variable of the place; nil stands for [os.Getenv].
	Getenv func(name string) string
	// ReadFile reads a file of the place, such as the key of an Azure Arc agent;
	// nil stands for [os.ReadFile].
	ReadFile func(name string) ([]byte, error)
	// Lstat describes a file of the place, or the symbolic link that it is; nil
	// stands for [os.Lstat].
	Lstat func(name string) (fs.FileInfo, error)
	// Log takes what the client logs; nil stands for standard error.
	Log io.Writer
}
