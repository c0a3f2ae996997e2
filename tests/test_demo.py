"""The demo: traffic that the contract takes and the catalog prices, sent patiently, removable."""

import gzip
import json
from collections import Counter
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from statistics import median
from uuid import uuid4

import httpx
import msgspec
import psycopg
import pytest
from genai_prices import Usage, calc_price

from deploy.demo import __main__ as terminal
from deploy.demo import commands, removal
from deploy.demo.errors import DemoError
from deploy.demo.project import find_project, make_key, open_project, stored_key
from deploy.demo.sender import RETRY_SECONDS, Sender, require_api
from deploy.demo.traffic import Traffic
from deploy.demo.workloads import UNPRICED_MODELS, WORKLOADS
from ingest_api.accept import accept_batch
from ingest_api.events import Event
from ingest_api.seed import ensure_project
from ingest_api.settings import Settings
from ingest_api.stream import StreamStats

NOW = datetime(2026, 3, 18, 15, 30, tzinfo=UTC)
TRAFFIC = Traffic(seed=1, anchor=NOW.date())
UNPRICED = {model.request_model for model in UNPRICED_MODELS}


@pytest.fixture(scope="module")
def history() -> list[Event]:
    return list(TRAFFIC.history(NOW, 30))


def cost_usd(event: Event) -> float:
    """The catalog's price of a call; 0 without usage."""
    usage = Usage(
        input_tokens=event.input_tokens,
        output_tokens=event.output_tokens,
        cache_read_tokens=event.cache_read_input_tokens,
        cache_write_tokens=event.cache_write_input_tokens,
    )
    model = event.response_model or event.request_model or ""
    price = calc_price(
        usage, model, provider_id=event.provider_name, genai_request_timestamp=event.started_at
    )
    return float(price.total_price)


def test_the_same_seed_and_anchor_give_the_same_events(history: list[Event]) -> None:
    day = TRAFFIC.spike_date
    again = [event for event in history if event.started_at.date() == day]
    assert TRAFFIC.day(day) == again
    assert Traffic(seed=2, anchor=NOW.date()).day(day) != again


def test_a_later_and_shorter_history_repeats_the_events_of_an_earlier_one(
    history: list[Event],
) -> None:
    later = TRAFFIC.history(NOW + timedelta(days=1), 3)
    known = {(event.event_id, event.started_at) for event in history}
    repeated = [e for e in later if e.started_at < NOW]
    assert repeated
    assert all((event.event_id, event.started_at) in known for event in repeated)


def test_every_event_has_an_id_of_its_own(history: list[Event]) -> None:
    assert len({event.event_id for event in history}) == len(history)


def test_the_contract_accepts_every_event(history: list[Event]) -> None:
    for batch in commands.in_batches(history):
        accepted = accept_batch(msgspec.json.encode(batch), NOW, max_events=1000)
        assert not accepted.rejected
        assert accepted.ids == [event.event_id for event in batch]


def test_every_event_is_marked_as_demo(history: list[Event]) -> None:
    assert all((event.tags or {})["llmscope.demo"] == "true" for event in history)


def test_a_month_is_covered_day_by_day(history: list[Event]) -> None:
    days = {event.started_at.date() for event in history}
    assert days == {NOW.date() - timedelta(days=back) for back in range(30)}
    assert 20_000 < len(history) < 30_000
    assert max(event.started_at for event in history) < NOW


@pytest.mark.parametrize("workload", WORKLOADS, ids=lambda workload: workload.service_name)
def test_every_model_has_a_price_but_the_intended_ones(workload) -> None:
    for model, _ in workload.models:
        for name in (model.request_model, model.response_model):
            if model in UNPRICED_MODELS:
                with pytest.raises(LookupError):
                    calc_price(Usage(input_tokens=1), name, provider_id=model.provider_name)
            else:
                calc_price(Usage(input_tokens=1), name, provider_id=model.provider_name)


def test_the_runaway_loop_makes_one_day_several_times_dearer(history: list[Event]) -> None:
    costs: Counter[date] = Counter()
    for event in history:
        if event.request_model not in UNPRICED:
            costs[event.started_at.date()] += cost_usd(event)
    assert max(costs, key=lambda day: costs[day]) == TRAFFIC.spike_date
    assert costs[TRAFFIC.spike_date] > 4 * median(costs.values())


def test_workdays_are_busier_than_weekends_and_the_last_week_than_the_first() -> None:
    counts = {
        day: sum(TRAFFIC.call_count(workload, day) for workload in WORKLOADS)
        for day in (NOW.date() - timedelta(days=back) for back in range(28))
    }
    weekend = [count for day, count in counts.items() if day.weekday() >= 5]
    workdays = [count for day, count in counts.items() if day.weekday() < 5]
    assert max(weekend) < min(workdays)
    assert sum(list(counts.values())[:7]) > 1.2 * sum(list(counts.values())[-7:])


def test_token_counts_contain_their_parts(history: list[Event]) -> None:
    for event in history:
        cached = (event.cache_read_input_tokens or 0) + (event.cache_write_input_tokens or 0)
        assert cached <= (event.input_tokens or 0)
        assert (event.cache_write_1h_input_tokens or 0) <= (event.cache_write_input_tokens or 0)
        assert (event.reasoning_output_tokens or 0) <= (event.output_tokens or 0)


def test_anthropic_s_own_usage_object_adds_up_to_the_inclusive_count(history: list[Event]) -> None:
    events = [e for e in history if e.provider_name == "anthropic" and e.input_tokens is not None]
    for event in events:
        usage = json.loads(bytes(event.usage_details))
        parts = ("input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens")
        assert sum(usage[part] for part in parts) == event.input_tokens


def test_every_page_has_something_to_show(history: list[Event]) -> None:
    assert {e.error_type for e in history} == {None, "timeout", "429", "500", "invalid_output"}
    assert any(e.usage_source == "missing" and e.is_stream and not e.error_type for e in history)
    assert any(e.time_to_first_chunk_seconds for e in history)
    assert any(e.operation_name == "embeddings" for e in history)
    assert any(e.reasoning_output_tokens for e in history)
    assert any(e.cache_write_1h_input_tokens for e in history)
    assert len({e.user_id for e in history}) > 20
    assert len({e.environment for e in history}) == 3


def test_a_live_event_ends_now() -> None:
    event = TRAFFIC.live(NOW)
    assert event.started_at + timedelta(seconds=event.duration_seconds or 0) == NOW
    assert event != TRAFFIC.live(NOW + timedelta(seconds=1))


def accepted(request: httpx.Request) -> httpx.Response:
    events = json.loads(gzip.decompress(request.content))
    return httpx.Response(202, json={"accepted": [e["event_id"] for e in events], "rejected": []})


def sender_of(*answers: httpx.Response | Exception | Callable) -> tuple[Sender, list[float]]:
    """A sender whose attempts meet `answers` in turn, and the seconds that it waited."""
    remaining = iter(answers)

    def handle(request: httpx.Request) -> httpx.Response:
        answer = next(remaining)
        if isinstance(answer, Exception):
            raise answer
        return answer(request) if callable(answer) else answer

    waits: list[float] = []
    client = httpx.Client(base_url="http://api", transport=httpx.MockTransport(handle))
    return Sender(client, waits.append), waits


def unavailable(**headers: str) -> httpx.Response:
    return httpx.Response(503, json={"detail": "full"}, headers=headers)


@pytest.mark.parametrize(
    ("answers", "waits"),
    [
        pytest.param([], [], id="accepted at once"),
        pytest.param([unavailable(**{"retry-after": "7"})], [7.0], id="as long as the API asks"),
        pytest.param([unavailable()], [RETRY_SECONDS[0]], id="503 without a time"),
        pytest.param([httpx.ConnectError("refused")], [RETRY_SECONDS[0]], id="API restarting"),
    ],
)
def test_a_batch_is_sent_again_when_the_api_asks_for_it(answers, waits: list[float]) -> None:
    sender, waited = sender_of(*answers, accepted)
    assert sender.send([TRAFFIC.live(NOW)]) == 1
    assert waited == waits


def test_a_refused_batch_is_not_sent_again() -> None:
    sender, waited = sender_of(httpx.Response(401, json={"detail": "The API key is unknown."}))
    with pytest.raises(DemoError, match=r"401: The API key is unknown\."):
        sender.send([TRAFFIC.live(NOW)])
    assert not waited


def test_a_sender_gives_up_in_the_end() -> None:
    sender, waited = sender_of(*[unavailable() for _ in range(len(RETRY_SECONDS) + 1)])
    with pytest.raises(DemoError, match="503: full"):
        sender.send([TRAFFIC.live(NOW)])
    assert waited == list(RETRY_SECONDS)


def test_a_rejected_event_stops_the_demo() -> None:
    rejected = [{"index": 0, "field": "started_at", "reason": "is missing"}]
    sender, _ = sender_of(httpx.Response(202, json={"accepted": [], "rejected": rejected}))
    with pytest.raises(DemoError, match="rejected started_at: is missing"):
        sender.send([TRAFFIC.live(NOW)])


def test_a_missing_api_is_one_sentence_with_the_fix() -> None:
    with pytest.raises(DemoError, match=r"does not answer at http://127\.0\.0\.1:1: .*make up"):
        require_api("http://127.0.0.1:1")


def test_a_missing_home_folder_is_one_sentence_with_the_fix(tmp_path: Path) -> None:
    settings = Settings(
        database_url="postgresql://nobody@127.0.0.1:1/none",
        redis_url="redis://127.0.0.1:1/0",
        home=tmp_path / "absent",
    )
    with pytest.raises(DemoError, match=r"absent does not exist: .*make up"):
        commands.require_home(settings)


def test_the_command_line_refuses_a_history_of_no_days(capsys) -> None:
    with pytest.raises(SystemExit):
        terminal.parse_arguments(["send", "--days", "0"])
    assert "must be a number from 1" in capsys.readouterr().err


def stats(entry_count: int, oldest: float, *, loader_seen: float = 1.0) -> StreamStats:
    return StreamStats(entry_count, 100, entry_count, 0, oldest, loader_seen, entry_count)


def test_removal_waits_for_entries_that_are_older_than_the_closed_door() -> None:
    clock = iter(range(100))
    seen = iter([stats(5, 8.0), stats(3, 9.0), stats(9, 0.5)])
    removal.wait_until_loaded(lambda: next(seen), lambda: float(next(clock)), lambda _: None)
    assert next(seen, None) is None


def test_removal_refuses_while_no_loader_takes_what_is_under_way() -> None:
    waiting = stats(5, 8.0, loader_seen=900.0)
    with pytest.raises(DemoError, match="make up"):
        removal.wait_until_loaded(lambda: waiting, lambda: 0.0, lambda _: None)


INSERT_EVENT = """
insert into raw.llm_events (event_id, tenant_id, project_id, provider_name, request_model,
    operation_name, started_at, usage_source, usage_semantics, received_at, loaded_at)
values (%s, gen_random_uuid(), %s, 'openai', 'gpt-4o', 'chat', %s, 'missing', 'inclusive',
    now(), now())
"""
CREATE_MART = """
create schema if not exists marts;
create table marts.fct_llm_calls as select project_id, event_id from raw.llm_events;
create view marts.calls_by_project as
    select project_id, count(*) from marts.fct_llm_calls group by 1
"""


@pytest.fixture
def connection(database_url: str):
    with psycopg.connect(database_url, autocommit=True) as connection:
        yield connection


def test_removal_takes_the_demo_s_rows_everywhere_and_no_other(connection, tmp_path) -> None:
    project, main_id = open_project(connection), ensure_project(connection, "main")
    key = make_key(connection, project, tmp_path)
    assert stored_key(connection, project, tmp_path) == key
    for project_id in (project.project_id, main_id):
        for back in range(3):
            values = [uuid4(), project_id, NOW - timedelta(days=back)]
            connection.execute(INSERT_EVENT, values)
    connection.execute(CREATE_MART)

    assert removal.close_door(connection, project) > 0
    assert stored_key(connection, project, tmp_path) is None
    counts = removal.delete_rows(connection, project)

    assert counts == {
        "app.api_keys": 1, "app.projects": 1, "marts.fct_llm_calls": 3, "raw.llm_events": 3,
    }  # fmt: skip
    left = connection.execute("select distinct project_id from raw.llm_events").fetchall()
    assert left == [(main_id,)]
    assert find_project(connection) is None


def test_removal_waits_for_a_build_that_has_read_demo_rows(connection, database_url) -> None:
    project = open_project(connection)
    clock = iter([0.0, 1.0, removal.LOCKING_SECONDS])
    with psycopg.connect(database_url) as build:
        build.execute("select * from raw.llm_events")
        with pytest.raises(DemoError, match="in use"):
            removal.delete_rows(connection, project, lambda: next(clock), lambda _: None)
    assert find_project(connection) == project


def test_a_project_of_that_name_with_real_data_is_left_alone(connection) -> None:
    ensure_project(connection, "demo")
    with pytest.raises(DemoError, match="left alone"):
        find_project(connection)
