"""Lists blobs as an application that trusts the managed identity of the machine
it runs on, with MSAL for Python and plain HTTP."""

import xml.etree.ElementTree as ElementTree

import msal
import requests

CONTAINER = "https://contosodata.blob.core.windows.net/reports"
AUTHORITY = "https://login.microsoftonline.com/11111111-1111-1111-1111-111111111111"
APP_CLIENT_ID = "22222222-2222-2222-2222-222222222222"  # has access to the storage account
MANAGED_IDENTITY_CLIENT_ID = "44444444-4444-4444-4444-444444444444"  # is assigned to this machine
AUDIENCE = "api://AzureADTokenExchange"


def must(result):
    """Returns the token of a result, or raises what MSAL says went wrong."""
    if "access_token" not in result:
        raise RuntimeError(f"{result.get('error')}: {result.get('error_description')}")
    return result["access_token"]


identity = msal.ManagedIdentityClient(
    msal.UserAssignedManagedIdentity(client_id=MANAGED_IDENTITY_CLIENT_ID), http_client=requests.Session()
)
app = msal.ConfidentialClientApplication(
    APP_CLIENT_ID,
    authority=AUTHORITY,
    client_credential={"client_assertion": lambda: must(identity.acquire_token_for_client(resource=AUDIENCE))},
)
token = must(app.acquire_token_for_client(["https://storage.azure.com/.default"]))

answer = requests.get(
    CONTAINER,
    params={"restype": "container", "comp": "list"},
    headers={"Authorization": f"Bearer {token}", "x-ms-version": "2026-04-06"},
    timeout=30,
)
answer.raise_for_status()
for name in ElementTree.fromstring(answer.content).iterfind("Blobs/Blob/Name"):
    print(name.text)
