"""`llmscope keys` and `llmscope projects`, and that the API obeys them."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from cli.conftest import RunCli, Served
from cli.errors import CliError
from cli.keys import read_expiry
from tests.running import wait_until

PATH = "/api/v1/dead-letters"
NOW = datetime(2026, 11, 23, 10, tzinfo=UTC)


def test_a_key_is_printed_once_works_and_can_be_revoked(served: Served, run_cli: RunCli) -> None:
    made = run_cli("keys", "create", "dashboards", "--scope", "read", "--expires-in", "90d")
    key = made.stdout.strip()
    assert (made.exit_code, key.startswith("llms_")) == (0, True)
    wait_until(lambda: served.status_with(key, PATH) == 200, "the API knows the new key", 30)

    listed = run_cli("keys", "list")
    assert key not in listed.stdout
    assert key[:12] in listed.stdout
    assert "dashboards" in listed.stdout
    stored = {one["name"]: one for one in json.loads(run_cli("keys", "list", "--json").stdout)}
    assert set(stored) == {"first start", "dashboards"}
    assert stored["dashboards"]["scopes"] == ["read"]
    assert stored["dashboards"]["state"] == "active"
    assert datetime.fromisoformat(stored["dashboards"]["expires_at"]) > datetime.now(UTC)

    ended = run_cli("keys", "revoke", key[:12])
    assert (ended.exit_code, "within 10 s" in ended.stdout) == (0, True)
    stored = {one["name"]: one for one in json.loads(run_cli("keys", "list", "--json").stdout)}
    assert stored["dashboards"]["state"] == "revoked"
    assert stored["first start"]["state"] == "active"
    assert run_cli("keys", "revoke", stored["first start"]["api_key_id"]).exit_code == 0


def test_limits_scopes_and_quotas_are_stored(served: Served, run_cli: RunCli) -> None:
    assert run_cli("projects", "create", "checkout").exit_code == 0
    assert run_cli("projects", "create", "checkout").exit_code == 0
    ended = run_cli(
        "keys", "create", "service", "--project", "checkout",
        "--scope", "ingest", "--scope", "read", "--max-events-per-second", "500",
        "--max-burst-events", "5000", "--json",
    )  # fmt: skip
    made = json.loads(ended.stdout)
    assert (made["project"], made["scopes"]) == ("checkout", ["ingest", "read"])
    assert made["key"].startswith("llms_")
    (stored,) = json.loads(run_cli("keys", "list", "--project", "checkout", "--json").stdout)
    assert stored["api_key_id"] == made["api_key_id"]
    assert (stored["max_events_per_second"], stored["max_burst_events"]) == (500, 5000)

    quota = ["projects", "limit", "checkout"]
    assert "1,000 events a day" in run_cli(*quota, "--max-events-per-day", "1000").stdout
    assert "1,000" in run_cli("projects", "list").stdout
    assert run_cli(*quota, "--none").exit_code == 0
    projects = {p["name"]: p for p in json.loads(run_cli("projects", "list", "--json").stdout)}
    assert projects["checkout"]["max_events_per_day"] is None
    assert projects["checkout"]["active_key_count"] == 1


def test_the_content_that_a_project_stores_is_shown_and_set(
    served: Served, run_cli: RunCli
) -> None:
    assert "that events carry, and none of" in run_cli("projects", "content", "main").stdout
    assert "stores no prompts" in run_cli("projects", "content", "main", "none").stdout
    assert "stores no prompts" in run_cli("projects", "content", "main").stdout
    (main,) = json.loads(run_cli("projects", "list", "--json").stdout)
    assert main["content_policy"] == "none"
    assert run_cli("projects", "content", "main", "some").exit_code == 2


def test_what_cannot_be_done_is_one_sentence(
    served: Served, run_cli: RunCli, monkeypatch: pytest.MonkeyPatch
) -> None:
    cases = [
        (["keys", "create", "x", "--project", "none"], "make it with `llmscope projects create"),
        (["keys", "create", "x", "--max-burst-events", "5"], "needs --max-events-per-second"),
        (["keys", "list", "--project", "none"], "There is no project none"),
        (["keys", "revoke", "llms_unknown"], "There is no key llms_unknown"),
        (["projects", "limit", "main"], "either --max-events-per-day or --none"),
        (["projects", "create", " "], "must have a letter"),
        (["projects", "content", "none"], "There is no project none"),
    ]
    for arguments, words in cases:
        ended = run_cli(*arguments)
        assert (ended.exit_code, ended.stdout) == (1, "")
        assert words in ended.stderr
        assert len(ended.stderr.splitlines()) == 1
    wrong = run_cli("keys", "create", "x", "--scope", "everything")
    assert (wrong.exit_code, "everything" in wrong.stderr) == (2, True)
    monkeypatch.setenv("DATABASE_URL", "postgresql://u:p@127.0.0.1:1/none")
    assert "The database does not answer" in run_cli("keys", "list").stderr
    monkeypatch.delenv("DATABASE_URL")
    assert "There is no database in" in run_cli("keys", "list").stderr


def test_without_settings_there_is_no_key_and_it_says_so(
    run_cli: RunCli, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("LLMSCOPE_URL", "LLMSCOPE_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    assert "There is no API key in" in run_cli("tail", "--no-follow").stderr
    # The key of a clone must not travel to another server.
    monkeypatch.setenv("LLMSCOPE_URL", "https://llmscope.example")
    assert "LLMSCOPE_API_KEY is not set" in run_cli("tail", "--no-follow").stderr
    monkeypatch.setenv("LLMSCOPE_URL", "llmscope.example")
    assert "must start with http" in run_cli("tail", "--no-follow").stderr


@pytest.mark.parametrize(
    ("expires_in", "expires_at", "expected"),
    [
        ("", "", None),
        ("30m", "", NOW + timedelta(minutes=30)),
        ("52w", "", NOW + timedelta(weeks=52)),
        ("", "2027-01-01T00:00:00+01:00", datetime(2026, 12, 31, 23, tzinfo=UTC)),
    ],
)
def test_an_expiry_is_a_span_or_a_time(
    expires_in: str, expires_at: str, expected: datetime | None
) -> None:
    assert read_expiry(expires_in, expires_at, NOW) == expected


@pytest.mark.parametrize(
    ("expires_in", "expires_at", "words"),
    [
        ("1d", "2027-01-01T00:00:00Z", "give one of them"),
        ("90", "", "write it as 30m"),
        ("0d", "", "write it as 30m"),
        ("", "2027-01-01", "with its offset"),
        ("", "soon", "with its offset"),
        ("", "2026-11-23T10:00:00Z", "lies in the past"),
    ],
)
def test_a_bad_expiry_is_named(expires_in: str, expires_at: str, words: str) -> None:
    with pytest.raises(CliError, match=words):
        read_expiry(expires_in, expires_at, NOW)
