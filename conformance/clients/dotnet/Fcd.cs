#nullable enable
using System;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using System.Reflection;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Threading;
using System.Threading.Tasks;

/// <summary>
/// The protocol between the conformance suite of fakeentra and a driver: a request a line on standard input, an answer a
/// line on standard output. All that is printed goes to standard error, which is the log.
/// </summary>
internal static class Fcd
{
    private static readonly JsonSerializerOptions Plain = new JsonSerializerOptions { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    private static Func<Exception, int?> statusOf = _ => null;

    /// <summary>A client under test. What its methods return is what an outcome has.</summary>
    internal abstract class Client
    {
        internal abstract Task<object> Token(JsonElement request, CancellationToken cancellation);

        internal virtual Task<object> ManagedIdentityToken(string resource, CancellationToken cancellation) =>
            throw new Skip("the driver does not know the operation mi_token");

        internal virtual Task<object> Resource(string action, Uri url, CancellationToken cancellation) =>
            throw new Skip("the driver does not know the operation resource");
    }

    /// <summary>The client cannot do what it was asked for.</summary>
    internal sealed class Skip : Exception
    {
        internal Skip(string reason) : base(reason) { }
    }

    /// <summary>Answers requests until it is told to stop. Status is the HTTP status that an exception tells.</summary>
    internal static async Task Serve(object hello, Func<JsonElement, Client> open, Func<Exception, int?> status)
    {
        statusOf = status;
        using var answers = new StreamWriter(Console.OpenStandardOutput()) { AutoFlush = true };
        using var requests = new StreamReader(Console.OpenStandardInput());
        Console.SetOut(Console.Error);
        var clients = new Dictionary<string, Client>();
        while (await requests.ReadLineAsync() is { } line)
        {
            using var document = JsonDocument.Parse(line);
            var request = document.RootElement;
            var answer = new Dictionary<string, object> { ["id"] = request.GetProperty("id") };
            try
            {
                answer["ok"] = await Perform(request, clients, hello, open);
            }
            catch (Skip skip)
            {
                answer["skip"] = new { reason = skip.Message };
            }
            catch (Exception error)
            {
                answer["error"] = Failure(error, "other");
            }
            await answers.WriteLineAsync(JsonSerializer.Serialize(answer, Plain));
            if (Text(request, "op") == "stop")
            {
                return;
            }
        }
    }

    private static async Task<object> Perform(JsonElement request, Dictionary<string, Client> clients, object hello, Func<JsonElement, Client> open)
    {
        var session = Text(request, "session") ?? "";
        switch (Text(request, "op"))
        {
            case "hello":
                return hello;
            case "open":
                clients[session] = open(request.GetProperty("config").Clone());
                return new { };
            case "setenv":
                foreach (var variable in request.GetProperty("vars").EnumerateObject())
                {
                    Environment.SetEnvironmentVariable(variable.Name, variable.Value.GetString());
                }
                return new { };
            case "close":
            case "stop":
                clients.Remove(session);
                return new { };
            default:
                var client = clients[session];
                return new { results = await Task.WhenAll(Enumerable.Range(0, Number(request, "n") ?? 1).Select(i => Task.Run(() => Once(client, request, i)))) };
        }
    }

    /// <summary>What one of several callers gets, at the same time as the others.</summary>
    private static async Task<object> Once(Client client, JsonElement request, int caller)
    {
        var deadline = Number(request, "timeout_ms");
        using var cancellation = new CancellationTokenSource();
        if ((deadline ?? Number(request, "cancel_after_ms")) is { } after)
        {
            cancellation.CancelAfter(after);
        }
        try
        {
            switch (Text(request, "op"))
            {
                case "token":
                    return await client.Token(As(caller, request), cancellation.Token);
                case "mi_token":
                    return await client.ManagedIdentityToken(Text(request, "resource")!, cancellation.Token);
                case "resource":
                    return await client.Resource(Text(request, "action")!, new Uri(Text(request, "url")!), cancellation.Token);
                default:
                    throw new Skip("the driver does not know the operation " + Text(request, "op"));
            }
        }
        catch (Exception error) when (!(error is Skip))
        {
            var kind = !cancellation.IsCancellationRequested ? "other" : deadline == null ? "cancelled" : "timeout";
            return new { error = Failure(error, kind) };
        }
    }

    /// <summary>The request with the tenant of one of several callers.</summary>
    private static JsonElement As(int caller, JsonElement request)
    {
        var tenants = Texts(request, "tenants");
        if (tenants.Length == 0)
        {
            return request;
        }
        var own = request.EnumerateObject().ToDictionary(member => member.Name, member => (object)member.Value);
        own["tenant"] = tenants[caller % tenants.Length];
        return JsonSerializer.SerializeToElement(own);
    }

    private static object Failure(Exception error, string kind)
    {
        var message = new List<string>();
        var status = 0;
        for (Exception? e = error; e != null; e = e.InnerException)
        {
            message.Add(e.GetType().Name + ": " + e.Message);
            status = statusOf(e) ?? status;
        }
        var failure = new Dictionary<string, object> { ["kind"] = kind, ["message"] = string.Join(": ", message) };
        if (status > 0)
        {
            failure["http_status"] = status;
        }
        return failure;
    }

    /// <summary>The text of a member, or null if there is none.</summary>
    internal static string? Text(JsonElement o, string member) => o.TryGetProperty(member, out var value) ? value.GetString() : null;

    /// <summary>The texts of a member; none if there is no such member.</summary>
    internal static string[] Texts(JsonElement o, string member) =>
        o.TryGetProperty(member, out var list) && list.ValueKind == JsonValueKind.Array
            ? list.EnumerateArray().Select(text => text.GetString()!).ToArray() : Array.Empty<string>();

    /// <summary>Whether a member is there and true.</summary>
    internal static bool Is(JsonElement o, string member) => o.TryGetProperty(member, out var value) && value.ValueKind == JsonValueKind.True;

    private static int? Number(JsonElement o, string member) => o.TryGetProperty(member, out var value) ? value.GetInt32() : (int?)null;

    /// <summary>The version of the package that a type comes from.</summary>
    internal static string Version(Type type) =>
        type.Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()!.InformationalVersion.Split('+')[0];
}
