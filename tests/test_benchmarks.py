from datetime import UTC, datetime

import msgspec
import pytest

from benchmarks.ingest.__main__ import PARTS, parse_arguments
from benchmarks.ingest.bodies import event_count, make_bodies, stamped
from benchmarks.ingest.figures import Figure, at_least, below, machine, markdown, ratio
from benchmarks.ingest.open_loop import Load, offer, request_head
from benchmarks.ingest.throughput import bare_server
from tests.traffic import Traffic, corpus, read_call_sizes

NOW = datetime(2026, 11, 2, 12, tzinfo=UTC)


def test_each_stamp_makes_new_events_of_a_body() -> None:
    (body,) = make_bodies(1, 100)
    ids = {e["event_id"] for n in (1, 2) for e in msgspec.json.decode(stamped(body, n))}
    assert len(ids) == 200
    assert event_count([body]) == 100


def test_the_numbers_of_events_can_be_read_back_from_their_ids() -> None:
    traffic, other = (Traffic(run, read_call_sizes(corpus()), NOW, 1) for run in (1, 2))
    numbers = [0, 1, 2**40]
    assert [traffic.number_of(traffic.event_id(n)) for n in numbers] == numbers
    with pytest.raises(ValueError, match="is not of run"):
        traffic.number_of(other.event_id(0))


async def test_the_generator_sends_every_request_of_its_schedule_once() -> None:
    with bare_server("asgi") as bare:
        load = Load(request_head(f"{bare.url}/", bare.key), make_bodies(3, 2), 0)
        seconds = await offer(load, bare.url, 500, 1.0)
    assert (len(load.latencies), load.failures) == (500, 0)
    assert seconds >= 499 / 500


def test_figures_say_whether_they_meet_their_target() -> None:
    figures = [
        at_least("a", 30_000.0, 30_000),
        below("b", 10.0, 10.0, "ms"),
        Figure("c", "7"),
    ]
    assert [figure.is_met for figure in figures] == [True, False, None]
    assert markdown(figures).splitlines()[2:] == [
        "| a | 30,000 | at least 30,000 | met |",
        "| b | 10.0 ms | below 10 ms | missed |",
        "| c | 7 |  |  |",
    ]
    assert ratio([1, 2, 30], [2, 4, 3]) == 0.5
    assert "cores of" in machine()


def test_all_parts_are_measured_unless_some_are_named() -> None:
    assert parse_arguments([]).only == list(PARTS)
    assert parse_arguments(["--only", "api", "loader"]).only == ["api", "loader"]
