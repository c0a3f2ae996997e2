"""`llmscope tail` shows each event once."""

import json

import pytest

from cli.conftest import RunCli, Served
from cli.errors import ApiError, CliError
from cli.tail import Event, arrivals, event_line

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


def made(*numbers: int) -> list[Event]:
    """A page of events, newest first."""
    return [{"event_id": n, "started_at": "t"} for n in sorted(numbers, reverse=True)]


def test_each_event_is_shown_once_and_outages_are_waited_out() -> None:
    pages: list[list[Event] | Exception] = [
        made(1, 2, 3), made(1, 2, 3), CliError("away"), ApiError(503, "away"), made(2, 3, 5, 6),
        made(3, 4, 5, 6),
    ]  # fmt: skip

    def read() -> list[Event]:
        if not pages:
            raise ApiError(401, "revoked")
        page = pages.pop(0)
        if isinstance(page, Exception):
            raise page
        return page

    events = arrivals(read, 2, is_followed=True, sleep=lambda _seconds: None)

    assert [next(events)["event_id"] for _ in range(5)] == [2, 3, 5, 6, 4]
    with pytest.raises(ApiError, match="revoked"):
        next(events)


def test_a_line_has_no_control_characters() -> None:
    event = {
        "started_at": "2026-11-22T10:00:00Z", "provider_name": "a\nb", "request_model": "\x1b[31m",
        "response_model": None, "input_tokens": None, "output_tokens": 0,
        "duration_seconds": 1.5, "error_type": None,
    }  # fmt: skip
    line = event_line(event)
    assert line.isprintable()
    words = " ".join(line.split())
    assert words == "2026-11-22 10:00:00Z a b/ [31m - in 0 out 1.50 s ok"
