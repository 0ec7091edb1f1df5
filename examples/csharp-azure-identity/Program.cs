// Lists blobs as an application that trusts the managed identity of the machine
// it runs on, with Azure.Identity and Azure.Storage.Blobs.
using System;
using System.Threading.Tasks;
using Azure.Core;
using Azure.Identity;
using Azure.Storage.Blobs;

internal static class Program
{
    private const string AccountName = "contosodata";
    private const string ContainerName = "reports";
    private const string TenantId = "11111111-1111-1111-1111-111111111111"; // of the storage account
    private const string AppClientId = "22222222-2222-2222-2222-222222222222"; // has access to the storage account
    private const string ManagedIdentityClientId = "44444444-4444-4444-4444-444444444444"; // is assigned to this machine
    private const string Audience = "api://AzureADTokenExchange";

    private static async Task Main()
    {
        var identity = new ManagedIdentityCredential(ManagedIdentityId.FromUserAssignedClientId(ManagedIdentityClientId));
        var app = new ClientAssertionCredential(TenantId, AppClientId, async cancellation =>
        {
            var token = await identity.GetTokenAsync(new TokenRequestContext(new[] { $"{Audience}/.default" }), cancellation);
            return token.Token;
        });

        var container = new BlobContainerClient(new Uri($"https://{AccountName}.blob.core.windows.net/{ContainerName}"), app);
        await foreach (var blob in container.GetBlobsAsync())
        {
            Console.WriteLine(blob.Name);
        }
    }
}
