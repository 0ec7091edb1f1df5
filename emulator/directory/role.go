package directory

import (
	"path"
	"slices"
	"strings"
)

// A Role is an Azure role. Actions and DataActions are permissions, in which *
// stands for any text.
type Role struct {
	Name        string
	ID          string
	Actions     []string
	DataActions []string
}

const (
	blobServices = "Microsoft.Storage/storageAccounts/blobServices/"
	delegation   = blobServices + "generateUserDelegationKey/action"
)

// builtIn are the roles that matter to Blob, as Microsoft's page "Azure
// built-in roles for Storage" of July 2026 lists them.
var builtIn = []Role{
	{
		Name: "Storage Blob Data Reader", ID: "2a2b9908-6ea1-4ae2-8e65-a410df84e7d1",
		Actions:     []string{blobServices + "containers/read", delegation},
		DataActions: []string{blobServices + "containers/blobs/read"},
	},
	{
		Name: "Storage Blob Data Contributor", ID: "ba92f5b4-2d11-453d-a403-e96b0029c9fe",
		Actions: []string{blobServices + "containers/delete", blobServices + "containers/read", blobServices + "containers/write", delegation},
		DataActions: []string{blobServices + "containers/blobs/delete", blobServices + "containers/blobs/read", blobServices + "containers/blobs/write",
			blobServices + "containers/blobs/move/action", blobServices + "containers/blobs/add/action"},
	},
	{
		Name: "Storage Blob Data Owner", ID: "b7e6dc6d-f1e8-4753-8033-0f276bb0955b",
		Actions:     []string{blobServices + "containers/*", delegation},
		DataActions: []string{blobServices + "containers/blobs/*"},
	},
	{
		Name: "Storage Blob Delegator", ID: "db58b8e5-c6ad-4a2a-8342-4190687cbf4a",
		Actions: []string{delegation},
	},
	// The roles that surprise people: they manage accounts and see no data.
	{Name: "Owner", ID: "8e3af657-a8ff-443c-a75c-2fe8c4bcb635", Actions: []string{"*"}},
	{Name: "Contributor", ID: "b24988ac-6180-42a0-ab88-20f7382dd24c", Actions: []string{"*"}},
	{Name: "Reader", ID: "acdd72a7-3385-48ef-bd42-f606fba81ae7", Actions: []string{"*/read"}},
}

// Roles returns the roles that can be assigned.
func Roles() []Role { return slices.Clone(builtIn) }

// RoleNamed returns the role with a display name or an identifier.
func RoleNamed(nameOrID string) (Role, bool) {
	for _, r := range builtIn {
		if strings.EqualFold(r.Name, nameOrID) || strings.EqualFold(r.ID, nameOrID) {
			return r, true
		}
	}
	return Role{}, false
}

// A RoleAssignment gives a principal a role on a scope and on everything below
// it.
type RoleAssignment struct {
	Principal ObjectID
	Role      Role
	Scope     ResourceID
}

// Assign adds a role assignment.
func (d *Directory) Assign(a RoleAssignment) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.assignments[a.Principal] = append(d.assignments[a.Principal], a)
}

// Permitted reports whether a role assignment of the principal allows a data
// operation on a resource. permission is written without a leading provider
// wildcard, such as
// Microsoft.Storage/storageAccounts/blobServices/containers/blobs/read.
//
// Control-plane permissions on containers count only in roles that also carry
// data actions or the delegation key: Microsoft documents that Owner,
// Contributor and Reader of Azure Resource Manager give no access to data.
func (d *Directory) Permitted(principal ObjectID, permission string, on ResourceID) bool {
	d.mu.RLock()
	defer d.mu.RUnlock()
	for _, a := range d.assignments[principal] {
		if a.Scope.Contains(on) && a.Role.allows(permission) {
			return true
		}
	}
	return false
}

// Assignments returns the role assignments of a principal.
func (d *Directory) Assignments(principal ObjectID) []RoleAssignment {
	d.mu.RLock()
	defer d.mu.RUnlock()
	return slices.Clone(d.assignments[principal])
}

func (r Role) allows(permission string) bool {
	storage := func(p string) bool { return strings.HasPrefix(p, blobServices) && matches(p, permission) }
	return slices.ContainsFunc(r.DataActions, storage) || slices.ContainsFunc(r.Actions, storage)
}

// matches compares a permission with a pattern in which a trailing * covers
// every deeper segment.
func matches(pattern, permission string) bool {
	if prefix, wild := strings.CutSuffix(pattern, "*"); wild {
		return len(permission) >= len(prefix) && strings.EqualFold(permission[:len(prefix)], prefix)
	}
	return strings.EqualFold(pattern, permission)
}

// Contains reports whether other is id or lies below it.
func (id ResourceID) Contains(other ResourceID) bool {
	outer, inner := strings.ToLower(path.Clean("/"+string(id))), strings.ToLower(path.Clean("/"+string(other)))
	return outer == "/" || inner == outer || strings.HasPrefix(inner, outer+"/")
}
