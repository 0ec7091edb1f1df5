"""Drives MSAL for Python in the conformance suite."""

import logging
import os
import platform
import sys
import time
from pathlib import Path

import msal
import requests

sys.path.append(str(Path(__file__).resolve().parent.parent))
import fcd  # noqa: E402

PACKAGES = fcd.dependencies("msal", "requests", "PyJWT")
HELLO = {
    "implementation": {
        "name": "MSAL for Python",
        "version": PACKAGES[0]["version"],
        "language": "python",
        "runtime": platform.python_version(),
        "homepage": "https://github.com/AzureAD/microsoft-authentication-library-for-python",
        "issues": "https://github.com/AzureAD/microsoft-authentication-library-for-python/issues",
    },
    "dependencies": PACKAGES,
    "capabilities": [
        "imds", "appservice", "arc", "servicefabric", "azureml", "tokenfile",
        "identity.client_id", "identity.object_id", "identity.resource_id", "identity.system",
        "claims", "verbose_log", "mi_token", "setenv", "reset", "concurrency",
    ],
}  # fmt: skip


class Client:
    def __init__(self, config):
        self.config = config
        if config["log_level"] == "verbose":
            logging.basicConfig(level=logging.DEBUG, stream=sys.stderr)
        if config["mi_source"] != "tokenfile":
            kind, value = config["identity"]["kind"], config["identity"].get("value")
            identity = msal.SystemAssignedManagedIdentity() if kind == "system" else msal.UserAssignedManagedIdentity(**{kind: value})
            self.identity = msal.ManagedIdentityClient(identity, http_client=requests.Session())
        self.app = None

    def confidential(self):
        # MSAL asks the authority for its documents here, so that an error of it
        # belongs to the request for a token.
        if self.app is None:
            self.app = msal.ConfidentialClientApplication(
                self.config["app_client_id"],
                authority=f"{self.config['endpoints']['authority']}/{self.config['tenant']}",
                client_credential={"client_assertion": self.assertion},
                instance_discovery=self.config["instance_discovery"] and None,
                client_capabilities=["cp1"] if self.config.get("cae") else None,
            )
        return self.app

    def assertion(self):
        if self.config["mi_source"] == "tokenfile":
            with open(os.environ["AZURE_FEDERATED_TOKEN_FILE"], encoding="ascii") as file:
                return file.read()
        return must(self.identity.acquire_token_for_client(resource=self.config["audience"]))["token"]

    def token(self, request):
        return must(self.confidential().acquire_token_for_client(request["scopes"], claims_challenge=request.get("claims")))

    def mi_token(self, request):
        return must(self.identity.acquire_token_for_client(resource=request["resource"]))


class AuthError(Exception):
    """What MSAL returns instead of a token."""


def must(result):
    if "access_token" not in result:
        raise AuthError(f"{result.get('error')}: {result.get('error_description')} {result.get('correlation_id', '')}")
    got = {"token": result["access_token"], "token_type": result.get("token_type", ""), "from_cache": result.get("token_source") == "cache"}
    if "expires_in" in result:
        got["expires_on"] = int(time.time() + int(result["expires_in"]))
    return got


fcd.serve(HELLO, Client)
