"""Whatever consumers and groups do in whatever order, nothing that one of them needs is trimmed."""

import random
from dataclasses import dataclass, field

import pytest
import redis

from ingest_api.stream import (
    COUNTERS,
    GROUP,
    NOTHING_KEPT,
    STREAM,
    EventStreamReader,
    RawEntry,
    Retention,
)
from ingest_api.stream_layout import ENTRY_OVERHEAD_BYTES
from tests.running import wait_until

FEED = "feed"
CONSUMERS = ("one", "two", "three")


@dataclass
class World:
    """A stream with several consumers and a second group, and what must be true of it."""

    client: redis.Redis
    chance: random.Random
    appended: list[str] = field(default_factory=list)
    settled: dict[str, set[str]] = field(default_factory=lambda: {GROUP: set(), FEED: set()})
    held: dict[str, list[RawEntry]] = field(default_factory=lambda: {c: [] for c in CONSUMERS})
    has_feed: bool = False
    retention: Retention = NOTHING_KEPT

    def reader(self, consumer: str) -> EventStreamReader:
        return EventStreamReader(self.client, consumer, retention=self.retention)

    def append(self) -> None:
        for _ in range(self.chance.randint(1, 3)):
            entry_id = self.client.xadd(STREAM, {"event_count": "1", "events": "[1]"})
            self.appended.append(entry_id.decode())

    def read(self) -> None:
        consumer = self.chance.choice(CONSUMERS)
        self.held[consumer] += self.reader(consumer).read_new(self.chance.randint(1, 4), 0)

    def settle_some(self) -> None:
        """Acknowledge out of order; some entries may be held by another consumer by now."""
        consumer = self.chance.choice(CONSUMERS)
        held = self.held[consumer]
        if chosen := self.chance.sample(held, self.chance.randint(0, len(held))):
            self.reader(consumer).acknowledge(chosen)
            self.settled[GROUP] |= {entry.entry_id for entry in chosen}
            self.held[consumer] = [entry for entry in held if entry not in chosen]

    def claim(self) -> None:
        consumer = self.chance.choice(CONSUMERS)
        self.held[consumer] += self.reader(consumer).claim_abandoned(3, 0)

    def leave(self) -> None:
        self.reader(self.chance.choice(CONSUMERS)).leave()

    def start_feed(self) -> None:
        """A group that begins with what there is."""
        if not self.has_feed:
            self.client.xgroup_create(STREAM, FEED, id="0")
            self.settled[FEED] = set(self.appended) - set(self.present())
            self.has_feed = True

    def read_feed(self) -> None:
        if self.has_feed:
            answer = self.client.xreadgroup(FEED, "feed", {STREAM: ">"}, count=2)
            found = [entry_id for _, entries in answer or [] for entry_id, _ in entries]
            settled = found if self.chance.random() < 0.8 else found[1:]
            if settled:
                self.client.xack(STREAM, FEED, *settled)
                self.settled[FEED] |= {entry_id.decode() for entry_id in settled}

    def present(self) -> list[str]:
        return [entry_id.decode() for entry_id, _ in self.client.xrange(STREAM)]

    def needed(self) -> set[str]:
        groups = [GROUP, FEED] if self.has_feed else [GROUP]
        return {one for group in groups for one in self.appended if one not in self.settled[group]}


ALL = Retention(3600, 2**40)
SOME = Retention(3600, 2000)


@pytest.mark.parametrize(
    ("seed", "retention"),
    [(seed, (NOTHING_KEPT, SOME, ALL)[seed % 3]) for seed in range(30)],
)
def test_what_a_group_needs_stays_and_the_rest_goes(
    redis_url: str, seed: int, retention: Retention
) -> None:
    with redis.Redis.from_url(redis_url) as client:
        world = World(client, random.Random(seed), retention=retention)  # noqa: S311
        world.reader("one").open()
        steps = [world.append, world.read, world.settle_some, world.settle_some, world.claim,
                 world.leave, world.read_feed, world.read_feed]  # fmt: skip
        for number in range(60):
            if number == seed:
                world.start_feed()
            world.chance.choice(steps)()
            missing = world.needed() - set(world.present())
            assert not missing
            unsettled = [one for one in world.appended if one not in world.settled[GROUP]]
            assert world.reader("one").stats().lag_entry_count == len(unsettled)
        finish(world)
        present = world.present()
        if retention == ALL:
            assert present == world.appended
        else:
            assert present == world.appended[len(world.appended) - len(present) :]
            assert len(present) * ENTRY_OVERHEAD_BYTES <= retention.max_bytes
        assert world.settled[GROUP] == set(world.appended)
        assert int(client.hget(COUNTERS, "kept_entries") or 0) == len(present)


def test_what_was_kept_long_enough_goes_although_nothing_arrives(redis_url: str) -> None:
    with redis.Redis.from_url(redis_url) as client:
        reader = EventStreamReader(client, "one", retention=Retention(0.5, 2**40))
        reader.open()
        client.xadd(STREAM, {"event_count": "1", "events": "[1]"})
        reader.acknowledge(reader.read_new(10, 1))
        stats = reader.stats()
        assert (stats.entry_count, stats.lag_entry_count) == (1, 0)

        def is_gone() -> bool:
            reader.open()
            return client.xlen(STREAM) == 0

        wait_until(is_gone, "the entry is given up", 10)


@pytest.mark.parametrize("held", [0, 1])
def test_a_group_that_got_lost_does_not_read_again_what_it_settled(
    redis_url: str, held: int
) -> None:
    with redis.Redis.from_url(redis_url) as client:
        reader = EventStreamReader(client, "one", retention=ALL)
        reader.open()
        ids = [client.xadd(STREAM, {"event_count": "1", "events": "[1]"}) for _ in range(4)]
        entries = reader.read_new(4 - held, 0)
        reader.acknowledge(entries[: 3 - held])
        client.xgroup_destroy(STREAM, GROUP)
        assert reader.stats().lag_entry_count == 1 + held
        reader.open()
        left = reader.read_new(10, 0)
        assert [entry.entry_id.encode() for entry in left] == ids[3 - held :]
        reader.acknowledge(left)
        assert reader.stats().lag_entry_count == 0
        assert client.xlen(STREAM) == 4


def test_retention_may_be_switched_off(redis_url: str) -> None:
    with redis.Redis.from_url(redis_url) as client:
        reader = EventStreamReader(client, "one", retention=ALL)
        reader.open()
        client.xadd(STREAM, {"event_count": "1", "events": "[1]"})
        reader.acknowledge(reader.read_new(10, 1))
        assert client.xlen(STREAM) == 1
        EventStreamReader(client, "one").open()
        assert client.xlen(STREAM) == 0


def finish(world: World) -> None:
    """Everybody reads and settles all that is left; the loader last, for it is who trims."""
    reader = world.reader("one")
    if world.has_feed:
        world.client.xreadgroup(FEED, "feed", {STREAM: ">"})
        for entry_id in world.present():
            world.client.xack(STREAM, FEED, entry_id)
    world.append()
    if world.has_feed:
        answer = world.client.xreadgroup(FEED, "feed", {STREAM: ">"})
        for entry_id, _ in answer[0][1]:
            world.client.xack(STREAM, FEED, entry_id)
    left = reader.claim_abandoned(1000, 0) + reader.read_new(1000, 0)
    reader.acknowledge(left)
    world.settled[GROUP] |= {entry.entry_id for entry in left}
