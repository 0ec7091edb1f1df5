import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;

/** Asks for pages by both clients that Java comes with. */
class Get {
    public static void main(String[] pages) throws Exception {
        for (String page : pages) {
            System.out.println(HttpClient.newHttpClient().send(HttpRequest.newBuilder(URI.create(page)).build(), HttpResponse.BodyHandlers.ofString()).body());
            try (var in = URI.create(page).toURL().openStream()) {
                System.out.println(new String(in.readAllBytes()));
            }
        }
    }
}
