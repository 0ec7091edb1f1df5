// Drives @azure/msal-node in the conformance suite.
import { readFile } from "node:fs/promises";
import { ConfidentialClientApplication, LogLevel, ManagedIdentityApplication } from "@azure/msal-node";
import { dependencies, serve } from "../fcd.mjs";

const packages = dependencies(import.meta.url, "@azure/msal-node", "@azure/msal-common");
const hello = {
  implementation: {
    name: "@azure/msal-node",
    version: packages[0].version,
    language: "javascript",
    runtime: `node ${process.versions.node}`,
    homepage: "https://github.com/AzureAD/microsoft-authentication-library-for-js",
    issues: "https://github.com/AzureAD/microsoft-authentication-library-for-js/issues",
  },
  dependencies: packages,
  // Not reset: the clients of a process share connections, and a request on one that
  // the other side has just closed is not sent again.
  capabilities: [
    "imds", "appservice", "arc", "servicefabric", "cloudshell", "azureml", "tokenfile",
    "identity.client_id", "identity.object_id", "identity.resource_id", "identity.system",
    "tenants", "claims", "verbose_log", "mi_token", "setenv", "concurrency", "correlation",
  ],
};

const found = ({ accessToken, expiresOn, fromCache, tokenType }) => ({
  token: accessToken,
  ...(expiresOn && { expires_on: Math.floor(expiresOn.getTime() / 1000) }),
  token_type: tokenType,
  from_cache: fromCache,
});

class Client {
  constructor(config) {
    this.config = config;
    const verbose = config.log_level === "verbose";
    const system = { loggerOptions: { logLevel: LogLevel.Trace, loggerCallback: (_, text) => verbose && console.error(text) } };
    const { kind, value } = config.identity;
    const selector = { client_id: "userAssignedClientId", object_id: "userAssignedObjectId", resource_id: "userAssignedResourceId" }[kind];
    if (config.mi_source !== "tokenfile") {
      this.identity = new ManagedIdentityApplication({ system, ...(selector && { managedIdentityIdParams: { [selector]: value } }) });
    }
    this.app = new ConfidentialClientApplication({
      auth: {
        clientId: config.app_client_id,
        authority: `${config.endpoints.authority}/${config.tenant}`,
        knownAuthorities: config.instance_discovery ? [] : [new URL(config.endpoints.authority).host],
        clientAssertion: () => this.assertion(),
        clientCapabilities: config.cae ? ["CP1"] : undefined,
      },
      system,
    });
  }

  async assertion() {
    if (this.config.mi_source === "tokenfile") return readFile(process.env.AZURE_FEDERATED_TOKEN_FILE, "utf8");
    return (await this.identity.acquireToken({ resource: this.config.audience })).accessToken;
  }

  async token({ scopes, tenant, claims, correlation_id: correlationId }) {
    const authority = tenant && `${this.config.endpoints.authority}/${tenant}`;
    return found(await this.app.acquireTokenByClientCredential({ scopes, claims, ...(correlationId && { correlationId }), ...(authority && { authority }) }));
  }

  async mi_token({ resource }) {
    return found(await this.identity.acquireToken({ resource }));
  }
}

await serve(hello, (config) => new Client(config));
