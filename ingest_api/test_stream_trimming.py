"""Whatever consumers and groups do in whatever order, nothing that one of them needs is trimmed."""

import random
from dataclasses import dataclass, field

import pytest
import redis

from ingest_api.stream import GROUP, STREAM, EventStreamReader, RawEntry

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

    def reader(self, consumer: str) -> EventStreamReader:
        return EventStreamReader(self.client, consumer)

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


@pytest.mark.parametrize("seed", range(25))
def test_what_a_group_needs_stays_and_the_rest_goes(redis_url: str, seed: int) -> None:
    with redis.Redis.from_url(redis_url) as client:
        world = World(client, random.Random(seed))  # noqa: S311
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
        assert world.present() == []
        assert world.settled[GROUP] == set(world.appended)


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
