"""The pure parts: positions, buffers, where a client begins, and entries that are no good."""

import asyncio
from datetime import UTC, datetime
from uuid import UUID, uuid4

import msgspec
import pytest

from ingest_api.auth import ApiKey
from ingest_api.live import messages
from ingest_api.live.clients import Client
from ingest_api.live.entries import read_entry
from ingest_api.live.feed import start_of
from ingest_api.live.filters import Filters
from ingest_api.live.messages import MAX_BATCH_BYTES, Batch, Message, split
from ingest_api.live.positions import (
    BadPositionError,
    Position,
    now_position,
    second_before,
)
from ingest_api.live.reader import ShardReader
from ingest_api.stream import RawEntry, StreamFollower, Tail

KEY = ApiKey(uuid4(), uuid4(), uuid4(), ("read",), None, b"")
NOW = 1_795_773_600_500


@pytest.mark.parametrize(
    ("text", "position"),
    [("5-0", Position(5, 0)), ("5-1-0", Position(5, 1, 0)), ("5-1-31", Position(5, 1, 31))],
)
def test_an_id_is_a_position_and_back(text: str, position: Position) -> None:
    assert Position.parse(text) == position
    assert str(position) == text


@pytest.mark.parametrize(
    "text", ["", "5", "-", "5-", "5-1-", "a-1", "5-1-2-3", " 5-1", "5-1\n", "1" * 16 + "-1", "$"]
)
def test_a_text_that_is_no_id_is_refused(text: str) -> None:
    with pytest.raises(BadPositionError):
        Position.parse(text)


def test_positions_are_in_the_order_of_the_feed() -> None:
    texts = ["4-9", "5-0-0", "5-0-1", "5-0-10", "5-0", "5-1-0", "10-0-0"]
    positions = [Position.parse(text) for text in texts]
    assert positions == sorted(positions)
    assert Position(5, 1) > Position.before_entry("5-1") == Position(5, 0)
    assert Position(4, 7) < Position.before_entry("5-0") < Position(5, 0, 0)


@pytest.mark.parametrize(
    ("text", "oldest", "may_miss"),
    [("5-0", "0-0", False), ("5-0", "5-0", False), ("5-0", "5-1", False), ("5-0", "6-0", True),
     ("5-0-0", "5-0", False), ("5-0-0", "5-1", True), ("5-0-0", "5-2", True)],
)  # fmt: skip
def test_what_lies_behind_a_position_may_be_gone(text: str, oldest: str, may_miss: bool) -> None:
    assert Position.parse(text).may_miss(oldest) is may_miss


def test_the_end_of_a_stream_tells_nothing_of_its_last_entry() -> None:
    assert now_position("0-0", NOW) == now_position("5-0", NOW) == Position(NOW - 1, 0)
    assert now_position(f"{NOW}-3", NOW) == Position(NOW, 3)
    assert second_before(Position(NOW, 3)) == Position(1_795_773_600_000, 0)


def test_a_client_begins_where_it_was_or_is_told_why_not() -> None:
    tail = Tail(f"{NOW - 5}-0", f"{NOW - 100}-1", NOW)
    start = start_of(tail, None)
    assert (start.position, start.is_resumed, start.gap) == (Position(NOW - 1, 0), False, None)
    start = start_of(tail, Position(NOW - 50, 0, 3))
    assert (start.position, start.is_resumed, start.gap) == (Position(NOW - 50, 0, 3), True, None)
    start = start_of(tail, Position(NOW - 200, 0))
    assert (start.position, start.is_resumed) == (Position(NOW - 100, 0), True)
    assert start.gap is not None
    start = start_of(tail, Position(NOW + 10**6, 0))
    assert (start.position, start.is_resumed) == (Position(NOW - 1, 0), False)
    assert start.gap is not None


def batch(*places: int, size: int = 100) -> Batch:
    found = [Message(Position(5, 0, place), b"%*d" % (size, place)) for place in places]
    return Batch(found, len(found))


def words(batch: Batch | None) -> list[object]:
    assert batch is not None
    return [msgspec.json.decode(one.text) for one in batch.messages]


async def test_a_full_buffer_gives_up_its_oldest_events_and_says_so() -> None:
    client = Client(KEY, Filters(), Position(4, 0), max_bytes=350)
    client.begin_behind(Position(4, 0))
    for place in range(0, 12, 2):
        client.push(batch(place, place + 1))
    assert words(await client.take()) == [{"type": "dropped", "count": 10, "resume_after": "4-0"}]
    assert words(await client.take()) == [10, 11]
    client.push(batch(12, size=1000))
    assert words(await client.take()) == [12]
    assert client.dropped_event_count == 10


async def test_a_client_gets_nothing_of_what_it_has_had() -> None:
    client = Client(KEY, Filters(), Position(4, 0), max_bytes=10_000)
    client.begin_behind(Position(5, 0, 2))
    client.push(batch(0, 1))
    client.push(batch(2, 3))
    client.push(batch(4))
    assert [words(await client.take()) for _ in range(2)] == [[3], [4]]


async def test_a_client_that_is_ended_gets_the_last_word_and_no_more() -> None:
    client = Client(KEY, Filters(), Position(4, 0), max_bytes=10_000)
    waiting = asyncio.create_task(client.take())
    await asyncio.sleep(0)
    client.push(batch(1))
    assert words(await waiting) == [1]
    client.push(batch(2))
    client.end(messages.end({"status": 401}))
    client.end()
    client.push(batch(3))
    assert words(await client.take()) == [{"type": "end", "problem": {"status": 401}}]
    assert await client.take() is None


async def test_a_reader_that_fails_sends_its_clients_away_and_starts_anew() -> None:
    def fail(*_: object) -> messages.Estimate:
        raise ZeroDivisionError

    class Follower(StreamFollower):
        """A stream of one entry."""

        async def read_after(self, *_: object) -> list[RawEntry]:
            return [entry(project_id=str(KEY.project_id), events=f"[{GOOD}]")]

    reader = ShardReader(Follower(None, 0), fail, lambda: None)  # type: ignore[arg-type]
    for _ in range(2):
        client = Client(KEY, Filters(), Position(4, 0), max_bytes=10_000)
        reader.hold(client.position)
        reader.attach(client)
        async with asyncio.timeout(5):
            assert await client.take() is None
        reader.detach(client)
        reader.release()
    assert client.is_ended


def test_batches_are_split_where_they_are_large() -> None:
    many = [Message(Position(5, 0, place), b"x" * 100_000) for place in range(7)]
    parts = split(many)
    assert [one.event_count for one in parts] == [3, 3, 1]
    assert all(one.byte_count < MAX_BATCH_BYTES + 100_000 for one in parts)
    assert split([]) == []


def entry(**fields: str) -> RawEntry:
    good = {
        "tenant_id": str(UUID(int=1)), "project_id": str(UUID(int=2)), "api_key_id": "",
        "received_at": datetime.now(UTC).isoformat(), "events": "[]",
    }  # fmt: skip
    return RawEntry("5-0", {k.encode(): v.encode() for k, v in (good | fields).items()})


GOOD = (
    f'{{"event_id": "{UUID(int=3)}", "provider_name": "a", "started_at": "2026-11-22T10:00:00Z"}}'
)


@pytest.mark.parametrize(
    "fields",
    [{"tenant_id": "x"}, {"project_id": ""}, {"received_at": "now"}, {"events": "{"},
     {"events": "[" * 5000}, {"events": "7"}],
)  # fmt: skip
def test_an_entry_that_is_no_good_is_left_out(fields: dict[str, str]) -> None:
    assert read_entry(entry(**fields)) is None
    assert read_entry(RawEntry("5-0", {})) is None


def test_an_event_that_is_no_good_costs_its_neighbours_nothing() -> None:
    found = read_entry(entry(events=f'[{GOOD}, {{"provider_name": 7}}, {GOOD}]'))
    assert found is not None
    assert [str(one.position) for one in found.events] == ["5-0-0", "5-0-2"]
