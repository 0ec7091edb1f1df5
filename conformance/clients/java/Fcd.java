import com.azure.json.JsonProviders;
import com.azure.json.JsonReader;
import com.azure.json.JsonWriter;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.io.StringWriter;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;

/**
 * The protocol between the conformance suite of fakeentra and a driver: a request a line on standard input, an answer a
 * line on standard output. All that is printed goes to standard error, which is the log.
 */
final class Fcd {
    /** A client under test. What it returns is what an outcome has. */
    interface Client {
        Map<String, Object> token(Map<String, Object> request) throws Exception;

        default Map<String, Object> miToken(Map<String, Object> request) throws Exception {
            throw new Skip("the driver does not know the operation mi_token");
        }

        default Map<String, Object> resource(Map<String, Object> request) throws Exception {
            throw new Skip("the driver does not know the operation resource");
        }
    }

    /** Makes a client from a configuration. */
    interface Opener {
        Client open(Map<String, Object> config) throws Exception;
    }

    /** The client cannot do what it was asked for. */
    static final class Skip extends Exception {
        Skip(String reason) {
            super(reason);
        }
    }

    private final Map<String, Object> hello;
    private final Opener opener;
    private final Map<String, Client> clients = new HashMap<>();

    private Fcd(Map<String, Object> hello, Opener opener) {
        this.hello = hello;
        this.opener = opener;
    }

    static void serve(Map<String, Object> hello, Opener opener) throws IOException {
        PrintStream answers = new PrintStream(System.out, true, StandardCharsets.UTF_8);
        System.setOut(System.err);
        Fcd driver = new Fcd(hello, opener);
        BufferedReader requests = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = requests.readLine(); line != null; line = requests.readLine()) {
            Map<String, Object> request = object(line);
            answers.println(text(driver.answer(request)));
            if (request.get("op").equals("stop")) {
                break;
            }
        }
        System.exit(0); // threads of the SDKs would keep the process
    }

    private Map<String, Object> answer(Map<String, Object> request) {
        Map<String, Object> answer = new LinkedHashMap<>();
        answer.put("id", request.get("id"));
        try {
            answer.put("ok", perform(request));
        } catch (Skip skip) {
            answer.put("skip", Map.of("reason", skip.getMessage()));
        } catch (Exception error) {
            answer.put("error", failure(error, "other"));
        }
        return answer;
    }

    private Map<String, Object> perform(Map<String, Object> request) throws Exception {
        String session = (String) request.get("session");
        switch ((String) request.get("op")) {
            case "hello" -> {
                return hello;
            }
            case "open" -> {
                clients.put(session, opener.open(map(request.get("config"))));
                return Map.of();
            }
            case "close", "stop" -> {
                clients.remove(session);
                return Map.of();
            }
            default -> {
                return Map.of("results", together(clients.get(session), request));
            }
        }
    }

    /** As many callers as the request says, at the same time. */
    private static List<Object> together(Client client, Map<String, Object> request) throws Exception {
        int n = request.get("n") instanceof Number number ? number.intValue() : 1;
        ExecutorService callers = Executors.newFixedThreadPool(n);
        try {
            List<Future<Map<String, Object>>> all = new ArrayList<>();
            for (int i = 0; i < n; i++) {
                Map<String, Object> own = caller(request, i);
                all.add(callers.submit(() -> once(client, own)));
            }
            List<Object> results = new ArrayList<>();
            for (Future<Map<String, Object>> one : all) {
                results.add(one.get());
            }
            return results;
        } catch (ExecutionException e) {
            throw e.getCause() instanceof Skip skip ? skip : e;
        } finally {
            callers.shutdown();
        }
    }

    /** What the i-th of several callers asks for. */
    private static Map<String, Object> caller(Map<String, Object> request, int i) {
        Map<String, Object> own = new HashMap<>(request);
        if (request.get("tenants") instanceof List<?> tenants && !tenants.isEmpty()) {
            own.put("tenant", tenants.get(i % tenants.size()));
        }
        return own;
    }

    private static Map<String, Object> once(Client client, Map<String, Object> request) throws Skip {
        try {
            return switch ((String) request.get("op")) {
                case "token" -> client.token(request);
                case "mi_token" -> client.miToken(request);
                case "resource" -> client.resource(request);
                default -> throw new Skip("the driver does not know the operation " + request.get("op"));
            };
        } catch (Skip skip) {
            throw skip;
        } catch (Exception error) {
            return Map.of("error", failure(error, "other"));
        } catch (Error error) {
            return Map.of("error", failure(error, "crashed"));
        }
    }

    private static Map<String, Object> failure(Throwable error, String kind) {
        StringBuilder message = new StringBuilder();
        for (Throwable e = error; e != null; e = e.getCause()) {
            message.append(message.length() > 0 ? ": " : "").append(e);
        }
        return Map.of("kind", kind, "message", message.toString());
    }

    /** What a client returned, which may lack anything. */
    static Map<String, Object> found(String token, Long expiresOn) {
        Map<String, Object> outcome = new LinkedHashMap<>();
        if (token != null) {
            outcome.put("token", token);
        }
        if (expiresOn != null) {
            outcome.put("expires_on", expiresOn);
        }
        return outcome;
    }

    @SuppressWarnings("unchecked") // JSON objects have text for names
    static Map<String, Object> map(Object object) {
        return (Map<String, Object>) object;
    }

    @SuppressWarnings("unchecked") // the protocol has lists of text alone
    static List<String> texts(Object list) {
        return list == null ? List.of() : (List<String>) list;
    }

    private static Map<String, Object> object(String line) throws IOException {
        try (JsonReader reader = JsonProviders.createReader(line)) {
            return map(reader.readUntyped());
        }
    }

    private static String text(Map<String, Object> object) throws IOException {
        StringWriter out = new StringWriter();
        try (JsonWriter writer = JsonProviders.createWriter(out)) {
            writer.writeUntyped(object);
        }
        return out.toString();
    }

    /** The version of the artifact that a class comes from, as its file is called. */
    static Map<String, Object> dependency(String artifact, Class<?> type) {
        String file = type.getProtectionDomain().getCodeSource().getLocation().getPath();
        String name = file.substring(file.lastIndexOf('/') + 1);
        return Map.of("name", artifact, "version", name.replace(artifact + "-", "").replace(".jar", ""));
    }
}
