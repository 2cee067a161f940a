// A conversation by the generated client.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"log"
	"os"
	"strings"

	parley "example.com/parley/client"
)

func must(holds bool, what string, value any) {
	if !holds {
		log.Fatalf("%s: %+v", what, value)
	}
}

func main() {
	settings := parley.NewConfiguration()
	settings.Servers = parley.ServerConfigurations{{URL: os.Getenv("PARLEY_URL")}}
	client := parley.NewAPIClient(settings)
	ctx := context.WithValue(context.Background(), parley.ContextAccessToken, os.Getenv("PARLEY_KEY"))

	input := parley.NewChatbotConfigInput("Answer questions about orders.")
	input.SetInstructions("Orders are delivered within three days.")
	input.SetTone(parley.ChatbotConfigInputTone{Language: parley.PtrString("en")})
	config, _, err := client.ConfigurationsAPI.CreateConfig(ctx).ChatbotConfigInput(*input).Execute()
	must(err == nil && config.Version == 1, "no configuration", err)

	opening := parley.NewSessionInput(config.Id)
	opening.SetMetadata(map[string]interface{}{"cart": map[string]interface{}{"items": 2}})
	session, _, err := client.SessionsAPI.CreateSession(ctx).SessionInput(*opening).Execute()
	must(err == nil && session.UserId.Get() == nil, "no session", err)

	message := parley.NewMessageInput("When are orders delivered?")
	exchange, _, err := client.MessagesAPI.SendMessage(ctx, session.Id).MessageInput(*message).Execute()
	must(err == nil && strings.Contains(exchange.Reply, "three days") && exchange.BotMessage.Status == "completed", "no reply", err)

	history, _, err := client.MessagesAPI.ListMessages(ctx, session.Id).Execute()
	must(err == nil && len(history.Data) == 2 && history.Data[1].Role == "bot" && !history.HasMore, "no history", err)
	configs, _, err := client.ConfigurationsAPI.ListConfigs(ctx).Limit(100).Execute()
	must(err == nil && len(configs.Data) > 0, "no list", err)

	_, _, err = client.MessagesAPI.SendMessage(ctx, strings.Repeat("0", 24)).MessageInput(*message).Execute()
	var failure *parley.GenericOpenAPIError
	must(errors.As(err, &failure), "no error", err)
	problem, isProblem := failure.Model().(parley.Problem)
	must(isProblem && problem.Code == "not_found" && problem.RequestId != "", "not a problem that one can read", failure)

	var event parley.MessageFailedEvent
	err = json.Unmarshal([]byte(os.Getenv("PARLEY_EVENT")), &event)
	must(err == nil && event.Data.Message.Status == "failed", "not an event that one can read", err)
}
