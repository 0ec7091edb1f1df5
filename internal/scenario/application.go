package scenario

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"io"
	"io/fs"

	"github.com/fakeentra/fakeentra/emulator/directory"
)

func (b *builder) defineApplication(t, a *value) {
	e := b.define(kindApplication, t.name, a)
	if e == nil {
		return
	}
	e.properties["client-id"] = b.identifier(a, "client-id", string(ApplicationClientID(b.out.Seed, a.name)), "client ID")
	e.properties["object-id"] = b.identifier(a, "object-id", string(ApplicationObjectID(b.out.Seed, a.name)), "application object ID")
	if a.flag("service-principal", true) {
		derived := string(ServicePrincipalID(b.out.Seed, t.name, a.name))
		id := b.identifier(a, "principal-id", derived, "principal ID")
		e.properties["principal-id"] = id
		b.presences[presence{t.name, a.name}] = directory.ObjectID(id)
	}
}

func (b *builder) application(t, v *value) Application {
	a := Application{
		Name: v.name, Line: v.line,
		ClientID:         directory.ClientID(b.ownID(kindApplication, v, "client-id")),
		ObjectID:         directory.ObjectID(b.ownID(kindApplication, v, "object-id")),
		MultiTenant:      v.string("sign-in-audience", "AzureADMyOrg") == "AzureADMultipleOrgs",
		Public:           v.flag("public-client", false),
		TokenVersion:     v.number("requested-access-token-version", 1),
		AssignmentNeeded: v.flag("app-role-assignment-required", false),
		IdentifierURIs:   b.uris[v.name],
		Federated:        b.federated(v),
	}
	for _, s := range v.all("secrets") {
		a.Secrets = append(a.Secrets, directory.ClientSecret{Value: s.string("value", ""), Expires: s.instant("expires")})
	}
	for _, c := range v.all("certificates") {
		a.Certificates = append(a.Certificates, b.certificates(c)...)
	}
	if e := b.one(kindApplication, v.name); e != nil && v.flag("service-principal", true) {
		sp := b.servicePrincipal(t.name, e, v)
		a.ServicePrincipal = &sp
		return a
	}
	for _, k := range servicePrincipal {
		if at := v.get(k.name); at != nil && !v.flag("service-principal", true) {
			b.found.add(at.spot, "%s has no service principal here and says %s; expected service-principal: true", v.name, k.name)
		}
	}
	return a
}

// identifierURIs returns what an application is named by as a resource.
func (b *builder) identifierURIs(v *value) []string {
	var uris []string
	for _, item := range v.all("identifier-uris") {
		uri := b.expand(item)
		b.claim(uri, "identifier URI of "+v.name, item.spot)
		uris = append(uris, uri)
	}
	return uris
}

// addResources makes the applications of the file known as resources, which
// app roles can be of, besides Microsoft's.
func (b *builder) addResources() {
	for _, e := range b.of(kindApplication) {
		b.uris[e.name] = b.identifierURIs(e.from)
		b.resources.AddResource(directory.Resource{Name: e.name, AppID: directory.ClientID(e.properties["client-id"]), Identifiers: b.uris[e.name]})
	}
}

// certificates returns the certificates of one item: PEM, or a file of it.
func (b *builder) certificates(v *value) []*x509.Certificate {
	if v.void {
		return nil
	}
	data, what := []byte(v.text), v.name
	if file := v.get("file"); file != nil {
		var ok bool
		if data, ok = b.open(file); !ok {
			return nil
		}
		what = quoted(file.text)
	}
	var out []*x509.Certificate
	for rest := bytes.TrimSpace(data); len(rest) > 0 || out == nil; rest = bytes.TrimSpace(rest) {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil || block.Type != "CERTIFICATE" {
			b.found.add(v.spot, "%s holds something else than certificates; expected PEM that begins with -----BEGIN CERTIFICATE-----", what)
			return nil
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			b.found.add(v.spot, "%s holds a certificate that cannot be read (%v); expected an X.509 certificate", what, err)
			return nil
		}
		out = append(out, c)
	}
	return out
}

// open reads a file that the scenario names.
func (b *builder) open(file *value) ([]byte, bool) {
	if b.files == nil {
		b.found.add(file.spot, "the file %s cannot be read here; expected the PEM text itself", quoted(file.text))
		return nil, false
	}
	if !fs.ValidPath(file.text) {
		b.found.add(file.spot, "%s is not a path below the scenario; expected one with slashes and without ..", quoted(file.text))
		return nil, false
	}
	data, err := readUpTo(b.files, file.text, MaxSize)
	if err != nil {
		b.found.add(file.spot, "the file %s cannot be read: %v; expected a file beside the scenario", quoted(file.text), unwrapped(err))
	}
	return data, err == nil
}

// readUpTo reads a file, and no more of it than limit.
func readUpTo(files fs.FS, name string, limit int64) ([]byte, error) {
	f, err := files.Open(name)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	return io.ReadAll(io.LimitReader(f, limit))
}

// unwrapped leaves the path out of an error, which messages quote themselves.
func unwrapped(err error) error {
	if path, ok := err.(*fs.PathError); ok {
		return path.Err
	}
	return err
}
