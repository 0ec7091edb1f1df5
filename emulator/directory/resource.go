package directory

import "strings"

// A Resource is something that tokens are for.
type Resource struct {
	Name             string
	AppID            ClientID
	Tenant           TenantID // home of an application of this cloud; empty for Microsoft's own
	Identifiers      []string // application ID URIs, compared without regard to case
	TokenVersion     int      // version of the tokens it accepts: 1 or 2
	AssignmentNeeded bool     // only clients with an app role get tokens
}

// Client IDs of Microsoft's resources that the emulators treat specially.
const (
	// TokenExchangeApp is the aud claim of managed identity tokens that were
	// asked for with a token exchange audience. It is published for the public
	// cloud only; the others use the same value here, which is an assumption.
	TokenExchangeApp ClientID = "fb60f99c-7a34-4190-8149-302f77469936"
	// StorageApp is Azure Storage.
	StorageApp ClientID = "e406a681-f3d4-42a8-90b6-c2b029497af1"
)

// firstParty lists the resources of Microsoft that exist in every tenant. The
// token exchange application and Storage are documented in the token-service
// facts; the identifiers of the others are general knowledge.
func firstParty(exchangeAudience string) []Resource {
	return []Resource{
		{Name: "Azure AD Token Exchange", AppID: TokenExchangeApp, Identifiers: []string{exchangeAudience}, TokenVersion: 2},
		{Name: "Azure Storage", AppID: StorageApp, Identifiers: []string{"https://storage.azure.com"}, TokenVersion: 1},
		{Name: "Azure Resource Manager", AppID: "797f4846-ba00-4fd7-ba43-dac1f8f63013", TokenVersion: 1, Identifiers: []string{
			"https://management.azure.com", "https://management.core.windows.net",
			"https://management.usgovcloudapi.net", "https://management.core.usgovcloudapi.net",
			"https://management.chinacloudapi.cn", "https://management.core.chinacloudapi.cn"}},
		{Name: "Microsoft Graph", AppID: "00000003-0000-0000-c000-000000000000", TokenVersion: 1, Identifiers: []string{
			"https://graph.microsoft.com", "https://graph.microsoft.us", "https://microsoftgraph.chinacloudapi.cn"}},
		{Name: "Azure Key Vault", AppID: "cfa8b339-82a2-471a-a3c9-0fc0be7a4093", TokenVersion: 1, Identifiers: []string{
			"https://vault.azure.net", "https://vault.usgovcloudapi.net", "https://vault.azure.cn"}},
		{Name: "Azure SQL Database", AppID: "022907d3-0f1b-48f7-badc-1ba6abab6d66", Identifiers: []string{"https://database.windows.net"}, TokenVersion: 1},
		{Name: "Azure OSSRDBMS Database", AppID: "123cd850-d9df-40bd-94d5-c9f07b7fa203", Identifiers: []string{"https://ossrdbms-aad.database.windows.net"}, TokenVersion: 1},
		{Name: "Azure Service Bus", AppID: "80a10ef9-8168-493d-abf9-3297c4ef6e3c", Identifiers: []string{"https://servicebus.azure.net"}, TokenVersion: 1},
		{Name: "Azure Event Hubs", AppID: "80369ed6-5f11-4dd9-bef3-692475845e77", Identifiers: []string{"https://eventhubs.azure.net"}, TokenVersion: 1},
		{Name: "Azure Cosmos DB", AppID: "a232010e-820c-4083-83bb-3ace5fc29d0b", Identifiers: []string{"https://cosmos.azure.com"}, TokenVersion: 1},
		{Name: "Microsoft Cognitive Services", AppID: "7d312290-28c8-473c-a0ed-8e53749b6d6d", Identifiers: []string{"https://cognitiveservices.azure.com"}, TokenVersion: 1},
		{Name: "Azure DevOps", AppID: "499b84ac-1321-427f-aa17-267ca6975798", Identifiers: []string{"https://app.vssps.visualstudio.com"}, TokenVersion: 1},
	}
}

// normalise makes identifiers that Entra treats as equal equal: letter case
// does not count, and neither does one trailing slash. A virtual machine was
// seen to get a token for https:/management.azure.com/, with one slash, which
// proxies make of two.
func normalise(identifier string) string {
	id := strings.ToLower(strings.TrimSuffix(identifier, "/"))
	if rest, ok := strings.CutPrefix(id, "https:/"); ok && !strings.HasPrefix(rest, "/") {
		return "https://" + rest
	}
	return id
}

func (d *Directory) addResource(r Resource) {
	d.resources[normalise(string(r.AppID))] = r
	for _, id := range r.Identifiers {
		d.resources[normalise(id)] = r
	}
	if _, known := d.names[string(r.AppID)]; !known {
		d.names[string(r.AppID)] = r.Name
	}
}

// AddResource adds a resource that is not an application of this cloud, such
// as a storage account's own endpoint.
func (d *Directory) AddResource(r Resource) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.addResource(r)
}

// Resource returns the resource that a client in tenant names by an
// application ID URI or a client ID. A resource that is an application of this
// cloud has to have a service principal in the tenant; Microsoft's own are
// everywhere.
func (d *Directory) Resource(tenant TenantID, identifier string) (Resource, bool) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	r, ok := d.resources[normalise(identifier)]
	if !ok || r.Tenant == "" {
		return r, ok
	}
	_, present := d.principals[presence{tenant, r.AppID}]
	return r, present
}
