import com.azure.core.credential.TokenCredential;
import com.azure.core.credential.TokenRequestContext;
import com.azure.identity.AzurePipelinesCredentialBuilder;
import com.azure.identity.ClientAssertionCredentialBuilder;
import com.azure.identity.ManagedIdentityCredentialBuilder;
import com.azure.identity.WorkloadIdentityCredentialBuilder;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.function.Supplier;

/**
 * Signs in from every place that hands out tokens, with azure-identity. Each argument is an identity to do so with; see
 * examples/sources.
 */
public final class Sources {
    private static final String STORAGE = "https://storage.azure.com";

    public static void main(String[] args) {
        for (String word : args) {
            String outcome = "ok";
            try {
                signIn(word);
            } catch (RuntimeException e) {
                outcome = String.valueOf(e.getMessage()).replaceAll("\\s+", " ");
            }
            System.out.println(word + "\t" + outcome);
        }
        System.exit(0);
    }

    private static void signIn(String word) {
        String[] parts = word.split("=", 2);
        if (parts[0].equals("workload")) {
            get(workload(), STORAGE);
            return;
        }
        if (parts[0].equals("file")) {
            get(app(() -> read(System.getenv("ASSERTION_FILE"))), STORAGE);
            return;
        }
        ManagedIdentityCredentialBuilder builder = new ManagedIdentityCredentialBuilder();
        switch (parts[0]) {
            case "client-id" -> builder.clientId(parts[1]);
            case "object-id" -> builder.objectId(parts[1]);
            case "resource-id" -> builder.resourceId(parts[1]);
            default -> { }
        }
        TokenCredential identity = builder.build();
        if (System.getenv("RESOURCE") != null) {
            get(identity, System.getenv("RESOURCE"));
        } else {
            get(app(() -> get(identity, "api://AzureADTokenExchange")), STORAGE);
        }
    }

    private static TokenCredential workload() {
        if (System.getenv("SYSTEM_OIDCREQUESTURI") == null) {
            return new WorkloadIdentityCredentialBuilder().build();
        }
        return new AzurePipelinesCredentialBuilder()
            .tenantId(System.getenv("AZURESUBSCRIPTION_TENANT_ID"))
            .clientId(System.getenv("AZURESUBSCRIPTION_CLIENT_ID"))
            .serviceConnectionId(System.getenv("AZURESUBSCRIPTION_SERVICE_CONNECTION_ID"))
            .systemAccessToken(System.getenv("SYSTEM_ACCESSTOKEN"))
            .build();
    }

    private static TokenCredential app(Supplier<String> assertion) {
        return new ClientAssertionCredentialBuilder()
            .tenantId("11111111-1111-1111-1111-111111111111")
            .clientId("22222222-2222-2222-2222-222222222222")
            .clientAssertion(assertion)
            .build();
    }

    private static String get(TokenCredential credential, String resource) {
        return credential.getTokenSync(new TokenRequestContext().addScopes(resource + "/.default")).getToken();
    }

    private static String read(String file) {
        try {
            return Files.readString(Path.of(file));
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
