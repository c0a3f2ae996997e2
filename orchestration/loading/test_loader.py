"""Every acknowledged event is exactly one row; poison becomes a letter and blocks nothing."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from uuid import UUID, uuid4

import psycopg
import pytest
import redis

from ingest_api import stream
from ingest_api.stream import EventStreamReader
from orchestration.load_order import read_loaded_before
from orchestration.loading.loader import Loader, LoadReport

TENANT, PROJECT = uuid4(), uuid4()


class CrashError(Exception):
    """What a killed process would look like from inside."""


def make_event(**fields: object) -> dict[str, object]:
    return {
        "event_id": str(uuid4()),
        "provider_name": "openai",
        "request_model": "gpt-4o",
        "started_at": "2026-11-22T10:00:00Z",
        "input_tokens": 100,
        **fields,
    }


class ReaderThatDies(EventStreamReader):
    """Dies between the commit and the acknowledgement."""

    def acknowledge(self, entries: object, event_count: int) -> None:
        raise CrashError


class Bench:
    """A stream, a database and a loader between them."""

    def __init__(self, redis_url: str, database_url: str) -> None:
        self.client = redis.Redis.from_url(redis_url)
        self.reader = EventStreamReader(self.client, "test")
        self.database_url = database_url
        self.loader = Loader(self.reader, self.connect)

    @contextmanager
    def connect(self) -> Iterator[psycopg.Connection]:
        with psycopg.connect(self.database_url) as connection:
            yield connection

    def put(self, *events: object) -> None:
        self.put_fields(
            tenant_id=str(TENANT),
            project_id=str(PROJECT),
            api_key_id="",
            received_at=datetime.now(UTC).isoformat(),
            event_count=len(events),
            events=json.dumps(events),
        )

    def put_fields(self, **fields: object) -> None:
        self.client.xadd(stream.STREAM, fields)  # type: ignore[arg-type]

    def drain(self) -> LoadReport:
        return self.loader.drain(0.3)

    def query(self, statement: str) -> list[tuple[object, ...]]:
        with self.connect() as connection:
            return connection.execute(statement).fetchall()

    def execute(self, statement: str) -> None:
        with self.connect() as connection:
            connection.execute(statement)

    def row_count(self) -> int:
        count = self.query("select count(*) from raw.llm_events")[0][0]
        assert isinstance(count, int)
        return count


@pytest.fixture
def bench(redis_url: str, database_url: str) -> Bench:
    return Bench(redis_url, database_url)


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


def test_messages_lie_apart_from_the_ledger(bench: Bench) -> None:
    bench.put(make_event(input_messages=[{"role": "user"}]), make_event())
    bench.drain()
    assert bench.query("select input_messages, output_messages from raw.llm_event_contents") == [
        ([{"role": "user"}], None)
    ]


def test_a_crash_before_the_commit_loses_nothing(bench: Bench) -> None:
    bench.put(*[make_event() for _ in range(5)], {"provider_name": 1})
    bench.execute(DIE_AT_COMMIT)
    with pytest.raises(psycopg.OperationalError):
        bench.drain()
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


def test_letters_carry_the_payload(bench: Bench) -> None:
    bench.put({"provider_name": 1})
    bench.drain()
    ((payload, project),) = bench.query("select payload, project_id from raw.dead_letters")
    assert json.loads(bytes(payload)) == {"provider_name": 1}  # type: ignore[arg-type]
    assert project == PROJECT


def test_a_database_that_is_away_leaves_the_events_in_the_stream(bench: Bench) -> None:
    bench.put(make_event())
    away = Bench.__new__(Bench)
    away.__dict__ = {**bench.__dict__, "database_url": "postgresql://127.0.0.1:1/none"}
    with pytest.raises(psycopg.OperationalError):
        Loader(away.reader, away.connect).drain(0.3)
    assert bench.reader.stats().entry_count == 1
    bench.drain()
    assert bench.row_count() == 1


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
