// Signs in from every place that hands out tokens, with @azure/identity. Each
// argument is an identity to do so with; see examples/sources.
import { readFile } from "node:fs/promises";
import { AzurePipelinesCredential, ClientAssertionCredential, ManagedIdentityCredential, WorkloadIdentityCredential } from "@azure/identity";

const env = process.env;
const storage = "https://storage.azure.com/.default";

const app = (assertion) =>
  new ClientAssertionCredential("11111111-1111-1111-1111-111111111111", "22222222-2222-2222-2222-222222222222", assertion).getToken(storage);

function workload() {
  const credential = env.SYSTEM_OIDCREQUESTURI
    ? new AzurePipelinesCredential(env.AZURESUBSCRIPTION_TENANT_ID, env.AZURESUBSCRIPTION_CLIENT_ID, env.AZURESUBSCRIPTION_SERVICE_CONNECTION_ID, env.SYSTEM_ACCESSTOKEN)
    : new WorkloadIdentityCredential();
  return credential.getToken(storage);
}

async function signIn(word) {
  const [kind, value] = word.split("=");
  switch (kind) {
    case "workload":
      return workload();
    case "file":
      return app(() => readFile(env.ASSERTION_FILE, "utf8"));
  }
  const options = { "client-id": { clientId: value }, "object-id": { objectId: value }, "resource-id": { resourceId: value } }[kind];
  const identity = new ManagedIdentityCredential(options ?? {});
  if (env.RESOURCE) {
    return identity.getToken(`${env.RESOURCE}/.default`);
  }
  return app(async () => (await identity.getToken("api://AzureADTokenExchange/.default")).token);
}

for (const word of process.argv.slice(2)) {
  const outcome = await signIn(word).then(() => "ok", (error) => error.message.replace(/\s+/g, " "));
  console.log(`${word}\t${outcome}`);
}
