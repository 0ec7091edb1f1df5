package blob

import (
	"cmp"
	"io"
	"net/http"
	"slices"
	"strings"

	"github.com/fakeentra/fakeentra/emulator/journal"
	"github.com/fakeentra/fakeentra/internal/edge"
)

// A level is the kind of thing that a URL names.
type level int

const (
	ofAccount level = iota
	ofContainer
	ofBlob
)

func (l level) String() string { return [...]string{"an account", "a container", "a blob"}[l] }

// An operation is one entry of the table of operations.
type operation struct {
	op      journal.Op
	level   level
	methods string
	comps   []string   // values of the query parameter comp; "" is its absence
	needs   permission // what the caller must be allowed to do
	public  string     // public access of the container that makes up for it
	stream  bool
	// fidelity is Faithful unless it says otherwise.
	fidelity edge.Fidelity
	do       func(*Service, *call) (edge.Response, *Error)
	source   string
}

// operations is the table of what the service can do.
var operations = []operation{
	{op: "blob.list-containers", level: ofAccount, methods: "GET", comps: []string{"list"}, needs: readContainers, do: listContainers, source: "Microsoft: List Containers"},
	{op: "blob.create-container", level: ofContainer, methods: "PUT", comps: []string{""}, needs: writeContainer, do: createContainer, source: "Microsoft: Create Container"},
	{op: "blob.get-container", level: ofContainer, methods: "GET HEAD", comps: []string{"", "metadata"}, needs: readContainers, public: accessContainer, do: getContainer, source: "Microsoft: Get Container Properties"},
	{op: "blob.set-container-metadata", level: ofContainer, methods: "PUT", comps: []string{"metadata"}, needs: writeContainer, do: setContainerMetadata, source: "Microsoft: Set Container Metadata"},
	{op: "blob.delete-container", level: ofContainer, methods: "DELETE", comps: []string{""}, needs: removeContainer, fidelity: edge.Approximate, do: deleteContainer, source: "Microsoft: Delete Container"},
	{op: "blob.list-blobs", level: ofContainer, methods: "GET", comps: []string{"list"}, needs: readBlobs, public: accessContainer, do: listBlobs, source: "Microsoft: List Blobs; recorded lists"},
	{op: "blob.put", level: ofBlob, methods: "PUT", comps: []string{""}, needs: writeBlob, stream: true, do: putBlob, source: "Microsoft: Put Blob"},
	{op: "blob.put-block", level: ofBlob, methods: "PUT", comps: []string{"block"}, needs: writeBlob, stream: true, do: putBlock, source: "Microsoft: Put Block"},
	{op: "blob.put-block-list", level: ofBlob, methods: "PUT", comps: []string{"blocklist"}, needs: writeBlob, stream: true, do: putBlockList, source: "Microsoft: Put Block List"},
	{op: "blob.get-block-list", level: ofBlob, methods: "GET", comps: []string{"blocklist"}, needs: readBlobs, public: accessBlob, do: getBlockList, source: "Microsoft: Get Block List"},
	{op: "blob.get", level: ofBlob, methods: "GET", comps: []string{""}, needs: readBlobs, public: accessBlob, do: getBlob, source: "Microsoft: Get Blob"},
	{op: "blob.head", level: ofBlob, methods: "HEAD", comps: []string{""}, needs: readBlobs, public: accessBlob, do: headBlob, source: "Microsoft: Get Blob Properties"},
	{op: "blob.head", level: ofBlob, methods: "GET HEAD", comps: []string{"metadata"}, needs: readBlobs, public: accessBlob, do: getBlobMetadata, source: "Microsoft: Get Blob Metadata"},
	{op: "blob.set-metadata", level: ofBlob, methods: "PUT", comps: []string{"metadata"}, needs: writeBlob, do: setBlobMetadata, source: "Microsoft: Set Blob Metadata"},
	{op: "blob.set-properties", level: ofBlob, methods: "PUT", comps: []string{"properties"}, needs: writeBlob, do: setBlobProperties, source: "Microsoft: Set Blob Properties"},
	{op: "blob.delete", level: ofBlob, methods: "DELETE", comps: []string{""}, needs: removeBlob, do: deleteBlob, source: "Microsoft: Delete Blob"},
}

// notEmulated are further values of comp that the real service knows.
var notEmulated = map[level][]string{
	ofAccount:   {"properties", "stats", "userdelegationkey", "batch", "blobs"},
	ofContainer: {"acl", "lease", "batch", "blobs", "undelete", "rename", "properties"},
	ofBlob: {"lease", "copy", "snapshot", "tags", "tier", "page", "pagelist", "appendblock", "incrementalcopy", "query",
		"undelete", "expiry", "seal", "immutabilityPolicies", "legalhold"},
}

// table returns the routes, the one for everything else last.
func (s *Service) table() []edge.Route {
	var routes []edge.Route
	for i := range operations {
		o := &operations[i]
		routes = append(routes, edge.Route{
			Op: o.op, Method: o.methods, Path: o.shape(), Stream: o.stream, Fidelity: cmp.Or(o.fidelity, edge.Faithful), Source: o.source,
			Do: func(r *edge.Request) edge.Response { return s.run(o, r) },
		})
	}
	return append(routes, edge.Route{Op: "blob.unknown", Do: s.unknown, Fidelity: edge.Stub, Source: "Microsoft: Common REST API error codes"})
}

// shape documents how an operation is asked for.
func (o *operation) shape() string {
	shape := [...]string{"/?", "/{container}?restype=container&", "/{container}/{blob}?"}[o.level]
	if comp := o.comps[len(o.comps)-1]; comp != "" {
		shape += "comp=" + comp
	}
	return strings.TrimRight(shape, "?&")
}

// Routes returns the operations of the service.
func (s *Service) Routes() []edge.Route { return s.routes }

// Resolve finds the operation that a request asks for.
func (s *Service) Resolve(r *edge.Request) *edge.Route {
	c := s.understand(r)
	l := c.level()
	for i, o := range operations {
		if o.level == l && o.accepts(r.Method) && slices.Contains(o.comps, c.comp()) && c.typed() {
			return &s.routes[i]
		}
	}
	return &s.routes[len(s.routes)-1]
}

func (o *operation) accepts(method string) bool {
	return slices.Contains(strings.Fields(o.methods), method)
}

func (c *call) comp() string { return strings.ToLower(c.query.Get("comp")) }

func (c *call) restype() string { return strings.ToLower(c.query.Get("restype")) }

// level returns what the URL names.
func (c *call) level() level {
	switch {
	case c.at.blob != "":
		return ofBlob
	case c.at.container != "":
		return ofContainer
	}
	return ofAccount
}

// typed reports whether restype fits the rest of the URL.
func (c *call) typed() bool {
	return c.restype() == "" || (c.restype() == "container" && c.level() == ofContainer)
}

// run answers a request for an operation: the account, the caller, the names,
// and then the operation itself.
func (s *Service) run(o *operation, r *edge.Request) edge.Response {
	c := s.understand(r)
	r.Note("", c.at.String())
	e := s.admit(o, c)
	var resp edge.Response
	if e == nil {
		resp, e = o.do(s, c)
	}
	if e == nil {
		return resp
	}
	c.drain()
	return c.refuse(e)
}

// drain reads what is left of a refused upload. A client that is still sending
// would see a broken connection otherwise, and not the refusal. One that waits
// for leave to send (RFC 9110 section 10.1.1) is not told to go on.
func (c *call) drain() {
	if c.header.Get("Expect") == "" {
		_, _ = io.CopyN(io.Discard, c.Body, maxContent) // what cannot be read is not missed
	}
}

// admit makes every check that does not depend on the operation. Its order is
// inferred; that roles come before existence agrees with recorded refusals.
func (s *Service) admit(o *operation, c *call) *Error {
	if e := s.findAccount(c); e != nil {
		return e
	}
	if c.malformed {
		return notDecodable(c)
	}
	if v := c.version; v != "" && !v.wellFormed() {
		c.version = ""
		return errHeader.because("x-ms-version is %q; expected a date such as 2021-12-02", v).
			ofHeader("x-ms-version", string(v)).with("x-ms-error-code", errHeader.Code())
	}
	if e := s.authorize(o, c); e != nil {
		return e
	}
	if c.secondary && c.Method != http.MethodGet && c.Method != http.MethodHead {
		return errSecondary.because("%s is a write on the secondary endpoint, which can only be read; drop -secondary from the host name", o.op)
	}
	if e := c.refuseNotEmulated(); e != nil {
		return e
	}
	return c.checkNames()
}

func notDecodable(c *call) *Error {
	return errURI.because("the path %s is not percent-encoded UTF-8", c.URL.EscapedPath())
}

// findAccount looks up the account. In reality the name of one that does not
// exist cannot be resolved; the answer here is that of Azurite.
func (s *Service) findAccount(c *call) *Error {
	account, ok := s.Account(c.at.account)
	if !ok {
		var known []string
		for _, a := range s.Accounts() {
			known = append(known, a.Name)
		}
		return errNoResource.because("there is no storage account for the host %s; known are: %s. In Azure this host name would not resolve",
			c.URL.Hostname(), strings.Join(known, ", "))
	}
	c.account = account
	return nil
}

// checkNames compares the names in the URL with Microsoft's rules.
func (c *call) checkNames() *Error {
	if c.at.container != "" || c.at.blob != "" {
		if e := checkContainerName(c.at.container); e != nil {
			return e
		}
	}
	if c.at.blob != "" {
		return checkBlobName(c.at.blob)
	}
	return nil
}

// unknown answers what is no operation of the table.
func (s *Service) unknown(r *edge.Request) edge.Response {
	c := s.understand(r)
	r.Note("", c.at.String())
	if e := s.findAccount(c); e != nil {
		return c.refuse(e)
	}
	if !c.version.wellFormed() {
		c.version = versionErrorCode // so that the answer says what is wrong
	}
	return c.refuse(c.misfit(c.level()))
}

// misfit says why a request fits no operation.
func (c *call) misfit(l level) *Error {
	if c.malformed {
		return notDecodable(c)
	}
	comp := c.query.Get("comp")
	fold := func(known string) bool { return strings.EqualFold(known, comp) }
	if slices.ContainsFunc(notEmulated[l], fold) || c.restype() == "account" || c.restype() == "service" {
		return errNotEmulated.because("comp=%s on %s is not emulated by fakeentra", comp, l)
	}
	if !c.typed() {
		return errQuery.because("restype=%s does not fit a URL of %s", c.query.Get("restype"), l).
			ofQuery("restype", c.query.Get("restype"), "")
	}
	known := false
	for _, o := range operations {
		known = known || o.level == l && slices.ContainsFunc(o.comps, fold)
	}
	if known && (comp != "" || l != ofAccount) {
		return errVerb.because("%s with comp=%q cannot be asked for with %s", l, comp, c.Method)
	}
	hint := ""
	if l == ofBlob && c.at.container == "$root" {
		hint = "; a URL of a container needs restype=container, without it this one names a blob in $root"
	}
	return errQuery.because("comp=%q means nothing on %s%s", comp, l, hint).ofQuery("comp", comp, "")
}

// notEmulatedFields are request header fields that ask for features which are
// not emulated. To ignore one would answer with wrong data.
var notEmulatedFields = []string{
	"x-ms-copy-source", "x-ms-lease-id", "x-ms-if-tags", "x-ms-tags", "x-ms-access-tier", "x-ms-expiry-option",
	"x-ms-encryption-key", "x-ms-encryption-scope", "x-ms-structured-body", "x-ms-legal-hold",
	"x-ms-immutability-policy-until-date", "x-ms-source-if-match", "x-ms-default-encryption-scope",
}

// notEmulatedParameters are query parameters of the same kind.
var notEmulatedParameters = []string{"snapshot", "versionid", "startfrom", "endbefore", "showonly", "deletetype"}

func (c *call) refuseNotEmulated() *Error {
	for _, name := range notEmulatedFields {
		if v := c.header.Get(name); v != "" {
			return errNotEmulated.because("the header field %s asks for something that is not emulated by fakeentra", name).ofHeader(name, v)
		}
	}
	for _, name := range notEmulatedParameters {
		if v := c.query.Get(name); v != "" {
			return errNotEmulated.because("the query parameter %s asks for something that is not emulated by fakeentra", name).ofQuery(name, v, "")
		}
	}
	if kind := c.header.Get("x-ms-blob-type"); kind != "" && kind != "BlockBlob" {
		return c.blobType(kind)
	}
	return nil
}

func (c *call) blobType(kind string) *Error {
	if kind == "AppendBlob" || kind == "PageBlob" {
		return errNotEmulated.because("blobs of type %s are not emulated by fakeentra; only block blobs are", kind).ofHeader("x-ms-blob-type", kind)
	}
	return errHeader.because("x-ms-blob-type is %q; expected BlockBlob", kind).ofHeader("x-ms-blob-type", kind)
}

// lacks refuses a request without a header field that it must have.
func lacks(name string) *Error {
	return errHeaderMissing.because("the header field %s is missing", name).ofHeader(name, "")
}
