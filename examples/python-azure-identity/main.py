"""Lists blobs as an application that trusts the managed identity of the machine
it runs on, with azure-identity and azure-storage-blob."""

from azure.identity import ClientAssertionCredential, ManagedIdentityCredential
from azure.storage.blob import ContainerClient

ACCOUNT_NAME = "contosodata"
CONTAINER_NAME = "reports"
TENANT_ID = "11111111-1111-1111-1111-111111111111"  # of the storage account
APP_CLIENT_ID = "22222222-2222-2222-2222-222222222222"  # has access to the storage account
MANAGED_IDENTITY_CLIENT_ID = "44444444-4444-4444-4444-444444444444"  # is assigned to this machine
AUDIENCE = "api://AzureADTokenExchange"

identity = ManagedIdentityCredential(client_id=MANAGED_IDENTITY_CLIENT_ID)
app = ClientAssertionCredential(TENANT_ID, APP_CLIENT_ID, lambda: identity.get_token(f"{AUDIENCE}/.default").token)

container = ContainerClient(f"https://{ACCOUNT_NAME}.blob.core.windows.net", CONTAINER_NAME, credential=app)
for blob in container.list_blobs():
    print(blob.name)
