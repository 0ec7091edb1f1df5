package blob

import (
	"slices"
	"strings"

	"github.com/fakeentra/fakeentra/emulator/directory"
)

// A permission is what an operation needs, and the built-in role with the
// fewest rights that has it (Microsoft: Authorize with Microsoft Entra ID,
// "Permissions for calling blob data operations").
type permission struct {
	action string
	role   string
}

const blobServices = "Microsoft.Storage/storageAccounts/blobServices/"

var (
	readContainers  = permission{blobServices + "containers/read", "Storage Blob Data Reader"}
	writeContainer  = permission{blobServices + "containers/write", "Storage Blob Data Contributor"}
	removeContainer = permission{blobServices + "containers/delete", "Storage Blob Data Contributor"}
	readBlobs       = permission{blobServices + "containers/blobs/read", "Storage Blob Data Reader"}
	writeBlob       = permission{blobServices + "containers/blobs/write", "Storage Blob Data Contributor"}
	addBlob         = permission{blobServices + "containers/blobs/add/action", "Storage Blob Data Contributor"}
	removeBlob      = permission{blobServices + "containers/blobs/delete", "Storage Blob Data Contributor"}
)

// scope returns what a role has to be assigned on, or above.
func (c *call) scope() directory.ResourceID {
	if c.at.container == "" {
		return c.account.ResourceID
	}
	return c.account.ResourceID + directory.ResourceID("/blobServices/default/containers/"+c.at.container)
}

// permit looks up the roles of a principal. Put Blob is also permitted to those
// who may only add blobs, as long as nothing is replaced.
func (s *Service) permit(o *operation, c *call, principal directory.ObjectID) *Error {
	if principal == "" {
		return errPermission.because("the token has no oid claim, so no role can be found for it")
	}
	if s.Directory.Permitted(principal, o.needs.action, c.scope()) {
		return nil
	}
	if o.op == "blob.put" && s.Directory.Permitted(principal, addBlob.action, c.scope()) {
		c.createOnly = true
		return nil
	}
	return errPermission.because("%s needs the permission %s on %s, and %s %s. Assign %s there or above",
		o.op, o.needs.action, c.scope(), s.Directory.Explain(string(principal)), s.rolesOf(principal, c.scope()), o.needs.role)
}

// rolesOf says which roles a principal has, in the middle of a sentence.
func (s *Service) rolesOf(principal directory.ObjectID, scope directory.ResourceID) string {
	assignments := s.Directory.Assignments(principal)
	if len(assignments) == 0 {
		return "has no role at all"
	}
	var roles []string
	for _, a := range assignments {
		role := a.Role.Name + " on " + string(a.Scope)
		switch {
		case !a.Scope.Contains(scope):
			role += ", which does not cover it"
		case len(a.Role.DataActions) == 0:
			role += ", which gives no access to data"
		default:
			role += ", which does not include it"
		}
		roles = append(roles, role)
	}
	return "has " + strings.Join(roles, "; ")
}

// Values of the public access of a container.
const (
	accessContainer = "container" // everything in it can be read and listed
	accessBlob      = "blob"      // blobs can be read
)

// anonymous decides about a request without credentials.
func (s *Service) anonymous(o *operation, c *call) *Error {
	if c.query.Has("sig") {
		return c.sharedAccessSignature()
	}
	access := ""
	s.store.view(func(tx transaction) {
		if found, ok := tx.container(c.at); ok {
			access = found.access
		}
	})
	if c.account.PublicAccess && o.public != "" && !c.asksForStaged() && (access == accessContainer || access == o.public) {
		return nil
	}
	switch {
	case c.version >= versionChallenge:
		return s.challenge(c, errNoCredentials.because("the request has no Authorization header, and %s cannot be read by everyone", c.at))
	case !c.account.PublicAccess:
		return errPublicAccess.because("the request has no Authorization header, and the account %s has no public access. A request with x-ms-version %s or later gets a 401 with a challenge",
			c.account.Name, versionChallenge)
	}
	return errNoResource.because("the request has no Authorization header, and %s cannot be read by everyone. A request with x-ms-version %s or later gets a 401 with a challenge",
		c.at, versionChallenge)
}

// asksForStaged reports whether a block list is to have blocks in it that are
// not committed. Those are never public (Microsoft: Get Block List).
func (c *call) asksForStaged() bool {
	return c.comp() == "blocklist" && slices.Contains([]string{"uncommitted", "all"}, strings.ToLower(c.query.Get("blocklisttype")))
}

// sharedAccessSignature refuses signatures in the query. Those of a user
// delegation key are not emulated; the others are made with an account key.
func (c *call) sharedAccessSignature() *Error {
	if c.query.Has("skoid") {
		return errNotEmulated.because("user delegation shared access signatures are not emulated by fakeentra; send a bearer token")
	}
	return errAccountKey.because("the request has a shared access signature made with an account key; accounts of fakeentra have none, as if shared key access were disabled")
}
