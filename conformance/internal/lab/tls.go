package lab

import (
	"cmp"
	"crypto/sha1"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"sync"
	"time"
)

// A Profile is how a host does TLS. What it leaves out is as usual.
type Profile struct {
	Unknown   bool          // nobody trusts who issued the certificate
	Name      string        // the certificate is for this name instead
	NotBefore time.Duration // the certificate begins so long from now
	NotAfter  time.Duration // it ends so long from now; zero stands for a week
	Min, Max  uint16        // versions, as in package crypto/tls
	Protocols []string      // of ALPN; h2 and http/1.1 if nil
}

type profiles struct {
	mu      sync.Mutex
	byName  map[string]Profile
	pinned  *Profile // of the endpoint at Service Fabric
	vouched bool     // that endpoint shows the certificate of an authority
	form    func(thumbprint string) string
}

// SetTLS has a host do TLS in its own way; name is its name, or empty for all
// hosts.
func (l *Lab) SetTLS(name string, p Profile) {
	l.profiles.mu.Lock()
	defer l.profiles.mu.Unlock()
	if l.profiles.byName == nil {
		l.profiles.byName = map[string]Profile{}
	}
	l.profiles.byName[name] = p
}

// UnpinEndpoint has the endpoint at Service Fabric show a certificate that
// clients trust, but whose thumbprint is not the one in their environment.
func (l *Lab) UnpinEndpoint() {
	l.profiles.mu.Lock()
	defer l.profiles.mu.Unlock()
	l.profiles.pinned = &Profile{Name: "localhost"}
}

// VouchEndpoint has the endpoint at Service Fabric show a certificate that clients
// trust, and whose thumbprint is the one in their environment, so that those which do
// not look at thumbprints come through, too. It is called before a client is started.
func (l *Lab) VouchEndpoint() {
	l.profiles.mu.Lock()
	defer l.profiles.mu.Unlock()
	l.profiles.vouched = true
}

// ShowThumbprint has the environment at Service Fabric show the thumbprint of the
// endpoint in another form. It is called before a client is started.
func (l *Lab) ShowThumbprint(form func(thumbprint string) string) {
	l.profiles.mu.Lock()
	defer l.profiles.mu.Unlock()
	l.profiles.form = form
}

// thumbprint is what the environment shows.
func (l *Lab) thumbprint(f *Front) string {
	l.profiles.mu.Lock()
	defer l.profiles.mu.Unlock()
	shown := thumbprintOf(f.pinned)
	if l.profiles.vouched {
		shown = thumbprintOf(f.vouched)
	}
	if l.profiles.form != nil {
		return l.profiles.form(shown)
	}
	return shown
}

func (p *profiles) of(name string) Profile {
	p.mu.Lock()
	defer p.mu.Unlock()
	if own, ok := p.byName[name]; ok {
		return own
	}
	return p.byName[""]
}

// configFor returns how a host does TLS, and records that it was asked to. The host
// is the one that the client names, or as.
func (f *Front) configFor(hello *tls.ClientHelloInfo, l *Lab, as string) (*tls.Config, error) {
	name := hostname(hello.ServerName)
	var p Profile
	if l != nil {
		l.tape.greet(connNumber(hello.Conn), hello)
		p = l.profiles.of(cmp.Or(as, name))
	}
	return f.config(p, name)
}

// ofLoopback is a certificate for this machine, by its name and by its addresses.
func ofLoopback() *x509.Certificate {
	return &x509.Certificate{DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback}}
}

func (f *Front) config(p Profile, name string) (*tls.Config, error) {
	authority := f.authority
	if p.Unknown {
		authority = f.stranger
	}
	if p.Name != "" {
		name = p.Name
	}
	template := &x509.Certificate{DNSNames: []string{name}}
	if name == "" || name == "localhost" { // clients that go to an address name nobody
		template = ofLoopback()
	}
	if p.NotBefore != 0 || p.NotAfter != 0 {
		now := time.Now()
		template.NotBefore, template.NotAfter = now.Add(p.NotBefore), now.Add(p.NotAfter)
		if p.NotAfter == 0 {
			template.NotAfter = now.Add(7 * 24 * time.Hour)
		}
		if p.NotBefore == 0 {
			template.NotBefore = now.Add(-time.Hour)
		}
	}
	cert, err := authority.Issue(template)
	if err != nil {
		return nil, err
	}
	protocols := p.Protocols
	if protocols == nil {
		protocols = []string{"h2", "http/1.1"}
	}
	minimum := p.Min
	if minimum == 0 {
		minimum = tls.VersionTLS10
	}
	return &tls.Config{
		Certificates: []tls.Certificate{*cert}, MinVersion: minimum, MaxVersion: p.Max, NextProtos: protocols,
		SessionTicketsDisabled: true, // a session that is resumed shows no certificate
	}, nil
}

// thumbprintOf is that of a certificate at Service Fabric: its SHA-1 in upper case,
// as Windows shows it.
func thumbprintOf(c *tls.Certificate) string { return fmt.Sprintf("%X", sha1.Sum(c.Certificate[0])) }

// pinnedConfig is that of the endpoint at Service Fabric.
func (l *Lab) pinnedConfig(f *Front) (*tls.Config, error) {
	l.profiles.mu.Lock()
	unpinned, cert := l.profiles.pinned, f.pinned
	if l.profiles.vouched {
		cert = f.vouched
	}
	l.profiles.mu.Unlock()
	if unpinned != nil {
		return f.config(*unpinned, "localhost")
	}
	return &tls.Config{Certificates: []tls.Certificate{*cert}, MinVersion: tls.VersionTLS12}, nil
}
