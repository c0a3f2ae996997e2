"""A dead letter is listed, replayed or discarded; nothing it reports is lost or doubled."""

import base64
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import dagster as dg
import psycopg
import pytest

from ingest_api.database.dead_letters import (
    DeadLetter,
    Filters,
    Settlement,
    discard,
    find_ids,
    list_dead_letters,
    replay,
    replay_of,
    summarise_open,
)
from ingest_api.events import ContractError
from ingest_api.stream import (
    STREAM,
    EventStreamReader,
    StreamError,
    connect,
    shard_of,
    stream_key,
)
from orchestration.loading.dead_letters import discard_dead_letters_job, replay_dead_letters_job
from orchestration.loading.loader import Loader
from orchestration.resources import EventStream, Warehouse

TENANT, PROJECT, API_KEY = uuid4(), uuid4(), uuid4()
RECEIVED_AT = datetime(2026, 11, 20, 9, 30, tzinfo=UTC)
INSERT: str = """
insert into raw.dead_letters
    (stream, entry_id, event_index, tenant_id, project_id, api_key_id, received_at, payload,
     rejected_reason, rejected_at)
values ('test', gen_random_uuid()::text, %s, %s, %s, %s, %s, %s, %s, %s)
returning dead_letter_id
"""


def make_event(**fields: object) -> dict[str, object]:
    return {
        "event_id": str(uuid4()),
        "provider_name": "openai",
        "request_model": "gpt-4o",
        "started_at": "2026-11-20T09:00:00Z",
        "input_tokens": 7,
        **fields,
    }


class Bench:
    """A database with letters, the stream, and a loader between them."""

    def __init__(self, database_url: str, redis_url: str) -> None:
        self.database_url, self.redis_url = database_url, redis_url
        self.client = connect(redis_url)
        self.own = psycopg.connect(database_url, autocommit=True)

    @contextmanager
    def connection(self) -> Iterator[psycopg.Connection]:
        with psycopg.connect(self.database_url, autocommit=True) as connection:
            yield connection

    def put(
        self,
        payload: object,
        *,
        event_index: int | None = 0,
        project_id: UUID | None = PROJECT,
        reason: str = "because",
        age: timedelta = timedelta(0),
    ) -> int:
        body = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
        head = (TENANT, project_id, API_KEY, RECEIVED_AT) if project_id else (None,) * 4
        values = [event_index, *head, body, reason, datetime.now(UTC) - age]
        row = self.own.execute(INSERT, values).fetchone()
        assert row is not None
        number: int = row[0]
        return number

    def replay(self, *ids: int, **options: object) -> list[Settlement]:
        with self.connection() as connection:
            return replay(connection, self.client, ids, **options)  # type: ignore[arg-type]

    def load(self) -> None:
        reader = EventStreamReader(self.client, "test")
        Loader(reader, self.connection).drain(0.3)

    def query(self, statement: str) -> list[tuple[object, ...]]:
        return self.own.execute(statement).fetchall()

    def open_ids(self) -> list[int]:
        return find_ids(self.own, Filters())

    def resources(self) -> dict[str, object]:
        return {
            "warehouse": Warehouse(database_url=self.database_url),
            "event_stream": EventStream(redis_url=self.redis_url),
        }


@pytest.fixture
def bench(database_url: str, redis_url: str) -> Iterator[Bench]:
    bench = Bench(database_url, redis_url)
    with bench.own, bench.client:
        yield bench


def test_a_replayed_letter_becomes_a_row_under_its_original_head(bench: Bench) -> None:
    event = make_event()
    number = bench.put(event)

    assert bench.replay(number) == [Settlement(number, "replayed")]
    bench.load()

    assert bench.query(
        "select event_id, tenant_id, project_id, api_key_id, received_at from raw.llm_events"
    ) == [(UUID(str(event["event_id"])), TENANT, PROJECT, API_KEY, RECEIVED_AT)]
    assert bench.open_ids() == []
    assert bench.replay(number) == [Settlement(number, "already_settled")]


def test_a_crash_before_the_mark_leads_to_a_second_replay_and_one_row(bench: Bench) -> None:
    number = bench.put(make_event())
    with bench.connection() as connection:
        connection.execute(DIE_AT_MARK)
    with pytest.raises(psycopg.OperationalError):
        bench.replay(number)
    bench.load()
    assert bench.open_ids() == [number]
    with bench.connection() as connection:
        connection.execute("drop trigger die on raw.dead_letters")

    assert bench.replay(number) == [Settlement(number, "replayed")]
    bench.load()

    assert bench.query("select count(*) from raw.llm_events") == [(1,)]
    assert bench.open_ids() == []


# The backend dies as if it were killed, between the write to the stream and the commit of the mark.
DIE_AT_MARK = """
create function die() returns trigger language plpgsql as
    $$ begin perform pg_terminate_backend(pg_backend_pid()); return null; end $$;
create trigger die after update on raw.dead_letters for each row execute function die();
"""


def test_a_stream_that_is_away_leaves_the_letter_open(bench: Bench) -> None:
    number = bench.put(make_event())
    away = connect("redis://127.0.0.1:1/0")
    with bench.connection() as connection, pytest.raises(StreamError):
        replay(connection, away, [number])
    assert bench.open_ids() == [number]


def test_an_event_that_fails_again_is_a_new_open_letter(bench: Bench) -> None:
    poison = json.dumps(make_event(usage_details={"n": 0})).replace('"n": 0', '"n": 1e999999')
    number = bench.put(poison.encode())

    (settlement,) = bench.replay(number)
    bench.load()

    if settlement.outcome == "still_bad":
        assert bench.open_ids() == [number]
    else:
        (fresh,) = bench.open_ids()
        assert fresh > number
    assert bench.query("select count(*) from raw.llm_events") == [(0,)]


STILL_BAD = [
    ({"provider_name": 1}, 0, PROJECT, "provider_name"),
    (make_event(event_id=None), 0, PROJECT, "event_id: is missing"),
    (make_event(started_at="1999-01-01T00:00:00Z"), 0, PROJECT, "started_at: must lie"),
    (b"\xff", 0, PROJECT, "malformed"),
    (b"[" * 100_000, None, PROJECT, "e"),
    (make_event(), None, PROJECT, "Expected `array`"),
    (make_event(), None, None, "no readable head"),
]


def test_what_still_breaks_the_contract_stays_open_and_says_why(bench: Bench) -> None:
    numbers = [
        bench.put(payload, event_index=event_index, project_id=project_id)
        for payload, event_index, project_id, _ in STILL_BAD
    ]

    settlements = bench.replay(*numbers)

    assert {one.outcome for one in settlements} == {"still_bad"}
    for settlement, (*_, words) in zip(settlements, STILL_BAD, strict=True):
        assert words in settlement.reason
    assert bench.open_ids() == numbers
    assert bench.client.dbsize() == 0


def test_a_whole_entry_that_can_be_read_now_is_replayed_as_a_whole(bench: Bench) -> None:
    number = bench.put([make_event(), make_event()], event_index=None)

    assert bench.replay(number) == [Settlement(number, "replayed")]
    bench.load()

    assert bench.query("select count(*) from raw.llm_events") == [(2,)]


def test_an_entry_whose_head_can_be_read_now_is_replayed(bench: Bench) -> None:
    fields = {
        "project_id": str(PROJECT), "api_key_id": "", "received_at": RECEIVED_AT.isoformat(),
        "event_count": 1, "events": json.dumps([make_event()]),
    }  # fmt: skip
    bench.client.xadd(STREAM, fields)
    bench.load()
    (number,) = bench.open_ids()
    (settlement,) = bench.replay(number)
    assert (settlement.outcome, "tenant_id" in settlement.reason) == ("still_bad", True)

    # As if the older loader had wanted this field under another name.
    tenant = base64.b64encode(str(TENANT).encode()).decode()
    ((payload,),) = bench.query("select payload from raw.dead_letters")
    readable = json.loads(bytes(payload)) | {"tenant_id": tenant}  # type: ignore[arg-type]
    bench.own.execute("update raw.dead_letters set payload = %s", [json.dumps(readable).encode()])
    assert bench.replay(number) == [Settlement(number, "replayed")]
    bench.load()
    assert bench.query("select tenant_id, received_at from raw.llm_events") == [
        (TENANT, RECEIVED_AT)
    ]


def test_a_corrected_event_goes_in_place_of_the_payload(bench: Bench) -> None:
    bad, entry = bench.put({"provider_name": 1}), bench.put([make_event()], event_index=None)
    corrections = {one: json.dumps(make_event(input_tokens=41)).encode() for one in (bad, entry)}

    settled, refused = bench.replay(bad, entry, corrections=corrections)
    bench.load()

    assert settled.outcome == "replayed"
    assert (refused.outcome, bench.open_ids()) == ("still_bad", [entry])
    assert bench.query("select input_tokens from raw.llm_events") == [(41,)]


def test_each_id_is_answered_in_its_order(bench: Bench) -> None:
    good, gone, bad = bench.put(make_event()), bench.put(make_event()), bench.put({})
    foreign = bench.put(make_event(), project_id=uuid4())
    with bench.connection() as connection:
        assert discard(connection, [gone]) == [Settlement(gone, "discarded")]

        answers = replay(
            connection, bench.client, [999, bad, foreign, gone, good, good], project_id=PROJECT
        )
        again = discard(connection, [good, bad, foreign], project_id=PROJECT)

    assert [one.outcome for one in answers] == [
        "not_found", "still_bad", "not_found", "already_settled", "replayed", "replayed",
    ]  # fmt: skip
    assert [one.outcome for one in again] == ["already_settled", "discarded", "not_found"]
    assert bench.open_ids() == [foreign]
    bench.load()
    assert bench.query("select count(*) from raw.llm_events") == [(1,)]


def test_a_replay_goes_to_the_shard_of_its_project(bench: Bench) -> None:
    bench.replay(bench.put(make_event()), shards=8)
    assert bench.client.xlen(stream_key(shard_of(PROJECT, 8))) == 1


def test_two_operators_replay_a_letter_once(bench: Bench) -> None:
    numbers = [bench.put(make_event()) for _ in range(20)]
    with ThreadPoolExecutor(2) as operators:
        answers = list(operators.map(lambda _: bench.replay(*numbers), range(2)))

    for one, other in zip(*answers, strict=True):
        assert {one.outcome, other.outcome} == {"replayed", "already_settled"}


def test_more_letters_than_one_transaction_holds_are_all_replayed(bench: Bench) -> None:
    numbers = [bench.put(make_event()) for _ in range(205)]

    assert {one.outcome for one in bench.replay(*numbers)} == {"replayed"}
    bench.load()

    assert bench.query("select count(*) from raw.llm_events") == [(205,)]


FILTERS = [
    (Filters(), {"new", "old", "foreign"}),
    (Filters(state="all"), {"new", "old", "foreign", "gone"}),
    (Filters(state="discarded"), {"gone"}),
    (Filters(state="replayed"), set()),
    (Filters(project_id=PROJECT), {"new", "old"}),
    (Filters(reason="OVERFLOW"), {"old"}),
    (Filters(reason="100%"), set()),
    (Filters(rejected_after=datetime.now(UTC) - timedelta(hours=1)), {"new", "foreign"}),
    (Filters(rejected_before=datetime.now(UTC) - timedelta(hours=1)), {"old"}),
]


def test_filters_choose_letters(bench: Bench) -> None:
    names = {
        bench.put(make_event()): "new",
        bench.put(make_event(), reason="numeric overflow", age=timedelta(days=1)): "old",
        bench.put(make_event(), project_id=uuid4()): "foreign",
        bench.put(make_event()): "gone",
    }
    with bench.connection() as connection:
        discard(connection, [number for number, name in names.items() if name == "gone"])
        for filters, expected in FILTERS:
            found = find_ids(connection, filters)
            listed = list_dead_letters(connection, filters, limit=10)

            assert {names[number] for number in found} == expected, filters
            assert [one.dead_letter_id for one in listed] == sorted(found, reverse=True)


def test_open_letters_are_summed_up(bench: Bench) -> None:
    numbers = [bench.put({}, reason=f"reason {n % 7 // 2}") for n in range(30)]
    with bench.connection() as connection:
        assert summarise_open(connection).newest_ids == tuple(reversed(numbers[10:]))
        discard(connection, numbers[:2])
        summary = summarise_open(connection)

    assert (summary.letter_count, summary.open_count) == (30, 28)
    assert sum(count for _, count in summary.reasons) == 28
    assert summary.reasons[0][1] >= summary.reasons[-1][1]


def letter(**fields: object) -> DeadLetter:
    given: dict[str, object] = {
        "dead_letter_id": 1, "stream": "s", "entry_id": "1-0", "event_index": 0,
        "tenant_id": TENANT, "project_id": PROJECT, "api_key_id": None,
        "received_at": RECEIVED_AT, "payload": json.dumps(make_event()).encode(),
        "rejected_reason": "", "rejected_at": RECEIVED_AT, "replayed_at": None,
        "discarded_at": None, **fields,
    }  # fmt: skip
    return DeadLetter(**given)  # type: ignore[arg-type]


def test_a_letter_keeps_its_head() -> None:
    entry = replay_of(letter(), None, datetime.now(UTC))

    assert entry.source == (TENANT, PROJECT, None)
    assert (entry.received_at, entry.event_count) == (RECEIVED_AT, 1)


@pytest.mark.parametrize("missing", ["tenant_id", "project_id", "received_at"])
def test_a_letter_without_a_head_is_nobodys(missing: str) -> None:
    with pytest.raises(ContractError, match="no readable head"):
        replay_of(letter(**{missing: None}), None, datetime.now(UTC))


def run_job(
    job: dg.JobDefinition, bench: Bench, config: dict[str, object]
) -> dg.ExecuteInProcessResult:
    (op,) = job.nodes
    return job.execute_in_process(
        run_config={"ops": {op.name: {"config": config}}},
        resources=bench.resources(),
        raise_on_error=False,
    )


def test_the_jobs_settle_what_was_chosen(bench: Bench) -> None:
    with bench.connection() as connection:
        connection.execute("insert into app.tenants (tenant_id, name) values (%s, 't')", [TENANT])
        connection.execute(
            "insert into app.projects (project_id, tenant_id, name) values (%s, %s, 'main')",
            [PROJECT, TENANT],
        )
    good, bad = bench.put(make_event()), bench.put({}, reason="numeric overflow")
    foreign = bench.put(make_event(), project_id=uuid4())

    result = run_job(replay_dead_letters_job, bench, {"project": "main"})
    assert result.success
    (observation,) = result.get_asset_observation_events()
    metadata = observation.asset_observation_data.asset_observation.metadata
    assert {name: value.value for name, value in metadata.items()} == {
        "replayed_count": 1, "still_bad_count": 1,
    }  # fmt: skip
    assert bench.open_ids() == [bad, foreign]

    assert run_job(discard_dead_letters_job, bench, {"reason": "OVERFLOW"}).success
    assert run_job(discard_dead_letters_job, bench, {"ids": [foreign, good]}).success
    assert bench.open_ids() == []
    bench.load()
    assert bench.query("select count(*) from raw.llm_events") == [(1,)]


UNCLEAR: list[tuple[dict[str, object], str]] = [
    ({}, "Nothing was chosen"),
    ({"project": "none"}, "There is no project"),
    ({"rejected_after": "yesterday"}, "write it with its offset"),
    ({"rejected_before": "2026-11-23T10:00:00"}, "write it with its offset"),
]


def test_all_letters_are_settled_only_when_asked_for(bench: Bench) -> None:
    number = bench.put(make_event())
    for config, words in UNCLEAR:
        result = run_job(discard_dead_letters_job, bench, config)
        assert not result.success
        (failure,) = [event for event in result.all_events if event.is_step_failure]
        assert words in str(failure.step_failure_data)
    assert bench.open_ids() == [number]

    assert run_job(discard_dead_letters_job, bench, {"is_all": True}).success
    assert bench.open_ids() == []
