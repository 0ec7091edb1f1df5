// Lists blobs as an application that trusts the managed identity of the machine
// it runs on, with @azure/identity and @azure/storage-blob.
import { ClientAssertionCredential, ManagedIdentityCredential } from "@azure/identity";
import { ContainerClient } from "@azure/storage-blob";

const accountName = "contosodata";
const containerName = "reports";
const tenantId = "11111111-1111-1111-1111-111111111111"; // of the storage account
const appClientId = "22222222-2222-2222-2222-222222222222"; // has access to the storage account
const managedIdentityClientId = "44444444-4444-4444-4444-444444444444"; // is assigned to this machine
const audience = "api://AzureADTokenExchange";

const identity = new ManagedIdentityCredential({ clientId: managedIdentityClientId });
const app = new ClientAssertionCredential(tenantId, appClientId, async () => {
  const token = await identity.getToken(`${audience}/.default`);
  return token.token;
});

const container = new ContainerClient(`https://${accountName}.blob.core.windows.net/${containerName}`, app);
for await (const blob of container.listBlobsFlat()) {
  console.log(blob.name);
}
