package imds

import (
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/fakeentra/fakeentra/emulator/directory"
	"github.com/fakeentra/fakeentra/internal/edge"
)

// A selector is the query parameter that says which identity of the host is
// meant. Its zero value stands for the host's default identity.
type selector struct {
	name, value string
	of          spelling
}

// A spelling is how a source calls the parameters that select, the documented
// name of each first.
type spelling struct{ client, object, resource []string }

// vmSelectors are those of vm-token and swagger. mi_res_id belongs to App Service
// and to IMDSv2; whether IMDS takes it is not known, so it is accepted here and
// noted.
var vmSelectors = spelling{client: []string{"client_id"}, object: []string{"object_id"}, resource: []string{"msi_res_id", "mi_res_id"}}

// names returns all spellings.
func (sp spelling) names() []string { return slices.Concat(sp.client, sp.object, sp.resource) }

// documented returns the names that a source documents.
func (sp spelling) documented() []string {
	var out []string
	for _, names := range [][]string{sp.client, sp.object, sp.resource} {
		out = append(out, names[:min(1, len(names))]...)
	}
	return out
}

// lookalikes are parameters that select at other sources only. IMDS ignores
// what it does not know, and hands out the token of the default identity.
var lookalikes = []string{"client_id", "clientid", "object_id", "principal_id", "principalId", "msi_res_id", "mi_res_id", "msi-res-id"}

// of reads the selector of a query. That two of them at once are refused follows
// from swagger and vm-token, which allow one; the text of the refusal is not
// published.
func (sp spelling) of(query url.Values) (selector, *refusal) {
	var found []string
	for _, name := range sp.names() {
		if query.Has(name) {
			found = append(found, name)
		}
	}
	switch len(found) {
	case 0:
		return selector{of: sp}, nil
	case 1:
		return selector{found[0], query.Get(found[0]), sp}, nil
	}
	return selector{}, because("two-selectors", "the query has %s; send only one of them", strings.Join(found, " and "))
}

// noteOddities records selectors that work here by leniency, or not at all.
func noteOddities(r *edge.Request, query url.Values, sel selector) {
	if sel.name != "" && !slices.Contains(sel.of.documented(), sel.name) {
		r.Note("undocumented", sel.name)
	}
	for _, name := range lookalikes {
		if query.Has(name) && !slices.Contains(sel.of.names(), name) {
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
	case slices.Contains(sel.of.client, sel.name):
		return strings.EqualFold(sel.value, string(m.ClientID))
	case slices.Contains(sel.of.object, sel.name):
		return strings.EqualFold(sel.value, string(m.ObjectID))
	}
	return strings.EqualFold(sel.value, string(m.ResourceID))
}

// A miss says why a request means no identity.
type miss struct {
	why       string
	ambiguous bool // there are several, and none was selected
	selected  bool // one was selected
}

// identify finds the identity that sel means among those of a virtual machine.
// That a node of Service Fabric or Kubernetes has none is an assumption: they
// belong to the scale set, which is no host of its own.
func (s *Service) identify(host Host, sel selector) (directory.ManagedIdentity, *refusal) {
	if host.Source != IMDS {
		return directory.ManagedIdentity{}, because("identity-not-found", "169.254.169.254 is the metadata service of the node that %s runs on, which has no identity; identities of %s are handed out elsewhere, as its environment variables say", host.Name, host.Name)
	}
	m, missed := s.choose(host, sel)
	switch {
	case missed == nil:
		return m, nil
	case missed.ambiguous:
		return m, because("multiple-identities", "%s", missed.why)
	}
	return m, because("identity-not-found", "%s", missed.why)
}

// choose finds the identity that sel means among those of the host.
func (s *Service) choose(host Host, sel selector) (directory.ManagedIdentity, *miss) {
	assigned := s.Assigned(host.Name)
	if sel.name == "" {
		return byDefault(host, assigned)
	}
	for _, m := range assigned {
		if sel.selects(m) {
			return m, nil
		}
	}
	return directory.ManagedIdentity{}, &miss{why: s.mismatch(host, sel, assigned) + "; " + inventory(host, assigned), selected: true}
}

// byDefault picks the identity for a query without a selector: the
// system-assigned one, or else the only user-assigned one (vm-token;
// Azure/azure-sdk-for-python#41962 for clients that asked for a
// system-assigned identity and got the user-assigned one).
func byDefault(host Host, assigned []directory.ManagedIdentity) (directory.ManagedIdentity, *miss) {
	for _, m := range assigned {
		if m.Kind == directory.SystemAssigned {
			return m, nil
		}
	}
	switch len(assigned) {
	case 0:
		return directory.ManagedIdentity{}, &miss{why: inventory(host, assigned) + "; assign one to it"}
	case 1:
		return assigned[0], nil
	}
	return directory.ManagedIdentity{}, &miss{ambiguous: true,
		why: "the query selects no identity, and the host has no system-assigned one; " + inventory(host, assigned) + "; send the client_id of one of them"}
}

// mismatch says what is wrong with a selector that selects nothing.
func (s *Service) mismatch(host Host, sel selector, assigned []directory.ManagedIdentity) string {
	if sel.value == "" {
		return fmt.Sprintf("%s is empty; leave it out to ask for the default identity", sel.name)
	}
	for _, m := range assigned {
		for _, name := range sel.of.documented() {
			if other := (selector{name, sel.value, sel.of}); other.selects(m) {
				return fmt.Sprintf("%s=%s is the %s of %s, not its %s; send it as %s", sel.name, sel.value, other.spoken(), m.Name, sel.spoken(), name)
			}
		}
	}
	if what := s.directory.Describe(sel.value); what != "" {
		return fmt.Sprintf("%s=%s is the %s, which is not assigned to %s; assign it, or select another one", sel.name, sel.value, what, host.Name)
	}
	return fmt.Sprintf("%s=%s stands for nothing that the directory knows or that is assigned to %s", sel.name, sel.value, host.Name)
}

// spoken is the word of Azure's portal for what a selector holds.
func (sel selector) spoken() string {
	switch {
	case slices.Contains(sel.of.client, sel.name):
		return "client ID"
	case slices.Contains(sel.of.object, sel.name):
		return "principal ID"
	}
	return "resource ID"
}

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
