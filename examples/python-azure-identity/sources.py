"""Signs in from every place that hands out tokens, with azure-identity. Each
argument is an identity to do so with; see examples/sources."""

import os
import sys

from azure.identity import (
    AzurePipelinesCredential,
    ClientAssertionCredential,
    ManagedIdentityCredential,
    WorkloadIdentityCredential,
)

STORAGE = "https://storage.azure.com/.default"


def app(assertion):
    return ClientAssertionCredential(
        "11111111-1111-1111-1111-111111111111", "22222222-2222-2222-2222-222222222222", assertion
    ).get_token(STORAGE)


def workload():
    if "SYSTEM_OIDCREQUESTURI" not in os.environ:
        return WorkloadIdentityCredential().get_token(STORAGE)
    return AzurePipelinesCredential(
        tenant_id=os.environ["AZURESUBSCRIPTION_TENANT_ID"],
        client_id=os.environ["AZURESUBSCRIPTION_CLIENT_ID"],
        service_connection_id=os.environ["AZURESUBSCRIPTION_SERVICE_CONNECTION_ID"],
        system_access_token=os.environ["SYSTEM_ACCESSTOKEN"],
    ).get_token(STORAGE)


def file():
    with open(os.environ["ASSERTION_FILE"], encoding="ascii") as assertion:
        return assertion.read()


def sign_in(word):
    kind, _, value = word.partition("=")
    if kind == "workload":
        return workload()
    if kind == "file":
        return app(file)
    if kind == "system":
        identity = ManagedIdentityCredential()
    elif kind == "client-id":
        identity = ManagedIdentityCredential(client_id=value)
    else:
        identity = ManagedIdentityCredential(identity_config={kind.replace("-", "_"): value})
    if "RESOURCE" in os.environ:
        return identity.get_token(os.environ["RESOURCE"] + "/.default")
    return app(lambda: identity.get_token("api://AzureADTokenExchange/.default").token)


for argument in sys.argv[1:]:
    try:
        sign_in(argument)
        outcome = "ok"
    except Exception as error:  # whatever it says is the outcome
        outcome = " ".join(str(error).split())
    print(argument, outcome, sep="\t")
