import com.microsoft.aad.msal4j.ClientCredentialFactory;
import com.microsoft.aad.msal4j.ClientCredentialParameters;
import com.microsoft.aad.msal4j.ConfidentialClientApplication;
import com.microsoft.aad.msal4j.ManagedIdentityApplication;
import com.microsoft.aad.msal4j.ManagedIdentityId;
import com.microsoft.aad.msal4j.ManagedIdentityParameters;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Set;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;

/** Signs in from every place that hands out tokens, with MSAL4J. Each argument is an identity to do so with; see examples/sources. */
public final class Sources {
    public static void main(String[] args) {
        for (String word : args) {
            String outcome = "ok";
            try {
                signIn(word);
            } catch (ExecutionException e) {
                outcome = String.valueOf(e.getCause().getMessage()).replaceAll("\\s+", " ");
            } catch (Exception e) {
                outcome = String.valueOf(e.getMessage()).replaceAll("\\s+", " ");
            }
            System.out.println(word + "\t" + outcome);
        }
        System.exit(0); // MSAL4J's threads would keep the process for a minute
    }

    private static void signIn(String word) throws Exception {
        if (word.equals("file")) {
            exchange(() -> Files.readString(Path.of(System.getenv("ASSERTION_FILE"))));
            return;
        }
        String[] parts = word.split("=", 2);
        ManagedIdentityApplication identity = ManagedIdentityApplication.builder(switch (parts[0]) {
            case "client-id" -> ManagedIdentityId.userAssignedClientId(parts[1]);
            case "object-id" -> ManagedIdentityId.userAssignedObjectId(parts[1]);
            case "resource-id" -> ManagedIdentityId.userAssignedResourceId(parts[1]);
            default -> ManagedIdentityId.systemAssigned();
        }).build();
        if (System.getenv("RESOURCE") != null) {
            token(identity, System.getenv("RESOURCE"));
        } else {
            exchange(() -> token(identity, "api://AzureADTokenExchange"));
        }
    }

    private static String token(ManagedIdentityApplication identity, String resource) throws Exception {
        return identity.acquireTokenForManagedIdentity(ManagedIdentityParameters.builder(resource).build()).get().accessToken();
    }

    private static void exchange(Callable<String> assertion) throws Exception {
        ConfidentialClientApplication
            .builder("22222222-2222-2222-2222-222222222222", ClientCredentialFactory.createFromCallback(assertion))
            .authority("https://login.microsoftonline.com/11111111-1111-1111-1111-111111111111")
            .build()
            .acquireToken(ClientCredentialParameters.builder(Set.of("https://storage.azure.com/.default")).build())
            .get();
    }
}
