"""Signs in from every place that hands out tokens, with MSAL for Python. Each
argument is an identity to do so with; see examples/sources."""

import os
import sys

import msal
import requests


def must(result):
    """Returns the token of a result, or raises what MSAL says went wrong."""
    if "access_token" not in result:
        raise RuntimeError(f"{result.get('error')}: {result.get('error_description')}")
    return result["access_token"]


def exchange(assertion):
    app = msal.ConfidentialClientApplication(
        "22222222-2222-2222-2222-222222222222",
        authority="https://login.microsoftonline.com/11111111-1111-1111-1111-111111111111",
        client_credential={"client_assertion": assertion},
    )
    return must(app.acquire_token_for_client(["https://storage.azure.com/.default"]))


def file():
    with open(os.environ["ASSERTION_FILE"], encoding="ascii") as assertion:
        return assertion.read()


def sign_in(word):
    kind, _, value = word.partition("=")
    if kind == "file":
        return exchange(file)
    if kind == "system":
        identity = msal.SystemAssignedManagedIdentity()
    else:
        identity = msal.UserAssignedManagedIdentity(**{kind.replace("-", "_"): value})
    client = msal.ManagedIdentityClient(identity, http_client=requests.Session())
    if "RESOURCE" in os.environ:
        return must(client.acquire_token_for_client(resource=os.environ["RESOURCE"]))
    return exchange(lambda: must(client.acquire_token_for_client(resource="api://AzureADTokenExchange")))


for argument in sys.argv[1:]:
    try:
        sign_in(argument)
        outcome = "ok"
    except Exception as error:  # whatever it says is the outcome
        outcome = " ".join(str(error).split())
    print(argument, outcome, sep="\t")
