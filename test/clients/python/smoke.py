"""A conversation by the generated client."""
import os

import parley_client as parley

configuration = parley.Configuration(host=os.environ["PARLEY_URL"], access_token=os.environ["PARLEY_KEY"])
with parley.ApiClient(configuration) as client:
    configs = parley.ConfigurationsApi(client)
    sessions = parley.SessionsApi(client)
    messages = parley.MessagesApi(client)

    config = configs.create_config(parley.ChatbotConfigInput(
        purpose="Answer questions about orders.",
        instructions="Orders are delivered within three days.",
        tone=parley.ChatbotConfigInputTone(language="en"),
    ))
    assert config.version == 1, config
    session = sessions.create_session(parley.SessionInput(config_id=config.id, metadata={"cart": {"items": 2}}))
    assert session.user_id is None and session.metadata == {"cart": {"items": 2}}, session

    exchange = messages.send_message(session.id, parley.MessageInput(message="When are orders delivered?"))
    assert "three days" in exchange.reply and exchange.bot_message.status == "completed", exchange

    history = messages.list_messages(session.id)
    assert [message.role for message in history.data] == ["user", "bot"] and not history.has_more, history
    assert config.id in [one.id for one in configs.list_configs(limit=100).data]

    try:
        messages.send_message("0" * 24, parley.MessageInput(message="Hello"))
        raise AssertionError("there is no such session")
    except parley.exceptions.NotFoundException as error:
        assert error.data.code == "not_found" and error.data.request_id, error

event = parley.WebhookEvent.from_json(os.environ["PARLEY_EVENT"]).actual_instance
assert isinstance(event, parley.MessageFailedEvent) and event.data.message.status == "failed", event
