"""Limits: events per second of a key (with a burst), events per UTC day of a project.

The rate is GCRA (the generic cell rate algorithm of ATM, ITU-T I.371): Redis holds for each key the
time at which all that was granted will have been earned, and grants while it lies no further ahead
than the burst takes to earn. All API processes share it.

With `appendfsync always` each change in Redis waits for the disk, so a process does not ask for
every request. It takes a lease: as many events as requests wait for, at most twice what the lease
before served, at most `LEASE_SECONDS` worth of the rate, never more than are left. What a lease
leaves unused lapses after `LEASE_LIFE_SECONDS`. The trade:

- Never too much: what a lease holds was taken from the shared budget before it is spent. In any t
  seconds a key sends at most burst + rate x (t + 1) events, in the long run exactly its rate.
- Sometimes too little: what lapses is lost to the rate, at most what the last lease served. Of the
  quota it is handed back with the next question; a process that ends keeps its last lease from the
  project, at most `QUOTA_LEASE_RATIO` of the quota or `LEASE_SECONDS` worth of the rate.

An event counts once it was found valid. One that Redis then fails to store is handed back.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from math import ceil
from time import monotonic
from typing import Any, Final, NamedTuple
from uuid import UUID

import msgspec

from ingest_api.auth import ApiKey
from ingest_api.errors import BodyTooLargeError, Problem, QuotaExceededError, RateLimitedError
from ingest_api.stream import REDIS_ERRORS, AsyncClient, StreamError

# 20 questions a second for a busy key cost each process 1 % of its time.
LEASE_SECONDS: Final = 0.05
LEASE_LIFE_SECONDS: Final = 1.0
DAY_SECONDS: Final = 86_400
# For projects whose keys have a quota and no rate.
QUOTA_LEASE_RATIO: Final = 1 / 10_000
# A refusal is not asked again for so long, unless it ends before. It lasts `LEASE_SECONDS` or more,
# so that a flood costs 60 questions a second and not one for each event that is earned.
REFUSAL_LIFE_SECONDS: Final = 1.0

# Times are in microseconds. Answers: events granted, events of the burst left, time until the burst
# is whole again, time until the events needed are there (0 where the rate did not refuse them),
# events of the quota left, its day, time until that day ends.
_TAKE: Final = """
local rate, burst, quota = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local needed, wanted = tonumber(ARGV[4]), tonumber(ARGV[5])
local returned, returned_day = tonumber(ARGV[6]), tonumber(ARGV[7])
local now = tonumber(ARGV[8])
if not now then
    local time = redis.call('TIME')
    now = time[1] * 1000000 + time[2]
end
local granted, left, full_in, wait = wanted, 0, 0, 0
local earned_at, per_event = now, 0
if rate > 0 then
    per_event = 1000000 / rate
    earned_at = math.max(now, tonumber(redis.call('GET', KEYS[1]) or 0))
    left = math.floor(burst - (earned_at - now) / per_event)
    granted = math.min(granted, left)
    if left < needed then
        wait = math.ceil((needed - burst) * per_event + earned_at - now)
    end
end
local day_length = 86400000000
local day, quota_left = math.floor(now / day_length), 0
if quota > 0 then
    local seen = redis.call('HMGET', KEYS[2], 'day', 'used')
    local used = tonumber(seen[1]) == day and tonumber(seen[2]) or 0
    if returned_day == day then used = math.max(0, used - returned) end
    quota_left = math.max(0, quota - used)
    granted = math.min(granted, quota_left)
    if granted < needed then granted = 0 end
    if granted > 0 or (returned > 0 and returned_day == day) then
        quota_left = quota_left - granted
        redis.call('HSET', KEYS[2], 'day', day, 'used', string.format('%.0f', used + granted))
        redis.call('EXPIRE', KEYS[2], 172800)
    end
end
if granted < needed then granted = 0 end
if rate > 0 then
    if granted > 0 then
        earned_at = math.ceil(earned_at + granted * per_event)
        local life = math.ceil((earned_at - now) / 1000) + 1000
        redis.call('SET', KEYS[1], string.format('%.0f', earned_at), 'PX', life)
    end
    left = left - granted
    full_in = earned_at - now
end
return {granted, math.max(0, left), full_in, wait, quota_left, day, (day + 1) * day_length - now}
"""


class Standing(msgspec.Struct, frozen=True):
    """What is left of the limit that is nearest to its end.

    Attributes:
        limit: Events of a burst, or of a day.
        remaining: Events that could be sent now.
        reset_seconds: Seconds until all of `limit` is there again.
    """

    limit: int
    remaining: int
    reset_seconds: int

    def headers(self) -> dict[str, str]:
        """The headers that tell it to the client."""
        lines = self.lines().decode().splitlines()
        return {name: value for name, _, value in (line.partition(": ") for line in lines)}

    def lines(self) -> bytes:
        """The headers as HTTP/1.1 has them, a line each."""
        return b"ratelimit-limit: %d\r\nratelimit-remaining: %d\r\nratelimit-reset: %d\r\n" % (
            self.limit,
            self.remaining,
            self.reset_seconds,
        )


class _Budget(NamedTuple):
    """What Redis said last: the shared budgets of a key, in events and seconds."""

    burst_left: int = 0
    full_in_seconds: float = 0.0
    quota_left: int = 0
    day: int = 0
    day_ends_in_seconds: float = 0.0


NOTHING_KNOWN: Final = _Budget()


class _Refusal(NamedTuple):
    """Until when so many events or more are refused, and by which limit."""

    event_count: int
    until: float
    is_quota: bool


@dataclass
class _Lease:
    """What one process may spend for one key."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    waiting: int = 0
    left: int = 0
    served: int = 0
    asked_at: float = float("-inf")
    budget: _Budget = NOTHING_KNOWN
    is_quota_nearest: bool = False
    refusal: _Refusal | None = None


class Limiter:
    """Takes events from the budgets of limited keys; one for each process.

    Args:
        clock: Seconds that never go back, for the life of leases.
        time: Microseconds since 1970 as all processes see them; Redis' own where None.
    """

    def __init__(
        self,
        client: AsyncClient,
        clock: Callable[[], float] = monotonic,
        time: Callable[[], int] | None = None,
    ) -> None:
        self.client = client
        self.clock = clock
        self.time = time
        self._leases: dict[UUID, _Lease] = {}

    async def take(self, key: ApiKey, event_count: int) -> Standing:
        """Spend `event_count` events of `key`, which must have a limit.

        Raises:
            BodyTooLargeError: they are more than could ever pass at once.
            RateLimitedError: the key sends too fast.
            QuotaExceededError: the project has had its events of the day.
            StreamError: Redis did not answer; nothing was spent.
        """
        lease = self._leases.get(key.api_key_id)
        if lease is None:
            lease = self._leases[key.api_key_id] = _Lease()
        if not self._covers(lease, event_count, self.clock()):
            _check_possible(key, event_count)
            await self._renew(lease, key, event_count)
        return self._spend(lease, key, event_count, self.clock())

    def take_leased(self, key: ApiKey, event_count: int) -> Standing | None:
        """As `take`, where Redis need not be asked; else None, and nothing was spent."""
        lease = self._leases.get(key.api_key_id)
        now = self.clock()
        if lease is None or not self._covers(lease, event_count, now):
            return None
        return self._spend(lease, key, event_count, now)

    def give_back(self, key: ApiKey, event_count: int) -> None:
        """Undo a `take` whose events were not stored."""
        if lease := self._leases.get(key.api_key_id):
            lease.left += event_count
            lease.served -= event_count

    def _spend(self, lease: _Lease, key: ApiKey, event_count: int, now: float) -> Standing:
        lease.left -= event_count
        lease.served += event_count
        return self._standing(lease, key, now)

    def _covers(self, lease: _Lease, event_count: int, now: float) -> bool:
        return lease.left >= event_count and self._is_alive(lease, now)

    def _is_alive(self, lease: _Lease, now: float) -> bool:
        return now - lease.asked_at < LEASE_LIFE_SECONDS

    async def _renew(self, lease: _Lease, key: ApiKey, event_count: int) -> None:
        """A lease of at least `event_count`; requests that wait for it share it."""
        lease.waiting += event_count
        try:
            async with lease.lock:
                if self._covers(lease, event_count, self.clock()):
                    return
                if (refusal := self._standing_refusal(lease, event_count)) is None:
                    refusal = await self._ask(lease, key, event_count)
                if refusal is not None:
                    raise self._problem(lease, key, refusal)
        finally:
            lease.waiting -= event_count

    def _standing_refusal(self, lease: _Lease, event_count: int) -> _Refusal | None:
        refusal = lease.refusal
        if refusal is None or event_count < refusal.event_count:
            return None
        is_over = self.clock() >= min(refusal.until, lease.asked_at + REFUSAL_LIFE_SECONDS)
        return None if is_over else refusal

    async def _ask(self, lease: _Lease, key: ApiKey, event_count: int) -> _Refusal | None:
        largest = _largest_lease(key)
        # After a refusal all that has been earned is wanted.
        wanted = largest if lease.refusal else min(max(lease.waiting, 2 * lease.served), largest)
        kept, lapsed = (lease.left, 0) if self._is_alive(lease, self.clock()) else (0, lease.left)
        # Nobody else may spend what this question builds on, and nothing is handed back twice.
        lease.left = 0
        try:
            granted, wait_seconds, lease.budget = await self._take_from_redis(
                key, event_count - kept, max(wanted, event_count) - kept, lapsed, lease.budget.day
            )
        finally:
            lease.left += kept
        lease.left += granted
        lease.served, lease.asked_at = 0, self.clock()
        lease.is_quota_nearest = _is_quota_nearest(key, lease)
        lease.refusal = None
        if not granted:
            is_quota = not wait_seconds
            wait = lease.budget.day_ends_in_seconds if is_quota else wait_seconds
            until = lease.asked_at + max(wait, _shortest_refusal(key))
            lease.refusal = _Refusal(event_count, until, is_quota)
        return lease.refusal

    async def _take_from_redis(
        self, key: ApiKey, needed: int, wanted: int, lapsed: int, lapsed_day: int
    ) -> tuple[int, float, _Budget]:
        # The braces put the keys of a project into one slot of Redis Cluster.
        tag = f"llmscope:{{limits:{key.project_id}}}"
        now = "" if self.time is None else str(self.time())
        try:
            answer: Any = await self.client.eval(
                _TAKE, 2, f"{tag}:rate:{key.api_key_id}", f"{tag}:day",
                key.max_events_per_second or 0, key.burst_events, key.max_events_per_day or 0,
                needed, wanted, lapsed, lapsed_day, now,
            )  # fmt: skip
        except REDIS_ERRORS as error:
            raise StreamError(type(error).__name__) from error
        granted, burst_left, full_in, wait, quota_left, day, day_ends_in = answer
        budget = _Budget(burst_left, full_in / 1e6, quota_left, day, day_ends_in / 1e6)
        return granted, wait / 1e6, budget

    def _standing(self, lease: _Lease, key: ApiKey, now: float) -> Standing:
        """An estimate: what other processes took since the last question is not in it."""
        elapsed, budget = now - lease.asked_at, lease.budget
        if lease.is_quota_nearest:
            limit, ends_in = key.max_events_per_day or 0, budget.day_ends_in_seconds
            remaining = lease.left + budget.quota_left
        else:
            limit, ends_in = key.burst_events, budget.full_in_seconds
            earned = int(elapsed * (key.max_events_per_second or 0))
            remaining = min(limit, lease.left + budget.burst_left + earned)
        return Standing(limit, remaining, ceil(max(0.0, ends_in - elapsed)))

    def _problem(self, lease: _Lease, key: ApiKey, refusal: _Refusal) -> Problem:
        now = self.clock()
        wait_seconds = max(1, ceil(refusal.until - now))
        headers = {"retry-after": str(wait_seconds), **self._standing(lease, key, now).headers()}
        if refusal.is_quota:
            return QuotaExceededError(
                f"The project may send {key.max_events_per_day} events per UTC day: send again "
                "after `Retry-After` seconds, or ask for a higher quota.",
                headers=headers,
            )
        return RateLimitedError(
            f"The key may send {key.max_events_per_second} events per second, {key.burst_events} "
            "at once: send again after `Retry-After` seconds.",
            headers=headers,
        )


def _is_quota_nearest(key: ApiKey, lease: _Lease) -> bool:
    if key.max_events_per_day is None or key.max_events_per_second is None:
        return key.max_events_per_second is None
    return lease.budget.quota_left < lease.budget.burst_left


def _check_possible(key: ApiKey, event_count: int) -> None:
    for limit, words in (
        (key.burst_events, "the key may send at once"),
        (key.max_events_per_day, "its project may send per day"),
    ):
        if limit and event_count > limit:
            raise BodyTooLargeError(
                f"The request has {event_count} events and {words} {limit}: send smaller requests."
            )


def _shortest_refusal(key: ApiKey) -> float:
    """Seconds: while they pass no more may be earned than the burst holds."""
    if not key.max_events_per_second:
        return 0.0
    return min(LEASE_SECONDS, key.burst_events / key.max_events_per_second / 2)


def _largest_lease(key: ApiKey) -> int:
    if key.max_events_per_second:
        return int(key.max_events_per_second * LEASE_SECONDS)
    return int((key.max_events_per_day or 0) * QUOTA_LEASE_RATIO)
