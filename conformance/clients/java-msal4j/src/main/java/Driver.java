import com.microsoft.aad.msal4j.ClaimsRequest;
import com.microsoft.aad.msal4j.ClientCredentialFactory;
import com.microsoft.aad.msal4j.ClientCredentialParameters;
import com.microsoft.aad.msal4j.ConfidentialClientApplication;
import com.microsoft.aad.msal4j.IAuthenticationResult;
import com.microsoft.aad.msal4j.ManagedIdentityApplication;
import com.microsoft.aad.msal4j.ManagedIdentityId;
import com.microsoft.aad.msal4j.ManagedIdentityParameters;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Date;
import java.util.List;
import java.util.Map;
import java.util.Set;

/** Drives MSAL4J in the conformance suite. */
public final class Driver implements Fcd.Client {
    private final Map<String, Object> config;
    private final ManagedIdentityApplication identity;
    private ConfidentialClientApplication app;

    public static void main(String[] args) throws IOException {
        Map<String, Object> sdk = Fcd.dependency("msal4j", ConfidentialClientApplication.class);
        Fcd.serve(Map.of(
            "protocol", 1,
            "implementation", Map.of("name", "MSAL4J", "version", sdk.get("version"), "language", "java",
                "runtime", System.getProperty("java.version"), "homepage", "https://github.com/AzureAD/microsoft-authentication-library-for-java",
                "issues", "https://github.com/AzureAD/microsoft-authentication-library-for-java/issues"),
            "dependencies", List.of(sdk),
            "capabilities", List.of("imds", "appservice", "arc", "servicefabric", "cloudshell", "tokenfile",
                "identity.client_id", "identity.object_id", "identity.resource_id", "identity.system", "tenants", "claims",
                "mi_token", "reset", "concurrency")), Driver::new);
    }

    private Driver(Map<String, Object> config) {
        this.config = config;
        this.identity = config.get("mi_source").equals("tokenfile") ? null : ManagedIdentityApplication.builder(identity()).build();
    }

    private ManagedIdentityId identity() {
        Map<String, Object> who = Fcd.map(config.get("identity"));
        String value = (String) who.get("value");
        return switch ((String) who.get("kind")) {
            case "client_id" -> ManagedIdentityId.userAssignedClientId(value);
            case "object_id" -> ManagedIdentityId.userAssignedObjectId(value);
            case "resource_id" -> ManagedIdentityId.userAssignedResourceId(value);
            default -> ManagedIdentityId.systemAssigned();
        };
    }

    private synchronized ConfidentialClientApplication app() throws Exception {
        if (app == null) {
            ConfidentialClientApplication.Builder builder = ConfidentialClientApplication
                .builder((String) config.get("app_client_id"), ClientCredentialFactory.createFromCallback(this::assertion))
                .authority(Fcd.map(config.get("endpoints")).get("authority") + "/" + config.get("tenant"))
                .instanceDiscovery(Boolean.TRUE.equals(config.get("instance_discovery")));
            if (Boolean.TRUE.equals(config.get("cae"))) {
                builder.clientCapabilities(Set.of("cp1"));
            }
            app = builder.build();
        }
        return app;
    }

    private String assertion() throws Exception {
        if (identity == null) {
            return Files.readString(Path.of(System.getenv("AZURE_FEDERATED_TOKEN_FILE")));
        }
        return of((String) config.get("audience")).accessToken();
    }

    private IAuthenticationResult of(String resource) throws Exception {
        return identity.acquireTokenForManagedIdentity(ManagedIdentityParameters.builder(resource).build()).get();
    }

    @Override
    public Map<String, Object> token(Map<String, Object> request) throws Exception {
        ClientCredentialParameters.ClientCredentialParametersBuilder parameters =
            ClientCredentialParameters.builder(Set.copyOf(Fcd.texts(request.get("scopes"))));
        if (request.get("tenant") != null) {
            parameters.tenant((String) request.get("tenant"));
        }
        if (request.get("claims") != null) {
            parameters.claims(ClaimsRequest.formatAsClaimsRequest((String) request.get("claims")));
        }
        return found(app().acquireToken(parameters.build()).get());
    }

    @Override
    public Map<String, Object> miToken(Map<String, Object> request) throws Exception {
        return found(of((String) request.get("resource")));
    }

    private static Map<String, Object> found(IAuthenticationResult result) {
        Date expires = result.expiresOnDate();
        return Fcd.found(result.accessToken(), expires == null ? null : expires.getTime() / 1000);
    }
}
