package fakeentra

import (
	"fmt"
	"time"

	"github.com/fakeentra/fakeentra/emulator/environment"
	"github.com/fakeentra/fakeentra/emulator/journal"
	"github.com/fakeentra/fakeentra/emulator/sts"
	"github.com/fakeentra/fakeentra/emulator/token"
	"github.com/fakeentra/fakeentra/internal/scenario"
)

// An Option changes how a [Cloud] starts.
type Option interface{ apply(*options) error }

type options struct {
	environment environment.Environment
	clock       Clock
	seed        string
	scenario    *scenario.Scenario
	lifetimes   sts.Lifetimes
	passthrough []string
	limits      journal.Limits
	key         *token.Key
}

type optionFunc func(*options) error

func (f optionFunc) apply(o *options) error { return f(o) }

// An Environment is a national cloud. It decides host names, the token exchange
// audience and the storage suffix.
type Environment = environment.Environment

// The environments that can be emulated. Treat them as constants.
var (
	AzurePublic       = environment.Public
	AzureUSGovernment = environment.USGovernment
	AzureChina        = environment.China
)

// WithEnvironment selects the national cloud. The default is [AzurePublic]; a
// scenario file decides for itself.
func WithEnvironment(e Environment) Option {
	return optionFunc(func(o *options) error {
		if _, ok := environment.Named(e.Name); !ok {
			return fmt.Errorf("there is no environment %q; expected AzurePublic, AzureUSGovernment or AzureChina", e.Name)
		}
		o.environment = e
		return nil
	})
}

// A Clock tells the time. It must allow calls from several goroutines.
type Clock interface{ Now() time.Time }

// WithClock makes the Cloud read the time from c.
func WithClock(c Clock) Option {
	return optionFunc(func(o *options) error {
		o.clock = c
		return nil
	})
}

// WithSeed fixes the seed that identifiers are derived from, so that they are
// the same in every run. Two Clouds of one process should not share a seed:
// MSAL keeps a token cache for the whole process, by client ID.
func WithSeed(seed string) Option {
	return optionFunc(func(o *options) error {
		o.seed = seed
		return nil
	})
}

// WithScenario loads a scenario file, in YAML, before the Cloud starts. What it
// defines is found again by name with [Cloud.Tenant], [Cloud.Host] and so on.
// Problems are reported with their lines.
func WithScenario(yaml []byte) Option { return WithScenarioFile("scenario", yaml) }

// WithScenarioFile is [WithScenario] with the name of the file, for messages.
func WithScenarioFile(name string, yaml []byte) Option {
	return optionFunc(func(o *options) error {
		s, err := scenario.Parse(name, yaml, scenario.Operations(everyOp))
		if err != nil {
			return err
		}
		o.scenario = s
		return nil
	})
}

// WithTokenLifetimes says how long the tokens of managed identities and of
// applications are valid. Zero stands for the default: 24 hours and one hour.
func WithTokenLifetimes(managedIdentity, application time.Duration) Option {
	return optionFunc(func(o *options) error {
		if managedIdentity < 0 || application < 0 {
			return fmt.Errorf("token lifetimes of %v and %v; neither can be negative", managedIdentity, application)
		}
		o.lifetimes = sts.Lifetimes{ManagedIdentity: managedIdentity, Application: application}
		return nil
	})
}

// WithPassthrough lets clients from [Host.Client] reach these host names for
// real. Loopback addresses need no permission. What comes in by a listener, as
// child processes do, is never let through to another machine.
func WithPassthrough(names ...string) Option {
	return optionFunc(func(o *options) error {
		o.passthrough = append(o.passthrough, names...)
		return nil
	})
}

// WithJournalLimits bounds the journal. When either limit is passed, the oldest
// entries are dropped. Zero stands for the default: 10,000 entries and 16 MiB.
func WithJournalLimits(entries, bytes int) Option {
	return optionFunc(func(o *options) error {
		o.limits = journal.Limits{Entries: entries, Bytes: bytes}
		return nil
	})
}

// WithSigningKey makes the tenants sign with a key in PEM form: an RSA private
// key and the certificate it is published with, as [Cloud.SigningKey] returns
// them. A server keeps its key over restarts this way.
func WithSigningKey(pem []byte) Option {
	return optionFunc(func(o *options) error {
		key, err := token.ParsePEM(pem)
		if err != nil {
			return fmt.Errorf("signing key: %w", err)
		}
		o.key = key
		return nil
	})
}

// withFreshKey generates the signing key instead of taking a public one.
func withFreshKey(o *options) error {
	key, err := token.GenerateKey()
	o.key = key
	return err
}

// WithFreshKey makes the tenants sign with a key that nobody has seen before.
// Generating it takes about a tenth of a second. Without it, a Cloud signs with
// one of the public keys that come with this module.
func WithFreshKey() Option { return optionFunc(withFreshKey) }
