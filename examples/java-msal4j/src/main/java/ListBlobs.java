import com.microsoft.aad.msal4j.ClientCredentialFactory;
import com.microsoft.aad.msal4j.ClientCredentialParameters;
import com.microsoft.aad.msal4j.ConfidentialClientApplication;
import com.microsoft.aad.msal4j.ManagedIdentityApplication;
import com.microsoft.aad.msal4j.ManagedIdentityId;
import com.microsoft.aad.msal4j.ManagedIdentityParameters;
import java.io.InputStream;
import java.net.HttpURLConnection;
import java.net.URL;
import java.util.Set;
import javax.xml.parsers.DocumentBuilderFactory;
import org.w3c.dom.NodeList;

/** Lists blobs as an application that trusts the managed identity of the machine it runs on, with MSAL4J and plain HTTP. */
public final class ListBlobs {
    private static final String CONTAINER = "https://contosodata.blob.core.windows.net/reports";
    private static final String AUTHORITY = "https://login.microsoftonline.com/11111111-1111-1111-1111-111111111111";
    private static final String APP_CLIENT_ID = "22222222-2222-2222-2222-222222222222"; // has access to the storage account
    private static final String MANAGED_IDENTITY_CLIENT_ID = "44444444-4444-4444-4444-444444444444"; // is assigned to this machine
    private static final String AUDIENCE = "api://AzureADTokenExchange";

    public static void main(String[] args) throws Exception {
        ManagedIdentityApplication identity = ManagedIdentityApplication
            .builder(ManagedIdentityId.userAssignedClientId(MANAGED_IDENTITY_CLIENT_ID))
            .build();
        ConfidentialClientApplication app = ConfidentialClientApplication
            .builder(APP_CLIENT_ID, ClientCredentialFactory.createFromCallback(() -> identity
                .acquireTokenForManagedIdentity(ManagedIdentityParameters.builder(AUDIENCE).build())
                .get().accessToken()))
            .authority(AUTHORITY)
            .build();
        String token = app
            .acquireToken(ClientCredentialParameters.builder(Set.of("https://storage.azure.com/.default")).build())
            .get().accessToken();

        HttpURLConnection request = (HttpURLConnection) new URL(CONTAINER + "?restype=container&comp=list").openConnection();
        request.setRequestProperty("Authorization", "Bearer " + token);
        request.setRequestProperty("x-ms-version", "2026-04-06");
        try (InputStream page = request.getInputStream()) {
            NodeList names = DocumentBuilderFactory.newInstance().newDocumentBuilder().parse(page).getElementsByTagName("Name");
            for (int i = 0; i < names.getLength(); i++) {
                System.out.println(names.item(i).getTextContent());
            }
        }
        System.exit(0); // MSAL4J's threads would keep the process for a minute
    }
}
