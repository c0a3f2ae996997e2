"""`llmscope tail` shows each event once."""

import json
import threading
from datetime import UTC, datetime
from functools import partial

import httpx
import pytest

from cli.conftest import RunCli, Served
from cli.connection import open_api
from cli.errors import CliError
from cli.feed import Message
from cli.tail import Event, event_line, fresh_events, tailed
from tests.api.gate import Gate
from tests.api.test_problems import database_away
from tests.running import RunningPlatform, wait_until

Capture = pytest.CaptureFixture[str]

LINES = b"\n".join(
    json.dumps(
        {
            "provider_name": "openai" if n % 2 else "anthropic",
            "request_model": f"model-{n}",
            "started_at": f"2026-11-22T10:00:0{n}+02:00",
            "user_id": f"user-{n}",
            **({"error_type": "timeout"} if n == 3 else {"input_tokens": 1200, "output_tokens": 3}),
        }
    ).encode()
    for n in range(6)
)


def test_events_are_shown_oldest_first_and_filtered(served: Served, run_cli: RunCli) -> None:
    assert run_cli("send", "-", stdin=LINES).exit_code == 0
    served.load()

    lines = run_cli("tail", "--no-follow", "-n", "4").stdout.splitlines()
    assert [line.split("model-")[1][0] for line in lines] == ["2", "3", "4", "5"]
    assert lines[0].startswith("2026-11-22 08:00:02Z  anthropic/model-2")
    assert "1,200 in" in lines[0]
    assert lines[0].endswith("ok")
    assert lines[1].endswith("error timeout")

    for option, value, expected in (
        ("--provider", "openai", [1, 3, 5]),
        ("--model", "model-2", [2]),
        ("--user", "user-4", [4]),
        ("--status", "error", [3]),
    ):
        ended = run_cli("tail", "--no-follow", "--json", option, value)
        found = [json.loads(line)["request_model"] for line in ended.stdout.splitlines()]
        assert found == [f"model-{n}" for n in expected]
    assert run_cli("tail", "--no-follow", "--status", "odd").exit_code == 2


def numbered(*numbers: int) -> bytes:
    now = datetime.now(UTC).isoformat()
    events = (
        {"provider_name": "openai", "request_model": f"model-{n}", "started_at": now}
        for n in numbers
    )
    return b"\n".join(json.dumps(event).encode() for event in events)


def test_what_is_not_loaded_yet_and_what_arrives_follows_once_over_lost_connections(
    served: Served, run_cli: RunCli, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    send = partial(run_cli, "send", "-")
    assert send(stdin=numbered(1, 2)).exit_code == 0
    served.load()
    assert send(stdin=numbered(3)).exit_code == 0
    with Gate(served.url) as gate:
        monkeypatch.setenv("LLMSCOPE_URL", f"http://127.0.0.1:{gate.server_address[1]}")
        with open_api() as client:
            events = tailed(client, {}, 10, is_followed=True)
            shown = [next(events)["request_model"] for _ in range(3)]
            assert sorted(shown) == ["model-1", "model-2", "model-3"]
            send(stdin=numbered(4))
            assert next(events)["request_model"] == "model-4"
            gate.mode = "shut"
            monkeypatch.setenv("LLMSCOPE_URL", served.url)
            send(stdin=numbered(5))
            threading.Timer(1.0, setattr, (gate, "mode", "open")).start()
            assert next(events)["request_model"] == "model-5"
            events.close()
    assert "the connection is lost" in capsys.readouterr().err


def test_the_feed_goes_on_while_the_database_is_away(
    served: Served, run_cli: RunCli, services: RunningPlatform, capsys: Capture
) -> None:
    with open_api() as client, database_away(services, served.settings.database_url):
        events = tailed(client, {"model": "model-7"}, 10, is_followed=True)
        found: list[Event] = []
        reader = threading.Thread(target=lambda: found.append(next(events)))
        reader.start()
        wait_until(lambda: "Showing what arrives" in capsys.readouterr().err, "it says so", 20)
        headers = {"Authorization": f"Bearer {served.key}"}

        def is_shown() -> bool:
            # Where the feed begins is decided a moment after the words.
            body = [
                {"provider_name": "openai", "request_model": f"model-{n}",
                 "started_at": datetime.now(UTC).isoformat()}
                for n in (6, 7)
            ]  # fmt: skip
            url = f"{served.url}/api/v1/events/ingest/batch"
            assert httpx.post(url, json=body, headers=headers).status_code == 202
            return bool(found)

        wait_until(is_shown, "the event is shown", 20)
        reader.join(20)
        events.close()
    assert found[0]["request_model"] == "model-7"
    assert "-" in event_line(found[0])


def test_refusals_are_sentences(
    served: Served, run_cli: RunCli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LLMSCOPE_API_KEY", "llms_unknown")
    ended = run_cli("tail")
    assert (ended.exit_code, ended.stdout) == (1, "")
    assert "The API answered 401" in ended.stderr
    monkeypatch.setenv("LLMSCOPE_URL", "http://127.0.0.1:1")
    assert "does not answer" in run_cli("tail").stderr


def test_lost_events_are_told_and_those_at_the_start_are_shown_once(capsys: Capture) -> None:
    def event(number: int) -> Message:
        fields = {"event_id": str(number), "started_at": "2026-11-22T10:00:00Z"}
        return {"type": "event", "id": "1-0-0", "event": fields}

    said: list[Message] = [
        {"type": "ready", "id": "1-0"}, {"type": "gap", "after": "0-0", "oldest_id": "1-0"},
        event(1), event(2), {"type": "dropped", "count": 1200, "resume_after": "1-0-0"},
        {"type": "heartbeat", "id": "2-0"}, {"type": "ready", "id": "2-0"},
        {"type": "gap", "after": "2-0", "oldest_id": "9-0"}, event(3),
        {"type": "end", "problem": {"detail": "The API key is revoked."}},
    ]  # fmt: skip
    events = fresh_events(said, [{"event_id": "1", "started_at": "2026-11-22T10:00:00+00:00"}])
    assert [next(events)["event_id"] for _ in range(2)] == ["2", "3"]
    with pytest.raises(CliError, match="revoked"):
        next(events)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2
    assert "1,200 events" in lines[0]
    assert "may be missing" in lines[1]


def test_a_line_has_no_control_characters() -> None:
    event = {
        "started_at": "2026-11-22T10:00:00Z", "provider_name": "a\nb", "request_model": "\x1b[31m",
        "response_model": None, "input_tokens": None, "output_tokens": 0,
        "duration_seconds": 1.5, "error_type": None, "estimated_cost_usd": "0.0002832",
    }  # fmt: skip
    line = event_line(event)
    assert line.isprintable()
    words = " ".join(line.split())
    assert words == "2026-11-22 10:00:00Z a b/ [31m - in 0 out 1.50 s ~$0.000283 ok"
