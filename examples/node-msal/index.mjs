// Lists blobs as an application that trusts the managed identity of the machine
// it runs on, with @azure/msal-node and fetch.
import { ConfidentialClientApplication, ManagedIdentityApplication } from "@azure/msal-node";

const container = "https://contosodata.blob.core.windows.net/reports";
const authority = "https://login.microsoftonline.com/11111111-1111-1111-1111-111111111111";
const appClientId = "22222222-2222-2222-2222-222222222222"; // has access to the storage account
const managedIdentityClientId = "44444444-4444-4444-4444-444444444444"; // is assigned to this machine
const audience = "api://AzureADTokenExchange";

const identity = new ManagedIdentityApplication({
  managedIdentityIdParams: { userAssignedClientId: managedIdentityClientId },
});
const app = new ConfidentialClientApplication({
  auth: {
    clientId: appClientId,
    authority,
    clientAssertion: async () => (await identity.acquireToken({ resource: audience })).accessToken,
  },
});
const { accessToken } = await app.acquireTokenByClientCredential({ scopes: ["https://storage.azure.com/.default"] });

const page = await fetch(`${container}?restype=container&comp=list`, {
  headers: { Authorization: `Bearer ${accessToken}`, "x-ms-version": "2026-04-06" },
});
if (!page.ok) {
  throw new Error(`listing the blobs: ${page.status} ${await page.text()}`);
}
for (const [, name] of (await page.text()).matchAll(/<Name>([^<]*)<\/Name>/g)) {
  console.log(name);
}
