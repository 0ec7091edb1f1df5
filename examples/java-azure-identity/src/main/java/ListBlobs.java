import com.azure.core.credential.TokenRequestContext;
import com.azure.identity.ClientAssertionCredential;
import com.azure.identity.ClientAssertionCredentialBuilder;
import com.azure.identity.ManagedIdentityCredential;
import com.azure.identity.ManagedIdentityCredentialBuilder;
import com.azure.storage.blob.BlobContainerClient;
import com.azure.storage.blob.BlobContainerClientBuilder;

/**
 * Lists blobs as an application that trusts the managed identity of the machine it runs on, with azure-identity and
 * azure-storage-blob.
 */
public final class ListBlobs {
    private static final String ACCOUNT_NAME = "contosodata";
    private static final String CONTAINER_NAME = "reports";
    private static final String TENANT_ID = "11111111-1111-1111-1111-111111111111"; // of the storage account
    private static final String APP_CLIENT_ID = "22222222-2222-2222-2222-222222222222"; // has access to the storage account
    private static final String MANAGED_IDENTITY_CLIENT_ID = "44444444-4444-4444-4444-444444444444"; // is assigned to this machine
    private static final String AUDIENCE = "api://AzureADTokenExchange";

    public static void main(String[] args) {
        ManagedIdentityCredential identity = new ManagedIdentityCredentialBuilder()
            .clientId(MANAGED_IDENTITY_CLIENT_ID)
            .build();
        TokenRequestContext exchange = new TokenRequestContext().addScopes(AUDIENCE + "/.default");
        ClientAssertionCredential app = new ClientAssertionCredentialBuilder()
            .tenantId(TENANT_ID)
            .clientId(APP_CLIENT_ID)
            .clientAssertion(() -> identity.getTokenSync(exchange).getToken())
            .build();
        BlobContainerClient container = new BlobContainerClientBuilder()
            .endpoint("https://" + ACCOUNT_NAME + ".blob.core.windows.net")
            .containerName(CONTAINER_NAME)
            .credential(app)
            .buildClient();
        container.listBlobs().forEach(blob -> System.out.println(blob.getName()));
    }
}
