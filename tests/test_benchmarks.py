import asyncio
from datetime import UTC, datetime

import msgspec
import pytest

from benchmarks.history.increments import Increment, Spent
from benchmarks.ingest.__main__ import PARTS, parse_arguments
from benchmarks.ingest.bodies import event_count, make_bodies, stamped
from benchmarks.ingest.figures import Figure, at_least, below, machine, markdown, ratio
from benchmarks.ingest.open_loop import Load, offer, request_head
from benchmarks.ingest.throughput import bare_server
from benchmarks.live.listeners import Frames, Heard, Reader, Target, sum_up
from benchmarks.marts import ratios
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


def test_frames_are_read_however_they_arrive_and_what_lacks_is_counted() -> None:
    async def listen() -> Heard:
        frames = Frames()
        readers = [Reader(frames, Target("localhost", 1, "")) for _ in range(2)]
        for reader, count in zip(readers, (3, 2), strict=True):
            data = b"HTTP/1.1 101 Switching Protocols\r\n\r\n"
            sizes = (0, 300, 70_000)[:count]
            data += b"".join(frame_of(number, size) for number, size in enumerate(sizes))
            for start in range(0, len(data), 1000):
                reader.data_received(data[start : start + 1000])
        return sum_up(readers, frames, 0)

    heard = asyncio.run(listen())
    assert (heard.events, heard.deliveries, heard.missing, heard.repeated) == (3, 5, 1, 0)


def frame_of(number: int, padding: int) -> bytes:
    """A frame of the feed as a server sends it."""
    event = {"received_at": "2026-11-23T10:00:00Z", "padding": "x" * padding}
    body = msgspec.json.encode([{"type": "event", "id": f"5-0-{number}", "event": event}])
    size = len(body)
    length = (
        bytes([size]) if size < 126
        else b"\x7e" + size.to_bytes(2, "big") if size < 65536
        else b"\x7f" + size.to_bytes(8, "big")
    )  # fmt: skip
    return b"\x81" + length + body


def test_all_parts_are_measured_unless_some_are_named() -> None:
    assert parse_arguments([]).only == list(PARTS)
    assert parse_arguments(["--only", "api", "loader"]).only == ["api", "loader"]


def test_a_build_that_grows_with_the_history_misses_its_target() -> None:
    short = [Increment(Spent(2.0, 1.0), Spent(10.0, 5.0), {})]
    long = [Increment(Spent(2.2, 1.0), Spent(14.0, 6.0), {})]
    build, processor, loader = ratios(short, long, "20 against 1")
    assert (build.value, build.is_met) == ("1.40", False)
    assert (processor.value, processor.is_met) == ("1.20", True)
    assert (loader.value, loader.is_met) == ("0.91", True)
