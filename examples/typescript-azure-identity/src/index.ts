// Lists blobs as an application that trusts the managed identity of the machine
// it runs on, with @azure/identity and @azure/storage-blob.
import { ClientAssertionCredential, ManagedIdentityCredential, type TokenCredential } from "@azure/identity";
import { ContainerClient } from "@azure/storage-blob";

const accountName = "contosodata";
const containerName = "reports";
const tenantId = "11111111-1111-1111-1111-111111111111"; // of the storage account
const appClientId = "22222222-2222-2222-2222-222222222222"; // has access to the storage account
const managedIdentityClientId = "44444444-4444-4444-4444-444444444444"; // is assigned to this machine
const audience = "api://AzureADTokenExchange";

function credential(): TokenCredential {
  const identity = new ManagedIdentityCredential({ clientId: managedIdentityClientId });
  const assertion = async (): Promise<string> => (await identity.getToken(`${audience}/.default`)).token;
  return new ClientAssertionCredential(tenantId, appClientId, assertion);
}

async function* blobNames(container: ContainerClient): AsyncGenerator<string> {
  for await (const blob of container.listBlobsFlat()) {
    yield blob.name;
  }
}

const container = new ContainerClient(`https://${accountName}.blob.core.windows.net/${containerName}`, credential());
for await (const name of blobNames(container)) {
  console.log(name);
}
