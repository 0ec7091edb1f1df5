package scenario

import (
	"io/fs"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"

	"github.com/fakeentra/fakeentra/emulator/directory"
	"github.com/fakeentra/fakeentra/emulator/environment"
	"github.com/fakeentra/fakeentra/emulator/journal"
)

// An Option changes how a file is read.
type Option func(*builder)

// Files lets a scenario name files, relative to the root of fsys. Without it a
// scenario cannot read anything.
func Files(fsys fs.FS) Option { return func(b *builder) { b.files = fsys } }

// Operations says which operations faults can be about, when there is a fault.
// Without it every name that looks like one is accepted.
func Operations(list func() []journal.Op) Option { return func(b *builder) { b.operations = list } }

// Parse reads a scenario file. name is what problems are reported under. The
// error is an [*Error] that lists every problem; nothing is returned then.
func Parse(name string, data []byte, opts ...Option) (*Scenario, error) {
	found := &problems{}
	b := &builder{
		registry:  registry{found: found, byName: map[string][]*entity{}, claimed: map[string]claim{}},
		out:       &Scenario{Name: name, lines: map[string]int{}},
		presences: map[presence]directory.ObjectID{},
		attached:  map[string]Host{},
		uris:      map[string][]string{},
	}
	for _, o := range opts {
		o(b)
	}
	if file := b.file(data); file != nil {
		b.build(file)
	}
	if err := found.err(name); err != nil {
		return nil, err
	}
	return b.out, nil
}

// file compares a file with the format. It returns nil if there is nothing to
// go on with.
func (b *builder) file(data []byte) *value {
	root := document(data, b.found)
	if root == nil {
		return nil
	}
	if root.Kind == yaml.MappingNode && !b.understands(root.Content) {
		return nil
	}
	r := &reader{found: b.found, lines: b.out.lines}
	file := r.read(root, scenarioFile, spot{name: "the file", line: root.Line, column: root.Column})
	if file.void {
		return nil
	}
	return file
}

// understands reports when a file does not begin with the version of the
// format that this package reads.
func (b *builder) understands(keys []*yaml.Node) bool {
	if len(keys) == 0 {
		b.found.add(spot{line: 1, column: 1}, `the file says nothing; expected "fakeentra: %d", the version of the format`, Version)
		return false
	}
	first, version := keys[0], keys[1]
	at := spot{path: first.Value, line: first.Line, column: first.Column}
	switch {
	case first.Value != "fakeentra":
		b.found.add(at, `the first key is %s; expected "fakeentra: %d", the version of the format`, quoted(first.Value), Version)
	case version.ShortTag() == "!!int" && version.Value != strconv.Itoa(Version):
		b.found.add(at, "fakeentra is %s, a version of the format that this program does not know; expected %d", quoted(version.Value), Version)
	default:
		return true
	}
	return false
}

// A builder turns values into a Scenario.
type builder struct {
	registry
	out        *Scenario
	files      fs.FS
	operations func() []journal.Op
	resources  *directory.Directory // what app roles can be of
	onlyTenant string               // name of the tenant when there is just one
	presences  map[presence]directory.ObjectID
	attached   map[string]Host     // by system-assigned identity
	uris       map[string][]string // by application
}

// A presence is where an application has a service principal.
type presence struct{ tenant, application string }

// The lifetimes of tokens when nothing else is said: Azure caches managed
// identity tokens for 24 hours, and Entra's default for access tokens is 60 to
// 90 minutes.
const (
	defaultIdentityLifetime    = 24 * time.Hour
	defaultApplicationLifetime = time.Hour
)

func (b *builder) build(file *value) {
	b.out.Cloud = file.string("cloud", environment.Public.Name)
	b.out.Clock = file.instant("clock")
	b.out.Seed = file.string("seed", DefaultSeed)
	b.out.Era = file.string("era", "2025")
	b.out.TokenLifetimes = b.lifetimes(file.get("token-lifetimes"))
	b.resources = directory.New(b.out.Environment().TokenExchangeAudience)
	b.defineAll(file)
	b.addResources()
	for _, h := range file.all("hosts") {
		b.out.Hosts = append(b.out.Hosts, b.host(h))
	}
	for _, e := range b.of(kindIdentity) {
		e.properties["resource-id"] = string(b.identityResource(e))
	}
	for _, a := range file.all("storage-accounts") {
		b.out.StorageAccounts = append(b.out.StorageAccounts, b.account(a))
	}
	for _, t := range file.all("tenants") {
		b.out.Tenants = append(b.out.Tenants, b.tenant(t))
	}
	for _, i := range file.all("issuers") {
		b.out.Issuers = append(b.out.Issuers, Issuer{Name: i.name, Line: i.line, URL: i.string("url", "")})
	}
	b.faults(file.all("faults"))
}

func (b *builder) lifetimes(v *value) TokenLifetimes {
	l := TokenLifetimes{
		ManagedIdentity: v.duration("managed-identity", defaultIdentityLifetime),
		Application:     v.duration("application", defaultApplicationLifetime),
	}
	for _, key := range []string{"managed-identity", "application"} {
		if at := v.get(key); at != nil && v.duration(key, 0) == 0 {
			b.found.add(at.spot, "%s is %s; expected tokens to live longer than that", key, quoted(at.text))
		}
	}
	return l
}

// defineAll names everything first, so that the order of a file is free.
func (b *builder) defineAll(file *value) {
	for _, t := range file.all("tenants") {
		b.defineTenant(t)
	}
	if all := file.all("tenants"); len(all) == 1 {
		b.onlyTenant = all[0].name
	}
	for _, i := range file.all("issuers") {
		b.defineIssuer(i)
	}
	for _, h := range file.all("hosts") {
		b.define(kindHost, "", h)
	}
	for _, a := range file.all("storage-accounts") {
		b.define(kindAccount, "", a)
	}
	for _, t := range file.all("tenants") {
		for _, s := range t.all("service-principals") {
			b.definePresence(t, s)
		}
	}
}

// defineIssuer names an issuer outside Entra. Issuers differ by more than a
// slash at the end, or their discovery documents would have one address.
func (b *builder) defineIssuer(i *value) {
	e, at := b.define(kindIssuer, "", i), i.get("url")
	if e == nil || at == nil {
		return
	}
	if _, entra := authorityOf(b.out.Environment(), at.text); entra {
		b.found.add(at.spot, "%s is an issuer of Entra, whose issuers are its tenants; expected one outside Entra", quoted(at.text))
	}
	b.claim(strings.TrimSuffix(at.text, "/"), "URL of "+i.name, at.spot)
	e.properties[""], e.properties["url"] = at.text, at.text
}

// identifier returns an identifier that is spelled under key, or the derived
// one, in lower case, and reports when it is taken.
func (b *builder) identifier(v *value, key, derived, what string) string {
	at := v.spot
	if spelled := v.get(key); spelled != nil {
		at = spelled.spot
	}
	id := lower(v.string(key, derived))
	if microsoft := b.resources.Describe(id); microsoft != "" {
		b.found.add(at, "%s is %s of Microsoft; expected an identifier that is free", quoted(id), microsoft)
	}
	b.claim(id, what+" of "+v.name, at)
	return id
}

// repeated reports the second of two equal items of a list.
func (b *builder) repeated(items []*value) {
	first := map[string]int{}
	for _, item := range items {
		if line, again := first[item.text]; again && !item.void {
			b.found.add(item.spot, "%s is %s again, as in line %d; expected it once", item.name, quoted(item.text), line)
			continue
		}
		first[item.text] = item.line
	}
}
