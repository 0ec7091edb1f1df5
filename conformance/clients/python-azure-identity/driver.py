"""Drives azure-identity and azure-storage-blob in the conformance suite."""

import logging
import os
import platform
import sys
from pathlib import Path

from azure.core.exceptions import HttpResponseError
from azure.identity import ClientAssertionCredential, ManagedIdentityCredential
from azure.storage.blob import ContainerClient

sys.path.append(str(Path(__file__).resolve().parent.parent))
import fcd  # noqa: E402

PACKAGES = fcd.dependencies("azure-identity", "azure-core", "azure-storage-blob", "msal", "requests")
HELLO = {
    "implementation": {
        "name": "azure-identity",
        "version": PACKAGES[0]["version"],
        "language": "python",
        "runtime": platform.python_version(),
        "homepage": "https://github.com/Azure/azure-sdk-for-python",
        "issues": "https://github.com/Azure/azure-sdk-for-python/issues",
    },
    "dependencies": PACKAGES,
    "capabilities": [
        "imds", "appservice", "arc", "servicefabric", "cloudshell", "azureml", "tokenfile",
        "identity.client_id", "identity.object_id", "identity.resource_id", "identity.system",
        "tenants", "claims", "cae", "blob", "verbose_log", "mi_token", "setenv", "reset", "concurrency",
    ],
}  # fmt: skip

AUTHORITIES = {
    "public": "login.microsoftonline.com",
    "usgov": "login.microsoftonline.us",
    "china": "login.chinacloudapi.cn",
}


class Client:
    def __init__(self, config):
        self.config = config
        if config["log_level"] == "verbose":
            logging.basicConfig(level=logging.DEBUG, stream=sys.stderr)
        self.identity = None
        explicit = config["endpoints"]["mode"] == "explicit"
        # Releases before 1.17 fail for the keyword, whatever its value.
        discovery = {} if config["instance_discovery"] else {"disable_instance_discovery": True}
        self.app = ClientAssertionCredential(
            config["tenant"],
            config["app_client_id"],
            self.token_file if config["mi_source"] == "tokenfile" else self.assertion,
            authority=config["endpoints"]["authority"] if explicit or not config["cloud"] else AUTHORITIES[config["cloud"]],
            additionally_allowed_tenants=config["allowed_tenants"],
            **discovery,
        )
        if config["mi_source"] != "tokenfile":
            kind, value = config["identity"]["kind"], config["identity"].get("value")
            if kind == "system":
                self.identity = ManagedIdentityCredential()
            elif kind == "client_id":
                self.identity = ManagedIdentityCredential(client_id=value)
            else:
                self.identity = ManagedIdentityCredential(identity_config={kind: value})

    def assertion(self):
        return self.identity.get_token(f"{self.config['audience']}/.default").token

    def token_file(self):
        with open(os.environ["AZURE_FEDERATED_TOKEN_FILE"], encoding="ascii") as file:
            return file.read()

    def token(self, request):
        options = {"enable_cae": bool(request.get("cae") or self.config.get("cae"))}
        if request.get("tenant"):
            options["tenant_id"] = request["tenant"]
        if request.get("claims"):
            options["claims"] = request["claims"]
        token = self.app.get_token(*request["scopes"], **options)
        return {"token": token.token, "expires_on": token.expires_on}

    def mi_token(self, request):
        token = self.identity.get_token(f"{request['resource']}/.default")
        return {"token": token.token, "expires_on": token.expires_on}

    def resource(self, request):
        if request["action"] != "blob.list":
            raise fcd.Skip("the SDK has no client for other resources")
        try:
            container = ContainerClient.from_container_url(request["url"], credential=self.app)
            return {"status": 200, "items": [blob.name for blob in container.list_blobs()]}
        except HttpResponseError as error:
            return {"error": {"kind": "auth", "message": str(error), "http_status": error.status_code or 0}}


fcd.serve(HELLO, Client)
