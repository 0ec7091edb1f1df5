// Package control is the management plane of a running cloud, HTTP and JSON: it
// shows the journal, arms faults, moves the clock, rotates keys and starts
// over. It is for tests and people, not for the software under test: nothing
// of it exists in Azure, and its requests are not in the journal.
package control

import (
	"time"

	"github.com/fakeentra/fakeentra/emulator/fault"
	"github.com/fakeentra/fakeentra/emulator/journal"
)

// A Cloud is what the control plane manages. Its methods are called from
// several goroutines. Their errors are shown to the caller, so they say what
// was wrong and name what would have been right.
type Cloud interface {
	// Journal returns what happened so far; ClearJournal forgets it.
	Journal() journal.Log
	ClearJournal()
	// Inject arms all rules, or none and fails.
	Inject(...fault.Rule) error
	Faults() []fault.Status
	ClearFaults()
	// Now is the time of the cloud. Advance and SetTime fail if its clock
	// cannot be moved. Advance also moves back, by a negative duration.
	Now() time.Time
	Advance(time.Duration) error
	SetTime(time.Time) error
	// RotateKeys gives an issuer a new signing key and keeps publishing the old
	// ones; RetireKeys stops publishing all but the newest. "" and tenants
	// stand for the keys that all tenants share. Both fail if there is no
	// such issuer.
	RotateKeys(tenantOrIssuer string) error
	RetireKeys(tenantOrIssuer string) error
	// SignToken returns a token of an issuer outside Entra with these claims. A
	// claim that is nil is left out; iss, aud, iat, nbf and exp are filled in
	// where they are absent. It fails if there is no such issuer.
	SignToken(issuer string, claims map[string]any) (string, error)
	// Reset brings back the state that the cloud started with.
	Reset() error
	// CA returns the certificate authority of the HTTPS doors in PEM, or
	// nothing if there is none.
	CA() []byte
	Info() Info
	// OpenDoors opens doors for programs on a host, unless there are any. It fails
	// if there is no such host.
	OpenDoors(host string) (HostDoors, error)
}
