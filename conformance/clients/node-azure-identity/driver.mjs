// Drives @azure/identity and @azure/storage-blob in the conformance suite.
import { readFile } from "node:fs/promises";
import { ClientAssertionCredential, ManagedIdentityCredential } from "@azure/identity";
import { setLogLevel } from "@azure/logger";
import { ContainerClient } from "@azure/storage-blob";
import { dependencies, serve, Skip } from "../fcd.mjs";

const packages = dependencies(import.meta.url, "@azure/identity", "@azure/msal-node", "@azure/core-rest-pipeline", "@azure/storage-blob");
const hello = {
  implementation: {
    name: "@azure/identity",
    version: packages[0].version,
    language: "javascript",
    runtime: `node ${process.versions.node}`,
    homepage: "https://github.com/Azure/azure-sdk-for-js",
    issues: "https://github.com/Azure/azure-sdk-for-js/issues",
  },
  dependencies: packages,
  capabilities: [
    "imds", "appservice", "arc", "servicefabric", "cloudshell", "azureml", "tokenfile",
    "identity.client_id", "identity.object_id", "identity.resource_id", "identity.system",
    "tenants", "claims", "cae", "blob", "cancel", "timeout", "verbose_log", "mi_token", "setenv", "reset", "concurrency",
  ],
};

const authorities = {
  public: "https://login.microsoftonline.com",
  usgov: "https://login.microsoftonline.us",
  china: "https://login.chinacloudapi.cn",
};

const found = ({ token, expiresOnTimestamp, refreshAfterTimestamp }) => ({
  token,
  expires_on: Math.floor(expiresOnTimestamp / 1000),
  ...(refreshAfterTimestamp && { refresh_on: Math.floor(refreshAfterTimestamp / 1000) }),
});

class Client {
  constructor(config) {
    if (config.log_level === "verbose") setLogLevel("verbose");
    this.config = config;
    const { kind, value } = config.identity;
    const selector = { client_id: "clientId", object_id: "objectId", resource_id: "resourceId" }[kind];
    if (config.mi_source !== "tokenfile") {
      this.identity = new ManagedIdentityCredential(selector ? { [selector]: value } : {});
    }
    this.app = new ClientAssertionCredential(config.tenant, config.app_client_id, () => this.assertion(), {
      authorityHost: config.endpoints.mode === "explicit" || !config.cloud ? config.endpoints.authority : authorities[config.cloud],
      additionallyAllowedTenants: config.allowed_tenants,
      disableInstanceDiscovery: !config.instance_discovery,
    });
  }

  async assertion() {
    if (this.config.mi_source === "tokenfile") return readFile(process.env.AZURE_FEDERATED_TOKEN_FILE, "utf8");
    return (await this.identity.getToken(`${this.config.audience}/.default`)).token;
  }

  async token({ scopes, tenant, claims, cae }, abortSignal) {
    return found(await this.app.getToken(scopes, { tenantId: tenant, claims, enableCae: cae || this.config.cae, abortSignal }));
  }

  async mi_token({ resource }) {
    return found(await this.identity.getToken(`${resource}/.default`));
  }

  async resource({ action, url }, abortSignal) {
    if (action !== "blob.list") throw new Skip("the SDK has no client for other resources");
    const items = [];
    for await (const blob of new ContainerClient(url, this.app).listBlobsFlat({ abortSignal })) items.push(blob.name);
    return { status: 200, items };
  }
}

await serve(hello, (config) => new Client(config));
