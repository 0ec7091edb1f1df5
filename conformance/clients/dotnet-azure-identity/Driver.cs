#nullable enable
using System;
using System.Collections.Generic;
using System.Diagnostics.Tracing;
using System.IO;
using System.Text.Json;
using System.Threading;
using System.Threading.Tasks;
using Azure;
using Azure.Core;
using Azure.Core.Diagnostics;
using Azure.Identity;
using Azure.Storage.Blobs;
using Microsoft.Identity.Client;
using ManagedIdentityId = Azure.Identity.ManagedIdentityId;

/// <summary>Drives Azure.Identity and Azure.Storage.Blobs in the conformance suite.</summary>
internal sealed class Driver : Fcd.Client
{
    private readonly JsonElement config;
    private readonly TokenCredential? identity;
    private readonly TokenCredential app;
    private readonly AzureEventSourceListener? log;

    private static Task Main()
    {
        var version = Fcd.Version(typeof(ClientAssertionCredential));
        return Fcd.Serve(new
        {
            protocol = 1,
            implementation = new
            {
                name = "Azure.Identity", version, language = "csharp", runtime = ".NET " + Environment.Version,
                homepage = "https://github.com/Azure/azure-sdk-for-net", issues = "https://github.com/Azure/azure-sdk-for-net/issues",
            },
            dependencies = new[]
            {
                new { name = "Azure.Identity", version },
                new { name = "Azure.Core", version = Fcd.Version(typeof(TokenCredential)) },
                new { name = "Azure.Storage.Blobs", version = Fcd.Version(typeof(BlobContainerClient)) },
                new { name = "Microsoft.Identity.Client", version = Fcd.Version(typeof(ConfidentialClientApplication)) },
            },
            capabilities = new[]
            {
                "imds", "appservice", "arc", "servicefabric", "cloudshell", "azureml", "tokenfile",
                "identity.client_id", "identity.object_id", "identity.resource_id", "identity.system", "tenants", "claims", "cae", "blob",
                "cancel", "timeout", "verbose_log", "mi_token", "setenv", "concurrency",
            },
        }, config => new Driver(config), error => (error as RequestFailedException)?.Status ?? (error as MsalServiceException)?.StatusCode);
    }

    private Driver(JsonElement config)
    {
        this.config = config;
        if (Fcd.Text(config, "log_level") == "verbose")
        {
            log = new AzureEventSourceListener((_, text) => Console.Error.WriteLine(text), EventLevel.Verbose);
        }
        if (Fcd.Text(config, "mi_source") != "tokenfile")
        {
            identity = new ManagedIdentityCredential(Identity(config.GetProperty("identity")));
        }
        var options = new ClientAssertionCredentialOptions { AuthorityHost = Authority(), DisableInstanceDiscovery = !Fcd.Is(config, "instance_discovery") };
        foreach (var tenant in Fcd.Texts(config, "allowed_tenants"))
        {
            options.AdditionallyAllowedTenants.Add(tenant);
        }
        app = new ClientAssertionCredential(Fcd.Text(config, "tenant"), Fcd.Text(config, "app_client_id"), Assertion, options);
    }

    private Uri Authority()
    {
        var endpoints = config.GetProperty("endpoints");
        if (Fcd.Text(endpoints, "mode") == "explicit" || Fcd.Text(config, "cloud") == "")
        {
            return new Uri(Fcd.Text(endpoints, "authority")!);
        }
        return Fcd.Text(config, "cloud") switch
        {
            "usgov" => AzureAuthorityHosts.AzureGovernment,
            "china" => AzureAuthorityHosts.AzureChina,
            _ => AzureAuthorityHosts.AzurePublicCloud,
        };
    }

    private static ManagedIdentityId Identity(JsonElement who)
    {
        var value = Fcd.Text(who, "value");
        return Fcd.Text(who, "kind") switch
        {
            "client_id" => ManagedIdentityId.FromUserAssignedClientId(value),
            "object_id" => ManagedIdentityId.FromUserAssignedObjectId(value),
            "resource_id" => ManagedIdentityId.FromUserAssignedResourceId(new ResourceIdentifier(value!)),
            _ => ManagedIdentityId.SystemAssigned,
        };
    }

    private async Task<string> Assertion(CancellationToken cancellation)
    {
        if (identity == null)
        {
            return await File.ReadAllTextAsync(Environment.GetEnvironmentVariable("AZURE_FEDERATED_TOKEN_FILE")!, cancellation);
        }
        var token = await identity.GetTokenAsync(new TokenRequestContext(new[] { Fcd.Text(config, "audience") + "/.default" }), cancellation);
        return token.Token;
    }

    internal override async Task<object> Token(JsonElement request, CancellationToken cancellation) => Found(await app.GetTokenAsync(
        new TokenRequestContext(Fcd.Texts(request, "scopes"), claims: Fcd.Text(request, "claims"), tenantId: Fcd.Text(request, "tenant"),
            isCaeEnabled: Fcd.Is(request, "cae") || Fcd.Is(config, "cae")), cancellation));

    internal override async Task<object> ManagedIdentityToken(string resource, CancellationToken cancellation)
    {
        if (identity == null)
        {
            throw new Fcd.Skip("there is no managed identity here");
        }
        return Found(await identity.GetTokenAsync(new TokenRequestContext(new[] { resource + "/.default" }), cancellation));
    }

    private static object Found(AccessToken token)
    {
        var outcome = new Dictionary<string, object>
        {
            ["token"] = token.Token, ["expires_on"] = token.ExpiresOn.ToUnixTimeSeconds(), ["token_type"] = token.TokenType,
        };
        if (token.RefreshOn is { } refresh)
        {
            outcome["refresh_on"] = refresh.ToUnixTimeSeconds();
        }
        return outcome;
    }

    internal override async Task<object> Resource(string action, Uri url, CancellationToken cancellation)
    {
        if (action != "blob.list")
        {
            throw new Fcd.Skip("the SDK has no client for other resources");
        }
        var items = new List<string>();
        await foreach (var blob in new BlobContainerClient(url, app).GetBlobsAsync(cancellationToken: cancellation))
        {
            items.Add(blob.Name);
        }
        return new { status = 200, items };
    }
}
