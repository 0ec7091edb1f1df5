package imds

import (
	"fmt"
	"net/url"
	"strings"

	"github.com/fakeentra/fakeentra/emulator/directory"
	"github.com/fakeentra/fakeentra/internal/edge"
)

// A selector is the query parameter that says which identity of the host is
// meant. Its zero value stands for the host's default identity.
type selector struct{ name, value string }

// selectors are the parameters that select. The first three are documented by
// vm-token and swagger. mi_res_id belongs to App Service and to IMDSv2; whether
// IMDS takes it is not known, so it is accepted here and noted.
var selectors = []string{"client_id", "object_id", "msi_res_id", "mi_res_id"}

// lookalikes are parameters that select at other sources only. IMDS ignores
// what it does not know, and hands out the token of the default identity.
var lookalikes = []string{"principal_id", "principalId", "clientid", "msi-res-id"}

// selectorOf reads the selector of a query. That two of them at once are
// refused follows from swagger and vm-token, which allow one; the text of the
// refusal is not published.
func selectorOf(query url.Values) (selector, *refusal) {
	var found []string
	for _, name := range selectors {
		if query.Has(name) {
			found = append(found, name)
		}
	}
	switch len(found) {
	case 0:
		return selector{}, nil
	case 1:
		return selector{found[0], query.Get(found[0])}, nil
	}
	return selector{}, because("two-selectors", "the query has %s; send only one of them", strings.Join(found, " and "))
}

// noteOddities records selectors that work here by leniency, or not at all.
func noteOddities(r *edge.Request, query url.Values, sel selector) {
	if sel.name == "mi_res_id" {
		r.Note("undocumented", sel.name)
	}
	for _, name := range lookalikes {
		if query.Has(name) {
			r.Note("ignored", name)
		}
	}
}

// selects reports whether sel means m. GUIDs and resource IDs are compared
// without regard to letter case; an empty value selects nothing, not even an
// identity without a resource ID.
func (sel selector) selects(m directory.ManagedIdentity) bool {
	switch {
	case sel.value == "":
		return false
	case sel.name == "client_id":
		return strings.EqualFold(sel.value, string(m.ClientID))
	case sel.name == "object_id":
		return strings.EqualFold(sel.value, string(m.ObjectID))
	}
	return strings.EqualFold(sel.value, string(m.ResourceID))
}

// identify finds the identity that sel means among those of the host.
func (s *Service) identify(host Host, sel selector) (directory.ManagedIdentity, *refusal) {
	assigned := s.Assigned(host.Name)
	if sel.name == "" {
		return byDefault(host, assigned)
	}
	for _, m := range assigned {
		if sel.selects(m) {
			return m, nil
		}
	}
	return directory.ManagedIdentity{}, because("identity-not-found", "%s; %s", s.mismatch(host, sel, assigned), inventory(host, assigned))
}

// byDefault picks the identity for a query without a selector: the
// system-assigned one, or else the only user-assigned one (vm-token;
// Azure/azure-sdk-for-python#41962 for clients that asked for a
// system-assigned identity and got the user-assigned one).
func byDefault(host Host, assigned []directory.ManagedIdentity) (directory.ManagedIdentity, *refusal) {
	for _, m := range assigned {
		if m.Kind == directory.SystemAssigned {
			return m, nil
		}
	}
	switch len(assigned) {
	case 0:
		return directory.ManagedIdentity{}, because("identity-not-found", "%s; assign one to it", inventory(host, assigned))
	case 1:
		return assigned[0], nil
	}
	return directory.ManagedIdentity{}, because("multiple-identities", "the query selects no identity, and the host has no system-assigned one; %s; send the client_id of one of them", inventory(host, assigned))
}

// mismatch says what is wrong with a selector that selects nothing.
func (s *Service) mismatch(host Host, sel selector, assigned []directory.ManagedIdentity) string {
	if sel.value == "" {
		return fmt.Sprintf("%s is empty; leave it out to ask for the default identity", sel.name)
	}
	for _, m := range assigned {
		for _, name := range selectors[:3] {
			if (selector{name, sel.value}).selects(m) {
				return fmt.Sprintf("%s=%s is the %s of %s, not its %s; send it as %s", sel.name, sel.value, spoken[name], m.Name, spoken[sel.name], name)
			}
		}
	}
	if what := s.directory.Describe(sel.value); what != "" {
		return fmt.Sprintf("%s=%s is the %s, which is not assigned to %s; assign it, or select another one", sel.name, sel.value, what, host.Name)
	}
	return fmt.Sprintf("%s=%s stands for nothing that the directory knows or that is assigned to %s", sel.name, sel.value, host.Name)
}

// spoken are the words of Azure's portal for what a selector holds.
var spoken = map[string]string{"client_id": "client ID", "object_id": "principal ID", "msi_res_id": "resource ID", "mi_res_id": "resource ID"}

// inventory lists the identities of a host for a sentence.
func inventory(host Host, assigned []directory.ManagedIdentity) string {
	if len(assigned) == 0 {
		return fmt.Sprintf("%s has no managed identity", host.Name)
	}
	names := make([]string, 0, len(assigned))
	for _, m := range assigned {
		names = append(names, fmt.Sprintf("%s (client_id %s)", m.Name, m.ClientID))
	}
	return fmt.Sprintf("%s has %s", host.Name, strings.Join(names, ", "))
}
