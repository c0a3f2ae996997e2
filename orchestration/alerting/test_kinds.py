"""What each kind of channel sends, as a receiver gets it."""

import ssl
from dataclasses import replace
from uuid import UUID

import pytest

from ingest_api.notifying.kinds import new_signing_secret
from orchestration.alerting.pagerduty import pagerduty_content
from orchestration.alerting.slack import slack_content
from orchestration.alerting.teams import teams_content
from orchestration.alerting.webhook import sign
from orchestration.alerting.wording import Dispatch, is_web_page
from tests.mail_server import MailServer
from tests.outbox import OutboxCase, firing
from tests.webhook import WebhookServer

RESOLVED = replace(firing(), kind="alert_resolved", idempotency_key="spend/1/resolved")
NASTY = "<!channel> *<https://evil.example|x>* & [x](javascript:alert(1)) <b>"


def email_settings(server: MailServer, **changes: object) -> dict[str, object]:
    return {
        "host": "localhost", "port": server.port, "sender": "llmscope@example.com",
        "recipients": ["a@example.com", "b@example.com"], **changes,
    }  # fmt: skip


def trust(outbox: OutboxCase, server: MailServer) -> None:
    outbox.tls = ssl.create_default_context(cafile=str(server.certificate))


def test_a_webhook_gets_every_field_and_its_keys(
    outbox: OutboxCase, webhook: WebhookServer
) -> None:
    outbox.write(firing(), outbox.add_channel("webhook", url=webhook.url))
    outbox.send()

    (received,) = webhook.received
    assert received.content == {
        "kind": "alert_firing",
        "idempotency_key": "spend/1/firing",
        "dedup_key": "spend/1",
        "severity": "critical",
        "title": "Spend is above 100 USD",
        "text": "Project main has spent 120.50 USD today.",
        "figures": [
            {"name": "spent", "value": "120.50 USD"},
            {"name": "limit", "value": "100 USD"},
        ],
        "occurred_at": "2026-11-23T10:00:00.000+00:00",
        "url": "http://127.0.0.1:8400/reports/alerts",
        "chart_url": "http://127.0.0.1:8400/reports/costs",
        "runbook_url": "https://wiki.example.com/spend",
        "data": {"value_usd": "120.50"},
    }
    assert received.headers["content-type"] == "application/json"
    assert received.key == "spend/1/firing"
    assert "webhook-signature" not in received.headers


def test_a_signing_secret_signs_each_attempt_with_its_time_and_one_id(
    outbox: OutboxCase, webhook: WebhookServer
) -> None:
    secret = new_signing_secret()
    channel = outbox.add_channel("webhook", url=webhook.url, signing_secret=secret)
    outbox.write(firing(), channel)
    webhook.status = 500
    outbox.send()
    outbox.clock.advance(seconds=10)
    outbox.send()

    ids, times = set(), set()
    for one in webhook.received:
        message_id, timestamp = one.headers["webhook-id"], one.headers["webhook-timestamp"]
        assert one.headers["webhook-signature"] == sign(secret, message_id, timestamp, one.body)
        ids.add(message_id)
        times.add(timestamp)
    assert (len(ids), len(times)) == (1, 2)


def test_the_signature_is_the_one_of_the_standards_own_example() -> None:
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    body = b'{"test": 2432232314}'

    signature = sign(secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", body)

    assert signature == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_slack_gets_title_figures_chart_and_runbook(
    outbox: OutboxCase, webhook: WebhookServer
) -> None:
    outbox.write(firing(), outbox.add_channel("slack", url=webhook.url))
    outbox.send()

    (content,) = webhook.bodies
    header, text, fields, actions, context = content["blocks"]
    assert header["text"]["text"] == "🔥 Alert: Spend is above 100 USD"
    assert "<http://127.0.0.1:8400/reports/costs|See the chart>" in text["text"]["text"]
    assert [one["text"] for one in fields["fields"]] == [
        "*spent*\n120.50 USD",
        "*limit*\n100 USD",
    ]
    assert [(one["text"]["text"], one["url"]) for one in actions["elements"]] == [
        ("Details", "http://127.0.0.1:8400/reports/alerts"),
        ("Runbook", "https://wiki.example.com/spend"),
    ]
    assert context["elements"][0]["text"] == "critical · 2026-11-23 10:00:00 UTC"


def test_teams_gets_a_card(outbox: OutboxCase, webhook: WebhookServer) -> None:
    webhook.status = 202
    outbox.write(firing(), outbox.add_channel("teams", url=webhook.url))
    outbox.send()

    (attachment,) = webhook.bodies[0]["attachments"]
    card = attachment["content"]
    assert attachment["contentType"] == "application/vnd.microsoft.card.adaptive"
    assert card["body"][0]["text"] == "Alert: Spend is above 100 USD"
    assert card["body"][2]["facts"] == [
        {"title": "spent", "value": "120.50 USD"},
        {"title": "limit", "value": "100 USD"},
    ]
    assert [one["title"] for one in card["actions"]] == ["Chart", "Details", "Runbook"]


def test_pagerduty_opens_and_closes_one_incident(
    outbox: OutboxCase, webhook: WebhookServer
) -> None:
    webhook.status = 202
    settings = {"url": webhook.url}
    channel = outbox.add_channel("pagerduty", settings=settings, routing_key="R0")
    for notification in (firing(), RESOLVED):
        outbox.write(notification, channel)
    outbox.send()

    trigger, resolve = webhook.bodies
    assert (trigger["event_action"], trigger["dedup_key"]) == ("trigger", "spend/1")
    assert trigger["payload"]["summary"] == "Alert: Spend is above 100 USD"
    assert trigger["payload"]["severity"] == "critical"
    assert trigger["payload"]["custom_details"]["spent"] == "120.50 USD"
    assert resolve == {"routing_key": "R0", "event_action": "resolve", "dedup_key": "spend/1"}


def test_a_mail_has_both_parts_and_comes_over_tls(
    outbox: OutboxCase, mail_server: MailServer
) -> None:
    mail_server.password = "open"
    settings = email_settings(mail_server, username="llmscope")
    outbox.write(firing(), outbox.add_channel("email", settings=settings, password="open"))
    trust(outbox, mail_server)

    assert outbox.send() == (1, 0, 0)

    (mail,) = mail_server.mails
    assert (mail.user, mail.is_encrypted) == ("llmscope", True)
    assert mail.recipients == ["a@example.com", "b@example.com"]
    message = mail.message
    assert message["Subject"] == "Alert: Spend is above 100 USD"
    text = message.get_body(("plain",)).get_content()
    html = message.get_body(("html",)).get_content()
    assert "spent: 120.50 USD" in text
    assert "<td" in html
    assert "120.50 USD" in html
    assert 'href="https://wiki.example.com/spend"' in html
    assert "src=" not in html


def test_tls_from_the_first_byte_works_too(outbox: OutboxCase, mail_server: MailServer) -> None:
    mail_server.is_tls = True
    settings = email_settings(mail_server, security="tls")
    outbox.write(firing(), outbox.add_channel("email", settings=settings))
    trust(outbox, mail_server)

    assert outbox.send() == (1, 0, 0)
    assert mail_server.mails[0].is_encrypted


def test_a_certificate_that_nobody_vouches_for_is_refused_unless_the_channel_takes_any(
    outbox: OutboxCase, mail_server: MailServer
) -> None:
    outbox.write(firing(), outbox.add_channel("email", settings=email_settings(mail_server)))
    assert outbox.send() == (0, 1, 0)
    assert "CERTIFICATE_VERIFY_FAILED" in outbox.row()["last_error"]
    assert not outbox.row()["may_have_arrived"]

    settings = email_settings(mail_server, verify_certificate=False)
    outbox.write(firing(2), outbox.add_channel("email", "any", settings=settings))
    assert outbox.send() == (1, 0, 0)


def test_a_mail_whose_answer_was_lost_comes_again_under_the_same_message_id(
    outbox: OutboxCase, mail_server: MailServer
) -> None:
    outbox.write(firing(), outbox.add_channel("email", settings=email_settings(mail_server)))
    trust(outbox, mail_server)
    outbox.attempt_seconds = 1.0

    for behaviour in ("cut", "hang"):
        mail_server.behaviour = behaviour
        assert outbox.send() == (0, 1, 0)
        assert outbox.row()["may_have_arrived"]
        outbox.clock.advance(minutes=1)
    mail_server.behaviour = "answer"
    assert outbox.send() == (1, 0, 0)

    assert len(mail_server.mails) == 3
    assert len(mail_server.accepted) == 1


def test_a_mail_server_that_never_ends_its_greeting_is_left_in_time(
    outbox: OutboxCase, mail_server: MailServer
) -> None:
    outbox.write(firing(), outbox.add_channel("email", settings=email_settings(mail_server)))
    outbox.attempt_seconds = 0.5
    mail_server.behaviour = "drip"

    assert outbox.send() == (0, 1, 0)
    assert not outbox.row()["may_have_arrived"]


@pytest.mark.parametrize(("reply", "gives_up"), [("451 later", 0), ("554 never", 1)])
def test_a_mail_that_is_refused_is_tried_again_unless_for_ever(
    outbox: OutboxCase, mail_server: MailServer, reply: str, gives_up: int
) -> None:
    outbox.write(firing(), outbox.add_channel("email", settings=email_settings(mail_server)))
    trust(outbox, mail_server)
    mail_server.reply = reply

    assert outbox.send() == (0, 1, gives_up)
    assert outbox.row()["last_error"] == f"the mail server answered {reply[:3]}"


def test_a_wrong_password_is_no_end(outbox: OutboxCase, mail_server: MailServer) -> None:
    mail_server.password = "right"
    settings = email_settings(mail_server, username="llmscope")
    outbox.write(firing(), outbox.add_channel("email", settings=settings, password="wrong"))
    trust(outbox, mail_server)

    assert outbox.send() == (0, 1, 0)
    assert outbox.row()["last_error"] == "the mail server answered 535"


@pytest.mark.parametrize("kind", ["slack", "teams", "pagerduty"])
def test_a_huge_and_hostile_notification_stays_within_what_a_service_takes(kind: str) -> None:
    nasty = replace(
        firing(),
        title=NASTY * 50,
        text=NASTY * 500,
        figures=((NASTY * 50, NASTY * 50),) * 200,
        dedup_key="k" * 500,
        runbook_url="javascript:alert(1)",
    )
    dispatch = Dispatch(nasty, UUID(int=7))

    if kind == "slack":
        content = slack_content(dispatch)
        assert len(content["blocks"]) <= 50
        assert len(content["blocks"][0]["text"]["text"]) <= 150
        assert "<!channel>" not in str(content["blocks"][1:])
        assert "<!channel>" not in content["text"]
    elif kind == "teams":
        content = teams_content(dispatch)
        assert "[x](" not in str(content)
    else:
        content = pagerduty_content(dispatch, "R0")
        assert len(content["dedup_key"]) <= 255
        assert len(content["payload"]["summary"]) <= 1024
    assert "'javascript:" not in str(content)


@pytest.mark.parametrize(
    ("url", "expected"),
    [("https://a/b", True), ("http://a", True), ("javascript:alert(1)", False), ("//a", False),
     ("http://", False), ("http://[", False), ("", False)],
)  # fmt: skip
def test_only_web_pages_become_links(url: str, expected: bool) -> None:
    assert is_web_page(url) is expected


def test_a_title_cannot_add_headers_to_a_mail_or_a_request(
    outbox: OutboxCase, mail_server: MailServer, webhook: WebhookServer
) -> None:
    trust(outbox, mail_server)
    key = "spend/ärger\r\nX-Evil: 1"
    nasty = replace(firing(), title="x\r\nBcc: evil@example.com", idempotency_key=key)
    mailbox = outbox.add_channel("email", "mail", settings=email_settings(mail_server))
    outbox.write(nasty, outbox.add_channel("webhook", url=webhook.url), mailbox)

    assert outbox.send() == (2, 0, 0)

    assert mail_server.mails[0].message["Bcc"] is None
    assert mail_server.mails[0].message["Subject"] == "Alert: x Bcc: evil@example.com"
    assert webhook.keys == ["spend/%C3%A4rger%0D%0AX-Evil: 1"]
    assert "x-evil" not in webhook.received[0].headers
