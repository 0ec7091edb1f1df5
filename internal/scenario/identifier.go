package scenario

import (
	"github.com/fakeentra/fakeentra/emulator/directory"
	"github.com/fakeentra/fakeentra/internal/ident"
)

// DefaultSeed is what identifiers are derived from when nothing else is said.
const DefaultSeed = "fakeentra"

// The functions below derive the identifiers that are not spelled, from a seed
// and the names of things. The builders of the library use the same, so that a
// file and a program that say the same get the same identifiers.

// TenantID returns the identifier of a tenant.
func TenantID(seed, tenant string) directory.TenantID {
	return directory.TenantID(ident.GUID(seed, "tenant", tenant))
}

// ApplicationClientID returns the client ID of an application.
func ApplicationClientID(seed, application string) directory.ClientID {
	return directory.ClientID(ident.GUID(seed, "application", application))
}

// ApplicationObjectID returns the object ID of an application, which is not
// that of its service principal.
func ApplicationObjectID(seed, application string) directory.ObjectID {
	return directory.ObjectID(ident.GUID(seed, "application-object", application))
}

// ServicePrincipalID returns the object ID of the service principal that an
// application has in a tenant.
func ServicePrincipalID(seed, tenant, application string) directory.ObjectID {
	return directory.ObjectID(ident.GUID(seed, "service-principal", tenant, application))
}

// ManagedIdentityClientID returns the client ID of a managed identity.
func ManagedIdentityClientID(seed, identity string) directory.ClientID {
	return directory.ClientID(ident.GUID(seed, "managed-identity-client", identity))
}

// ManagedIdentityPrincipalID returns the principal ID of a managed identity.
func ManagedIdentityPrincipalID(seed, identity string) directory.ObjectID {
	return directory.ObjectID(ident.GUID(seed, "managed-identity-principal", identity))
}

// SubscriptionID returns the identifier of the one Azure subscription of a
// tenant.
func SubscriptionID(seed, tenant string) string {
	return ident.GUID(seed, "subscription", tenant)
}

// The identifiers of Azure resources below are in the one resource group that
// a tenant's subscription has. Azure writes the segment resourcegroups in
// lower case for identities in tokens, and in camel case elsewhere.

// ManagedIdentityResourceID returns the identifier of a user-assigned managed
// identity as an Azure resource.
func ManagedIdentityResourceID(seed, tenant, identity string) directory.ResourceID {
	return directory.ResourceID("/subscriptions/" + SubscriptionID(seed, tenant) +
		"/resourcegroups/fakeentra/providers/Microsoft.ManagedIdentity/userAssignedIdentities/" + identity)
}

// hostTypes are the types of hosts as Azure resources. Where code runs within a
// larger resource, that one has the name of the resource group.
var hostTypes = map[string]string{
	SourceIMDS: "Microsoft.Compute/virtualMachines/", SourceAKS: "Microsoft.ContainerService/managedClusters/",
	SourceAppService: "Microsoft.Web/sites/", SourceFunctions: "Microsoft.Web/sites/", SourceContainerApps: "Microsoft.App/containerApps/",
	SourceArc: "Microsoft.HybridCompute/machines/", SourceServiceFabric: "Microsoft.ServiceFabric/managedclusters/fakeentra/applications/",
	SourceAzureML: "Microsoft.MachineLearningServices/workspaces/fakeentra/computes/",
}

// HostResourceID returns the identifier of a host as an Azure resource. It is
// empty for a source that is none, such as a laptop.
func HostResourceID(source, seed, tenant, host string) directory.ResourceID {
	if hostTypes[source] == "" {
		return ""
	}
	return directory.ResourceID("/subscriptions/" + SubscriptionID(seed, tenant) +
		"/resourceGroups/fakeentra/providers/" + hostTypes[source] + host)
}

// StorageAccountResourceID returns the identifier of a storage account.
func StorageAccountResourceID(seed, tenant, account string) directory.ResourceID {
	return directory.ResourceID("/subscriptions/" + SubscriptionID(seed, tenant) +
		"/resourceGroups/fakeentra/providers/Microsoft.Storage/storageAccounts/" + account)
}

// ContainerScope returns the scope of role assignments on a container of a
// storage account.
func ContainerScope(account directory.ResourceID, container string) directory.ResourceID {
	return account + directory.ResourceID("/blobServices/default/containers/"+container)
}
