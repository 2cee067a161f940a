import java.util.List;
import java.util.Map;
import parley.client.ApiClient;
import parley.client.ApiException;
import parley.client.api.ConfigurationsApi;
import parley.client.api.MessagesApi;
import parley.client.api.SessionsApi;
import parley.client.auth.HttpBearerAuth;
import parley.client.model.*;

/** A conversation by the generated client. */
public class Smoke {
    static void must(boolean holds, String what, Object value) {
        if (!holds) throw new IllegalStateException(what + ": " + value);
    }

    public static void main(String[] args) throws Exception {
        ApiClient client = new ApiClient().setBasePath(System.getenv("PARLEY_URL"));
        ((HttpBearerAuth) client.getAuthentication("bearerAuth")).setBearerToken(System.getenv("PARLEY_KEY"));
        ConfigurationsApi configs = new ConfigurationsApi(client);
        SessionsApi sessions = new SessionsApi(client);
        MessagesApi messages = new MessagesApi(client);

        ChatbotConfig config = configs.createConfig(new ChatbotConfigInput()
            .purpose("Answer questions about orders.")
            .instructions("Orders are delivered within three days.")
            .tone(new ChatbotConfigInputTone().language("en")), null);
        must(config.getVersion() == 1, "no configuration", config);

        Session session = sessions.createSession(new SessionInput()
            .configId(config.getId())
            .metadata(Map.of("cart", Map.of("items", 2))), null);
        must(session.getUserId() == null, "no session", session);

        MessageInput message = new MessageInput().message("When are orders delivered?");
        Exchange exchange = messages.sendMessage(session.getId(), message, null, null, null);
        must(exchange.getReply().contains("three days"), "no reply", exchange);
        must(exchange.getBotMessage().getStatus().equals("completed"), "the reply is not complete", exchange);

        History history = messages.listMessages(session.getId(), null, null, null, null);
        List<String> roles = history.getData().stream().map(Message::getRole).toList();
        must(roles.equals(List.of("user", "bot")) && !history.getHasMore(), "no history", history);
        must(!configs.listConfigs(100, null).getData().isEmpty(), "no list", null);

        try {
            messages.sendMessage("0".repeat(24), message, null, null, null);
            must(false, "there is no such session", null);
        } catch (ApiException error) {
            Problem problem = Problem.fromJson(error.getResponseBody());
            must(error.getCode() == 404 && problem.getCode().equals("not_found"), "not a problem that one can read", problem);
        }

        Object event = WebhookEvent.fromJson(System.getenv("PARLEY_EVENT")).getActualInstance();
        must(event instanceof MessageFailedEvent, "not an event that one can read", event);
    }
}
