// Signs in from a pod or from a job of Azure Pipelines, with @azure/identity and
// what their surroundings say.
import { AzurePipelinesCredential, WorkloadIdentityCredential } from "@azure/identity";

const env = process.env;
const credential = env.SYSTEM_OIDCREQUESTURI
  ? new AzurePipelinesCredential(env.AZURESUBSCRIPTION_TENANT_ID, env.AZURESUBSCRIPTION_CLIENT_ID, env.AZURESUBSCRIPTION_SERVICE_CONNECTION_ID, env.SYSTEM_ACCESSTOKEN)
  : new WorkloadIdentityCredential();

await credential.getToken("https://storage.azure.com/.default");
console.log("signed in");
