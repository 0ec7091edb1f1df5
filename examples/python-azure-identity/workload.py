"""Signs in from a pod or from a job of Azure Pipelines, with azure-identity and
what their surroundings say."""

import os

from azure.identity import AzurePipelinesCredential, WorkloadIdentityCredential

if "SYSTEM_OIDCREQUESTURI" in os.environ:
    credential = AzurePipelinesCredential(
        tenant_id=os.environ["AZURESUBSCRIPTION_TENANT_ID"],
        client_id=os.environ["AZURESUBSCRIPTION_CLIENT_ID"],
        service_connection_id=os.environ["AZURESUBSCRIPTION_SERVICE_CONNECTION_ID"],
        system_access_token=os.environ["SYSTEM_ACCESSTOKEN"],
    )
else:
    # The token proxy of an identity binding is used where there is one.
    credential = WorkloadIdentityCredential(enable_azure_proxy=True)

credential.get_token("https://storage.azure.com/.default")
print("signed in")
