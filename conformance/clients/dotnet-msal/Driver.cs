#nullable enable
using System;
using System.Collections.Generic;
using System.IO;
using System.Text.Json;
using System.Threading;
using System.Threading.Tasks;
using Microsoft.Identity.Client;
using Microsoft.Identity.Client.AppConfig;

/// <summary>Drives MSAL.NET in the conformance suite.</summary>
internal sealed class Driver : Fcd.Client
{
    private readonly JsonElement config;
    private readonly string authority;
    private readonly IManagedIdentityApplication? identity;
    private readonly IConfidentialClientApplication app;

    private static Task Main()
    {
        var version = Fcd.Version(typeof(ConfidentialClientApplication));
        return Fcd.Serve(new
        {
            protocol = 1,
            implementation = new
            {
                name = "MSAL.NET", version, language = "csharp", runtime = ".NET " + Environment.Version,
                homepage = "https://github.com/AzureAD/microsoft-authentication-library-for-dotnet",
                issues = "https://github.com/AzureAD/microsoft-authentication-library-for-dotnet/issues",
            },
            dependencies = new[] { new { name = "Microsoft.Identity.Client", version } },
            capabilities = new[]
            {
                "imds", "appservice", "arc", "servicefabric", "cloudshell", "azureml", "tokenfile",
                "identity.client_id", "identity.object_id", "identity.resource_id", "identity.system", "tenants", "claims", "cae",
                "cancel", "timeout", "verbose_log", "mi_token", "setenv", "concurrency", "correlation",
            },
        }, config => new Driver(config), error => (error as MsalServiceException)?.StatusCode);
    }

    private Driver(JsonElement config)
    {
        this.config = config;
        authority = Fcd.Text(config.GetProperty("endpoints"), "authority")!;
        if (Fcd.Text(config, "mi_source") != "tokenfile")
        {
            identity = ManagedIdentityApplicationBuilder.Create(Identity(config.GetProperty("identity"))).WithLogging(Log, LogLevel.Verbose).Build();
        }
        var builder = ConfidentialClientApplicationBuilder.Create(Fcd.Text(config, "app_client_id"))
            .WithAuthority(authority + "/" + Fcd.Text(config, "tenant"))
            .WithInstanceDiscovery(Fcd.Is(config, "instance_discovery"))
            .WithClientAssertion(Assertion)
            .WithLogging(Log, LogLevel.Verbose);
        if (Fcd.Is(config, "cae"))
        {
            builder = builder.WithClientCapabilities(new[] { "cp1" });
        }
        app = builder.Build();
    }

    private void Log(LogLevel level, string message, bool containsPii)
    {
        if (Fcd.Text(config, "log_level") == "verbose")
        {
            Console.Error.WriteLine(message);
        }
    }

    private static ManagedIdentityId Identity(JsonElement who)
    {
        var value = Fcd.Text(who, "value");
        return Fcd.Text(who, "kind") switch
        {
            "client_id" => ManagedIdentityId.WithUserAssignedClientId(value),
            "object_id" => ManagedIdentityId.WithUserAssignedObjectId(value),
            "resource_id" => ManagedIdentityId.WithUserAssignedResourceId(value),
            _ => ManagedIdentityId.SystemAssigned,
        };
    }

    private async Task<string> Assertion(AssertionRequestOptions options)
    {
        if (identity == null)
        {
            return await File.ReadAllTextAsync(Environment.GetEnvironmentVariable("AZURE_FEDERATED_TOKEN_FILE")!, options.CancellationToken);
        }
        return (await identity.AcquireTokenForManagedIdentity(Fcd.Text(config, "audience")).ExecuteAsync(options.CancellationToken)).AccessToken;
    }

    internal override async Task<object> Token(JsonElement request, CancellationToken cancellation)
    {
        var acquire = app.AcquireTokenForClient(Fcd.Texts(request, "scopes"));
        if (Fcd.Text(request, "tenant") is { } tenant)
        {
            acquire = acquire.WithTenantId(tenant);
        }
        if (Fcd.Text(request, "claims") is { } claims)
        {
            acquire = acquire.WithClaims(claims);
        }
        if (Fcd.Text(request, "correlation_id") is { } correlation)
        {
            acquire = acquire.WithCorrelationId(Guid.Parse(correlation));
        }
        return Found(await acquire.ExecuteAsync(cancellation));
    }

    internal override async Task<object> ManagedIdentityToken(string resource, CancellationToken cancellation)
    {
        if (identity == null)
        {
            throw new Fcd.Skip("there is no managed identity here");
        }
        return Found(await identity.AcquireTokenForManagedIdentity(resource).ExecuteAsync(cancellation));
    }

    private static object Found(AuthenticationResult result)
    {
        var outcome = new Dictionary<string, object>
        {
            ["token"] = result.AccessToken, ["expires_on"] = result.ExpiresOn.ToUnixTimeSeconds(), ["token_type"] = result.TokenType,
            ["from_cache"] = result.AuthenticationResultMetadata.TokenSource == TokenSource.Cache,
        };
        if (result.AuthenticationResultMetadata.RefreshOn is { } refresh)
        {
            outcome["refresh_on"] = refresh.ToUnixTimeSeconds();
        }
        return outcome;
    }
}
