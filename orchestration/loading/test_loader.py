"""Every acknowledged event is exactly one row; poison becomes a letter and blocks nothing."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from uuid import UUID

import psycopg
import pytest

from ingest_api import stream
from ingest_api.stream import EventStreamReader
from orchestration.load_order import read_loaded_before
from orchestration.loading.conftest import PROJECT, TENANT, Bench, make_event
from orchestration.loading.loader import MAX_COMMIT_ENTRIES, Loader


class CrashError(Exception):
    """What a killed process would look like from inside."""


class ReaderThatDies(EventStreamReader):
    """Dies between the commit and the acknowledgement."""

    def acknowledge(self, entries: object) -> int:
        raise CrashError


def test_every_field_arrives_as_it_was_sent(bench: Bench) -> None:
    sent = make_event(
        response_model="gpt-4o-2024-08-06",
        ended_at="2026-11-22T10:00:01.5Z",
        time_to_first_chunk_seconds=0.25,
        is_stream=True,
        output_tokens=7,
        usage_details={"prompt_tokens": 100, "x": 12345678901234567890},
        response_finish_reasons=["stop", 'a "quoted", one'],
        tags={"team": "a\tb\\n"},
        reported_cost_usd="0.000123456789012345",
        error_message="line\nbreak",
    )
    bench.put(sent)
    bench.drain()
    (row,) = bench.query(
        """select event_id, project_id, tenant_id, api_key_id, response_model, duration_seconds,
                  time_to_first_chunk_seconds, is_stream, usage_details::text, usage_source,
                  response_finish_reasons, tags, reported_cost_usd::text, error_message,
                  operation_name
           from raw.llm_events"""
    )
    assert row == (
        UUID(str(sent["event_id"])), PROJECT, TENANT, None, "gpt-4o-2024-08-06", None, 0.25, True,
        '{"x": 12345678901234567890, "prompt_tokens": 100}', "provider",
        ["stop", 'a "quoted", one'],
        {"team": "a\tb\\n"}, "0.000123456789012345", "line\nbreak", "chat",
    )  # fmt: skip


def test_the_same_event_sent_three_times_is_one_row(bench: Bench) -> None:
    events = [make_event() for _ in range(10)]
    for _ in range(3):
        bench.put(*events)
    report = bench.drain()
    assert bench.row_count() == 10
    assert (report.event_count, report.row_count, report.repeated_event_count) == (30, 10, 20)


def test_an_event_that_is_twice_in_a_batch_is_one_row(bench: Bench) -> None:
    event = make_event()
    bench.put(event, event, make_event(), event)
    bench.put(event)
    report = bench.drain()
    assert (report.event_count, report.row_count, report.commit_count) == (5, 2, 1)
    assert bench.row_count() == 2


def test_messages_lie_apart_from_the_ledger(bench: Bench) -> None:
    bench.put(make_event(input_messages=[{"role": "user"}]), make_event())
    bench.drain()
    assert bench.query("select input_messages, output_messages from raw.llm_event_contents") == [
        ([{"role": "user"}], None)
    ]


def test_a_crash_before_the_commit_loses_nothing(bench: Bench) -> None:
    bench.put(*[make_event() for _ in range(5)], {"provider_name": 1})
    bench.execute(DIE_AT_COMMIT)
    report = bench.drain()
    assert (report.commit_count, report.failed_attempts) == (0, 1)
    assert bench.row_count() == 0
    assert bench.reader.stats().in_flight_entry_count == 1
    bench.execute("drop trigger die on raw.dead_letters")
    bench.drain()
    assert bench.row_count() == 5


# The backend dies as if it were killed, at the last moment of the transaction.
DIE_AT_COMMIT = """
create function die() returns trigger language plpgsql as
    $$ begin perform pg_terminate_backend(pg_backend_pid()); return null; end $$;
create constraint trigger die after insert on raw.dead_letters
    deferrable initially deferred for each row execute function die();
"""


def test_a_crash_before_the_acknowledgement_doubles_nothing(bench: Bench) -> None:
    bench.put(*[make_event() for _ in range(5)], {"provider_name": 1})
    with pytest.raises(CrashError):
        Loader(ReaderThatDies(bench.client, "test"), bench.connect).drain(0.3)
    assert bench.row_count() == 5
    assert bench.reader.stats().in_flight_entry_count == 1
    bench.drain()
    assert bench.row_count() == 5
    assert bench.query("select count(*) from raw.dead_letters") == [(1,)]
    assert bench.reader.stats().entry_count == 0


def test_poison_becomes_letters_and_its_neighbours_rows(bench: Bench) -> None:
    poison = json.dumps(make_event(usage_details={"n": 0})).replace('{"n": 0}', '{"n": 1e999999}')
    bench.put_fields(junk="x")
    bench.put_fields(
        tenant_id=str(TENANT), project_id=str(PROJECT), api_key_id="", event_count=3,
        received_at=datetime.now(UTC).isoformat(),
        events=f"[{json.dumps(make_event())},{poison},{json.dumps(make_event())}]",
    )  # fmt: skip
    bench.put(make_event(), {"provider_name": 1}, make_event(event_id=None))
    bench.put_fields(
        tenant_id="nobody", project_id=str(PROJECT), api_key_id="", received_at="", events="[]"
    )
    report = bench.drain()
    assert bench.row_count() == 3
    assert report.dead_letter_count == 5
    letters = bench.query(
        "select event_index, rejected_reason from raw.dead_letters order by dead_letter_id"
    )
    assert [index for index, _ in letters] == [None, 1, 2, None, 1]
    assert letters[0][1] == "the entry lacks the field tenant_id"
    assert letters[4][1] == "22003: value overflows numeric format"
    assert bench.reader.stats().entry_count == 0


def test_verbatim_json_that_is_not_utf8_is_poison(bench: Bench) -> None:
    poison = json.dumps(make_event(usage_details={"n": "?"})).encode().replace(b"?", b"\xff")
    bench.put_fields(
        tenant_id=str(TENANT), project_id=str(PROJECT), api_key_id="", event_count=3,
        received_at=datetime.now(UTC).isoformat(),
        events=b"[%b,%b,%b]" % (json.dumps(make_event()).encode(), poison,
                                json.dumps(make_event()).encode()),
    )  # fmt: skip
    bench.drain()
    assert bench.row_count() == 2
    assert bench.query("select event_index, rejected_reason from raw.dead_letters") == [
        (1, "UnicodeDecodeError")
    ]


def test_an_entry_that_is_nested_without_end_is_a_letter(bench: Bench) -> None:
    deep = '{"a":' * 20_000 + "1" + "}" * 20_000
    poison = json.dumps(make_event(usage_details={"n": 0})).replace('{"n": 0}', deep)
    bench.put_fields(
        tenant_id=str(TENANT), project_id=str(PROJECT), api_key_id="", event_count=1,
        received_at=datetime.now(UTC).isoformat(), events=f"[{poison}]",
    )  # fmt: skip
    bench.put(make_event())
    bench.drain()
    assert bench.row_count() == 1
    ((index, reason),) = bench.query("select event_index, rejected_reason from raw.dead_letters")
    assert index is None
    assert str(reason).startswith("the events are unreadable")


def test_what_exceeds_a_limit_of_the_database_is_poison(bench: Bench) -> None:
    bench.execute(REFUSE_BY_LIMIT)
    bench.put(make_event(), make_event(request_model="too much"), make_event())
    report = bench.drain()
    assert (report.row_count, report.refused_event_count, report.failure) == (2, 1, None)
    assert bench.query("select event_index, rejected_reason from raw.dead_letters") == [
        (1, "54000: too much")
    ]


# Such as a document that Postgres would have to nest too deep: an OperationalError in psycopg.
REFUSE_BY_LIMIT = """
create function refuse() returns trigger language plpgsql as
    $$ begin raise exception 'too much' using errcode = '54000'; end $$;
create trigger refuse before insert on raw.llm_events
    for each row when (new.request_model = 'too much') execute function refuse();
"""


def test_entries_of_two_shards_with_the_same_id_are_two_letters(bench: Bench) -> None:
    for shard in range(2):
        bench.client.xadd(stream.stream_key(shard), {"junk": str(shard)}, id="5-5")
        reader = EventStreamReader(bench.client, "test", shard)
        assert Loader(reader, bench.connect).drain(30, until_caught_up=True).dead_letter_count == 1
    letters = bench.query("select stream, entry_id from raw.dead_letters order by stream")
    assert letters == [("llmscope:{events:0}", "5-5"), ("llmscope:{events:1}", "5-5")]


def test_letters_carry_the_payload(bench: Bench) -> None:
    bench.put({"provider_name": 1})
    bench.drain()
    ((payload, project),) = bench.query("select payload, project_id from raw.dead_letters")
    assert json.loads(bytes(payload)) == {"provider_name": 1}  # type: ignore[arg-type]
    assert project == PROJECT


def test_rows_stamped_before_a_build_are_visible_to_it(bench: Bench) -> None:
    bench.put(make_event())
    bench.drain()
    with bench.connect() as connection:
        loaded_before = read_loaded_before(connection)
    bench.put(make_event())
    bench.drain()
    with bench.connect() as connection:
        older, newer = connection.execute(
            """select count(*) filter (where loaded_at < %(t)s),
                      count(*) filter (where loaded_at > %(t)s) from raw.llm_events""",
            {"t": loaded_before},
        ).fetchone() or (0, 0)
    assert (older, newer) == (1, 1)


def test_a_drain_goes_on_while_commits_are_large(bench: Bench) -> None:
    pipeline = bench.client.pipeline()
    fields = {
        "tenant_id": str(TENANT), "project_id": str(PROJECT), "api_key_id": "",
        "received_at": "2026-11-22T10:00:00+00:00", "events": "[]",
    }  # fmt: skip
    for _ in range(2 * MAX_COMMIT_ENTRIES + 5):
        pipeline.xadd(stream.STREAM, fields)  # type: ignore[arg-type]
    pipeline.execute()
    passed_seconds = 0.0

    @contextmanager
    def connect_for_a_second() -> Iterator[psycopg.Connection]:
        nonlocal passed_seconds
        passed_seconds += 1
        with bench.connect() as connection:
            yield connection

    loader = Loader(bench.reader, connect_for_a_second, clock=lambda: passed_seconds)
    assert loader.drain(0.5).commit_count == 1
    assert loader.drain(0.5, busy_seconds=60).commit_count == 2
