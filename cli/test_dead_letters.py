"""Dead letters through the API and the command line."""

import json
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID, uuid4

import httpx
import psycopg
import pytest

from cli.conftest import RunCli, Served
from ingest_api.database import keys
from tests.running import wait_until

PATH = "/api/v1/dead-letters"
INSERT = """
insert into raw.dead_letters
    (stream, entry_id, event_index, tenant_id, project_id, received_at, payload, rejected_reason)
select 'test', gen_random_uuid()::text, 0, tenant_id, project_id, now(), %s, %s
from app.projects where name = %s
returning dead_letter_id
"""


def event(**fields: object) -> dict[str, object]:
    return {
        "event_id": str(uuid4()),
        "provider_name": "openai",
        "request_model": "gpt-4o",
        "started_at": "2026-11-20T09:00:00Z",
        **fields,
    }


def put(served: Served, payload: object, reason: str = "because", project: str = "main") -> int:
    with psycopg.connect(served.settings.database_url) as connection:
        keys.ensure_project(connection, project)
        body = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
        row = connection.execute(INSERT, [body, reason, project]).fetchone()
    assert row is not None
    number: int = row[0]
    return number


def make_key(served: Served, *scopes: keys.Scope) -> str:
    with psycopg.connect(served.settings.database_url) as connection:
        project_id = keys.ensure_project(connection, "main")
        key = keys.create_key(connection, project_id, "test", scopes=scopes)
    wait_until(lambda: served.status_with(key, PATH) != 401, "the API knows the new key", 30)
    return key


@pytest.fixture
def client(served: Served) -> Iterator[httpx.Client]:
    headers = {"Authorization": f"Bearer {served.key}"}
    with httpx.Client(base_url=served.url, headers=headers, trust_env=False) as opened:
        yield opened


def test_pages_are_complete_disjoint_and_of_one_project(
    served: Served, client: httpx.Client
) -> None:
    numbers = [put(served, event(), f"reason {n % 2}") for n in range(7)]
    put(served, event(), project="other")
    seen: list[int] = []
    cursor: dict[str, str] = {}
    while True:
        page = client.get(PATH, params={"limit": "3", **cursor}).json()
        seen += [one["dead_letter_id"] for one in page["dead_letters"]]
        if page["next_cursor"] is None:
            break
        cursor = {"cursor": page["next_cursor"]}
    assert seen == numbers[::-1]
    filtered = client.get(PATH, params={"reason": "REASON 1"}).json()["dead_letters"]
    assert [one["dead_letter_id"] for one in filtered] == numbers[1::2][::-1]
    later = client.get(PATH, params={"rejected_after": "2100-01-01T00:00:00Z"}).json()
    assert later == {"dead_letters": [], "next_cursor": None}


def test_each_scope_sees_and_does_what_it_may(served: Served, client: httpx.Client) -> None:
    number = put(served, b'{"secret": "\xff"}')
    (letter,) = client.get(PATH).json()["dead_letters"]
    assert letter["payload"] == '{"secret": "\N{REPLACEMENT CHARACTER}"}'
    assert (letter["state"], letter["dead_letter_id"]) == ("open", number)
    assert client.get(PATH, params={"with_payload": "false"}).json()["dead_letters"][0][
        "payload"
    ] is None  # fmt: skip

    reader = {"Authorization": f"Bearer {make_key(served, 'read')}"}
    sender = {"Authorization": f"Bearer {make_key(served, 'ingest')}"}
    assert client.get(PATH, headers=reader).json()["dead_letters"][0]["payload"] is None
    assert client.get(PATH, headers=sender).status_code == 403
    for verb in ("replay", "discard"):
        answer = client.post(f"{PATH}/{verb}", json={"ids": [number]}, headers=reader)
        assert (answer.status_code, "admin" in answer.json()["detail"]) == (403, True)
    assert client.get(PATH, headers={"Authorization": ""}).status_code == 401


@pytest.mark.parametrize("verb", ["replay", "discard"])
def test_a_bad_request_is_a_problem_document(served: Served, verb: str) -> None:
    headers = {"Authorization": f"Bearer {served.key}"}
    cases = [
        (b"{", 400), (b"", 400), (b"\xff", 400), (b"[" * 99_999, 422), (b"[]", 422), (b"{}", 422),
        (b'{"ids": []}', 422), (b'{"ids": [0]}', 422), (b'{"ids": ["1"]}', 422),
        (b'{"ids": [9223372036854775808]}', 422), (b'{"ids": [1], "color": 1}', 422),
        (b'{"ids": [' + b"1," * 1000 + b"1]}", 422),
    ]  # fmt: skip
    with httpx.Client(base_url=served.url, headers=headers, trust_env=False) as client:
        for body, status in cases:
            answer = client.post(f"{PATH}/{verb}", content=body)
            assert (answer.status_code, body[:20]) == (status, body[:20])
            assert answer.headers["content-type"] == "application/problem+json"
            assert answer.json()["detail"]
        for parameter in (
            "limit=0",
            "cursor=x",
            "state=odd",
            "reason=%00",
            "rejected_after=now",
            "rejected_before=0.5",
            "rejected_before=2026-11-23T10:00:00",
        ):
            answer = client.get(f"{PATH}?{parameter}")
            assert (answer.status_code, parameter) == (422, parameter)
            assert parameter.partition("=")[0] in answer.json()["detail"]


def test_a_correction_must_be_an_event_of_a_letter_that_is_asked_for(
    served: Served, client: httpx.Client
) -> None:
    for events in ({"2": {}}, {"1": [None]}, {"1": "x"}, {"one": {}}):
        answer = client.post(f"{PATH}/replay", json={"ids": [1], "events": events})
        assert (answer.status_code, "events" in answer.json()["detail"]) == (422, True)


def test_the_api_answers_for_each_id(served: Served, client: httpx.Client) -> None:
    good, bad, mended = put(served, event()), put(served, {}), put(served, {"provider_name": 1})
    foreign = put(served, event(), project="other")
    exact = event(usage_details={"n": 0})
    text = json.dumps(exact).replace('{"n": 0}', '{"n": 12345678901234567890.5}')
    body = f'{{"ids": [{good}, {bad}, {mended}, {foreign}], "events": {{"{mended}": {text}}}}}'

    results = client.post(f"{PATH}/replay", content=body).json()["results"]

    assert [one["dead_letter_id"] for one in results] == [good, bad, mended, foreign]
    assert [one["outcome"] for one in results] == ["replayed", "still_bad", "replayed", "not_found"]
    assert "provider_name" in results[1]["reason"]
    served.load()
    assert served.query("select count(*) from raw.llm_events") == [(2,)]
    assert served.query(
        "select usage_details::text from raw.llm_events where usage_details is not null"
    ) == [('{"n": 12345678901234567890.5}',)]
    again = client.post(f"{PATH}/discard", json={"ids": [good, bad]}).json()["results"]
    assert [one["outcome"] for one in again] == ["already_settled", "discarded"]


def test_the_command_line_lists_shows_and_settles(
    served: Served, run_cli: RunCli, tmp_path: Path
) -> None:
    sent = event()
    good, bad = put(served, sent, "numeric overflow"), put(served, {"provider_name": 1})
    listed = run_cli("dead-letters", "list")
    assert (listed.exit_code, "numeric overflow" in listed.stdout) == (0, True)
    (only,) = json.loads(run_cli("dead-letters", "list", "--limit", "1", "--json").stdout)
    assert (only["dead_letter_id"], only["payload"]) == (bad, None)
    shown = json.loads(run_cli("dead-letters", "show", str(good)).stdout)
    assert json.loads(shown["payload"]) == sent

    ended = run_cli("dead-letters", "replay", "--all")
    assert (ended.exit_code, ended.stdout) == (2, "1 still bad, 1 replayed\n")
    assert f"{bad}: still bad: " in ended.stderr
    corrected = tmp_path / "event.json"
    corrected.write_text(json.dumps(event()))
    ended = run_cli("dead-letters", "replay", str(bad), "--event", str(corrected))
    assert (ended.exit_code, ended.stdout) == (0, "1 replayed\n")
    served.load()
    rows = served.query("select event_id from raw.llm_events")
    assert (UUID(str(sent["event_id"])),) in rows
    assert len(rows) == 2


def test_the_command_line_discards_by_filter_and_says_what_is_unclear(
    served: Served, run_cli: RunCli, tmp_path: Path
) -> None:
    kept, dropped = put(served, {}, "other"), put(served, {}, "numeric overflow")
    ended = run_cli("dead-letters", "discard", "--reason", "Overflow", "--json")
    assert json.loads(ended.stdout) == [
        {"dead_letter_id": dropped, "outcome": "discarded", "reason": ""}
    ]
    ended = run_cli("dead-letters", "discard", "--rejected-before", "2020-01-01T00:00:00Z")
    assert (ended.exit_code, ended.stdout) == (0, "There is no such letter.\n")
    (left,) = json.loads(run_cli("dead-letters", "list", "--json").stdout)
    assert left["dead_letter_id"] == kept
    assert run_cli("dead-letters", "discard", "9999").exit_code == 2
    (tmp_path / "bad.json").write_text("{")
    cases = [
        (["replay"], "Say which letters"),
        (["discard", "1", "--all"], "Say which letters"),
        (["show", "9999"], "There is no dead letter 9999"),
        (["replay", "1", "2", "--event", "x"], "exactly one id"),
        (["replay", "1", "--event", str(tmp_path / "none")], "cannot be read"),
        (["replay", "1", "--event", str(tmp_path / "bad.json")], "is not valid JSON"),
        (["list", "--rejected-after", "today"], "with its offset"),
    ]
    for arguments, words in cases:
        ended = run_cli("dead-letters", *arguments)
        assert (ended.exit_code, words in ended.stderr) == (1, True), arguments
