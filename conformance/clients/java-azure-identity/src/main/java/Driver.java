import com.azure.core.credential.AccessToken;
import com.azure.core.credential.TokenCredential;
import com.azure.core.credential.TokenRequestContext;
import com.azure.identity.AzureAuthorityHosts;
import com.azure.identity.ClientAssertionCredentialBuilder;
import com.azure.identity.ManagedIdentityCredentialBuilder;
import com.azure.storage.blob.BlobContainerClientBuilder;
import com.microsoft.aad.msal4j.ConfidentialClientApplication;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.OffsetDateTime;
import java.util.List;
import java.util.Map;

/** Drives azure-identity and azure-storage-blob in the conformance suite. */
public final class Driver implements Fcd.Client {
    private static final Map<String, String> AUTHORITIES = Map.of(
        "public", AzureAuthorityHosts.AZURE_PUBLIC_CLOUD,
        "usgov", AzureAuthorityHosts.AZURE_GOVERNMENT,
        "china", AzureAuthorityHosts.AZURE_CHINA);

    private final Map<String, Object> config;
    private final TokenCredential identity;
    private final TokenCredential app;

    public static void main(String[] args) throws IOException {
        Map<String, Object> sdk = Fcd.dependency("azure-identity", ManagedIdentityCredentialBuilder.class);
        Fcd.serve(Map.of(
            "protocol", 1,
            "implementation", Map.of("name", "azure-identity", "version", sdk.get("version"), "language", "java",
                "runtime", System.getProperty("java.version"), "homepage", "https://github.com/Azure/azure-sdk-for-java",
                "issues", "https://github.com/Azure/azure-sdk-for-java/issues"),
            "dependencies", List.of(sdk, Fcd.dependency("azure-core", TokenCredential.class),
                Fcd.dependency("azure-storage-blob", BlobContainerClientBuilder.class),
                Fcd.dependency("msal4j", ConfidentialClientApplication.class)),
            "capabilities", List.of("imds", "appservice", "arc", "servicefabric", "cloudshell", "tokenfile",
                "identity.client_id", "identity.object_id", "identity.resource_id", "identity.system", "tenants", "claims", "cae", "blob",
                "mi_token", "reset", "concurrency")), Driver::new);
    }


    private Driver(Map<String, Object> config) {
        this.config = config;
        this.identity = config.get("mi_source").equals("tokenfile") ? null : identity();
        Map<String, Object> endpoints = Fcd.map(config.get("endpoints"));
        ClientAssertionCredentialBuilder builder = new ClientAssertionCredentialBuilder()
            .tenantId((String) config.get("tenant"))
            .clientId((String) config.get("app_client_id"))
            .authorityHost(endpoints.get("mode").equals("explicit") || config.get("cloud").equals("") ? (String) endpoints.get("authority") : AUTHORITIES.get(config.get("cloud")))
            .additionallyAllowedTenants(Fcd.texts(config.get("allowed_tenants")))
            .clientAssertion(this::assertion);
        if (!Boolean.TRUE.equals(config.get("instance_discovery"))) {
            builder.disableInstanceDiscovery();
        }
        this.app = builder.build();
    }

    private TokenCredential identity() {
        Map<String, Object> who = Fcd.map(config.get("identity"));
        String value = (String) who.get("value");
        ManagedIdentityCredentialBuilder builder = new ManagedIdentityCredentialBuilder();
        switch ((String) who.get("kind")) {
            case "client_id" -> builder.clientId(value);
            case "object_id" -> builder.objectId(value);
            case "resource_id" -> builder.resourceId(value);
            default -> { }
        }
        return builder.build();
    }

    private String assertion() {
        if (identity != null) {
            return identity.getTokenSync(new TokenRequestContext().addScopes(config.get("audience") + "/.default")).getToken();
        }
        try {
            return Files.readString(Path.of(System.getenv("AZURE_FEDERATED_TOKEN_FILE")));
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    @Override
    public Map<String, Object> token(Map<String, Object> request) {
        TokenRequestContext context = new TokenRequestContext()
            .setCaeEnabled(Boolean.TRUE.equals(request.get("cae")) || Boolean.TRUE.equals(config.get("cae")));
        Fcd.texts(request.get("scopes")).forEach(context::addScopes);
        if (request.get("tenant") != null) {
            context.setTenantId((String) request.get("tenant"));
        }
        if (request.get("claims") != null) {
            context.setClaims((String) request.get("claims"));
        }
        return found(app.getTokenSync(context));
    }

    @Override
    public Map<String, Object> miToken(Map<String, Object> request) {
        return found(identity.getTokenSync(new TokenRequestContext().addScopes(request.get("resource") + "/.default")));
    }

    private static Map<String, Object> found(AccessToken token) {
        OffsetDateTime expires = token.getExpiresAt();
        return Fcd.found(token.getToken(), expires == null ? null : expires.toEpochSecond());
    }

    @Override
    public Map<String, Object> resource(Map<String, Object> request) throws Exception {
        if (!request.get("action").equals("blob.list")) {
            throw new Fcd.Skip("the SDK has no client for other resources");
        }
        List<String> items = new BlobContainerClientBuilder().endpoint((String) request.get("url")).credential(app).buildClient()
            .listBlobs().stream().map(blob -> blob.getName()).toList();
        return Map.of("status", 200, "items", items);
    }
}
