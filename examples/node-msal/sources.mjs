// Signs in from every place that hands out tokens, with @azure/msal-node. Each
// argument is an identity to do so with; see examples/sources.
import { readFile } from "node:fs/promises";
import { ConfidentialClientApplication, ManagedIdentityApplication } from "@azure/msal-node";

const env = process.env;

const exchange = (clientAssertion) =>
  new ConfidentialClientApplication({
    auth: {
      clientId: "22222222-2222-2222-2222-222222222222",
      authority: "https://login.microsoftonline.com/11111111-1111-1111-1111-111111111111",
      clientAssertion,
    },
  }).acquireTokenByClientCredential({ scopes: ["https://storage.azure.com/.default"] });

async function signIn(word) {
  if (word === "file") {
    return exchange(() => readFile(env.ASSERTION_FILE, "utf8"));
  }
  const [kind, value] = word.split("=");
  const managedIdentityIdParams = {
    "client-id": { userAssignedClientId: value },
    "object-id": { userAssignedObjectId: value },
    "resource-id": { userAssignedResourceId: value },
  }[kind];
  const identity = new ManagedIdentityApplication(managedIdentityIdParams && { managedIdentityIdParams });
  if (env.RESOURCE) {
    return identity.acquireToken({ resource: env.RESOURCE });
  }
  return exchange(async () => (await identity.acquireToken({ resource: "api://AzureADTokenExchange" })).accessToken);
}

for (const word of process.argv.slice(2)) {
  const outcome = await signIn(word).then(() => "ok", (error) => error.message.replace(/\s+/g, " "));
  console.log(`${word}\t${outcome}`);
}
