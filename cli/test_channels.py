"""`llmscope channels` and /api/v1/notification-channels, which share one table."""

import json
from typing import Any

import httpx
import pytest

from cli.conftest import RunCli, Served
from ingest_api.notifying.secrets import KEY_FILE

PATH = "/api/v1/notification-channels"
MAIL_AT_HOME = {"host": "localhost", "sender": "a@b", "recipients": ["c@d"]}
SLACK_URL = "https://hooks.slack.example/services/hidden"


def call(served: Served, method: str, path: str = PATH, **request: Any) -> httpx.Response:
    headers = {"Authorization": f"Bearer {served.key}"}
    return httpx.request(method, served.url + path, headers=headers, trust_env=False, **request)


@pytest.fixture
def with_key(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command line has a home of its own, and the platform's key."""
    key = (served.settings.home / KEY_FILE).read_text().strip()
    monkeypatch.setenv("LLMSCOPE_SECRET_KEY", key)


def outcomes(served: Served, action: str, *ids: str) -> list[str]:
    answer = call(served, "POST", f"{PATH}/{action}", json={"ids": list(ids)})
    return [one["outcome"] for one in answer.json()["results"]]


def test_a_channel_of_the_api_is_shown_without_its_secret_tested_disabled_and_deleted(
    served: Served, run_cli: RunCli
) -> None:
    body = {"name": "team", "kind": "slack", "secrets": {"url": SLACK_URL}}
    answer = call(served, "POST", json=body)
    assert (answer.status_code, answer.json()["signing_secret"]) == (201, None)
    channel_id = answer.json()["channel_id"]
    (shown,) = call(served, "GET").json()["channels"]
    assert (shown["name"], shown["has_secret"], shown["is_enabled"]) == ("team", True, True)

    stranger = "00000000-0000-0000-0000-000000000009"
    assert outcomes(served, "test", channel_id, stranger) == ["test_waits", "not_found"]
    assert outcomes(served, "disable", channel_id) == ["disabled"]
    assert outcomes(served, "test", channel_id) == ["is_disabled"]
    assert outcomes(served, "enable", channel_id) == ["enabled"]
    (told,) = call(served, "GET", "/api/v1/notifications").json()["notifications"]
    assert (told["kind"], told["state"], told["channel"]) == ("test", "waiting", "team")
    listed = run_cli("channels", "list").stdout + run_cli("channels", "deliveries").stdout
    assert "team" in listed
    assert "hidden" not in listed + json.dumps(shown)
    stored = served.query("select secret from app.notification_channels")
    assert b"hidden" not in bytes(stored[0][0])  # type: ignore[arg-type]
    assert outcomes(served, "delete", channel_id, channel_id) == ["deleted", "not_found"]


def test_the_same_name_sets_the_channel_up_anew(served: Served) -> None:
    made = {"name": "own", "kind": "webhook", "secrets": {"url": "https://alerts.example/hidden"}}
    first, second = (call(served, "POST", json=made).json() for _ in range(2))

    assert first["channel_id"] == second["channel_id"]
    assert first["signing_secret"].startswith("whsec_")
    assert first["signing_secret"] != second["signing_secret"]
    assert "signing_secret" not in call(served, "GET").text


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"kind": "slack", "secrets": {"url": "http://127.0.0.1/hidden"}}, "private network"),
        ({"kind": "slack", "secrets": {"url": "https://169.254.169.254/"}}, "private network"),
        ({"kind": "webhook", "secrets": {"url": "https://[::ffff:10.0.0.1]/"}}, "private network"),
        ({"kind": "slack", "secrets": {}}, "url"),
        ({"kind": "slack", "secrets": {"url": "env:DATABASE_URL"}}, "https://"),
        ({"kind": "slack", "secrets": {"url": "env:LLMSCOPE_CHANNEL_OPS"}}, "https://"),
        ({"kind": "email", "settings": MAIL_AT_HOME}, "host: the host lies in a private network"),
        ({"kind": "fax"}, "kind"),
    ],
)  # fmt: skip
def test_what_no_channel_may_be_is_refused_with_its_field(
    served: Served, body: dict[str, Any], words: str
) -> None:
    answer = call(served, "POST", json={"name": "x", **body})

    assert answer.status_code == 422
    assert words in answer.json()["detail"]
    assert "hidden" not in answer.text


def test_a_channel_of_another_project_and_of_the_operators_is_not_there(
    served: Served, run_cli: RunCli, with_key: None
) -> None:
    run_cli("channels", "add", "ops", "--kind", "slack", "--secret", "url", "--operators",
            stdin=SLACK_URL.encode())  # fmt: skip
    run_cli("projects", "create", "other")
    run_cli("channels", "add", "theirs", "--kind", "slack", "--secret", "url", "--project", "other",
            stdin=SLACK_URL.encode())  # fmt: skip
    rows = json.loads(run_cli("channels", "list", "--json").stdout)

    assert [(row["project"], row["name"]) for row in rows] == [
        ("(all projects)", "ops"),
        ("other", "theirs"),
    ]
    assert call(served, "GET").json()["channels"] == []
    ids = [row["channel_id"] for row in rows]
    for action in ("test", "enable", "disable", "delete"):
        assert outcomes(served, action, *ids) == ["not_found", "not_found"]


def test_operators_refer_to_variables_and_never_write_a_secret_on_the_command_line(
    served: Served, run_cli: RunCli, with_key: None
) -> None:
    add = ("channels", "add", "ops", "--kind", "slack", "--operators", "--secret")

    assert run_cli(*add, "url=env:LLMSCOPE_CHANNEL_OPS").exit_code == 0
    assert "url=env:LLMSCOPE_CHANNEL_OPS" in run_cli("channels", "list").stdout
    refused = run_cli(*add, "url=env:DATABASE_URL")
    assert (refused.exit_code, "LLMSCOPE_CHANNEL_" in refused.stderr) == (1, True)
    refused = run_cli(*add, f"url={SLACK_URL}")
    assert (refused.exit_code, "can be read by others" in refused.stderr) == (1, True)
    assert "hidden" not in refused.stderr


def test_a_mail_channel_by_command_line(served: Served, run_cli: RunCli, with_key: None) -> None:
    settings = ("host=smtp.example", "sender=l@example.com", "recipients=a@example.com",
                "recipients=b@example.com", "username=l")  # fmt: skip
    options = [part for one in settings for part in ("--setting", one)]
    ended = run_cli("channels", "add", "mail", "--kind", "email", *options, "--secret", "password",
                    "--json", stdin=b"open\n")  # fmt: skip

    made = json.loads(ended.stdout)
    assert "recipients=['a@example.com', 'b@example.com']" in made["settings"]
    assert run_cli("channels", "disable", "mail").exit_code == 0
    assert run_cli("channels", "test", "mail").exit_code == 1
    assert run_cli("channels", "remove", made["channel_id"]).exit_code == 0
    assert run_cli("channels", "remove", "mail").exit_code == 1


def test_a_test_that_nobody_sends_says_so(served: Served, run_cli: RunCli, with_key: None) -> None:
    run_cli("channels", "add", "ops", "--kind", "slack", "--secret", "url",
            stdin=SLACK_URL.encode())  # fmt: skip

    ended = run_cli("channels", "test", "ops", "--wait-seconds", "0")

    assert (ended.exit_code, "send_notifications_sensor" in ended.stderr) == (1, True)


def test_keys_are_rotated(
    served: Served, run_cli: RunCli, with_key: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = (served.settings.home / KEY_FILE).read_text().strip()
    new = run_cli("channels", "new-key").stdout.strip()
    run_cli("channels", "add", "ops", "--kind", "slack", "--secret", "url",
            stdin=SLACK_URL.encode())  # fmt: skip
    before = served.query("select secret from app.notification_channels")

    monkeypatch.setenv("LLMSCOPE_SECRET_KEY", new)
    assert run_cli("channels", "rotate-secrets").exit_code == 1
    monkeypatch.setenv("LLMSCOPE_SECRET_KEY", f"{new},{old}")
    assert run_cli("channels", "rotate-secrets").exit_code == 0
    monkeypatch.setenv("LLMSCOPE_SECRET_KEY", new)
    assert run_cli("channels", "rotate-secrets").exit_code == 0
    assert served.query("select secret from app.notification_channels") != before


def test_without_a_key_the_command_line_names_the_variable(served: Served, run_cli: RunCli) -> None:
    ended = run_cli("channels", "add", "ops", "--kind", "slack", "--secret", "url",
                    stdin=SLACK_URL.encode())  # fmt: skip

    assert (ended.exit_code, "LLMSCOPE_SECRET_KEY" in ended.stderr) == (1, True)
