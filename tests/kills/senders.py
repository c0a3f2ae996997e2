"""Senders that offer batches at a fixed rate and repeat each until it is acknowledged."""

import asyncio
import itertools
from collections.abc import Coroutine
from random import Random
from time import monotonic
from typing import Any, Final, NamedTuple

import httpx

from tests.kills.batches import BATCH_EVENTS, Batch, make_batch
from tests.kills.tally import Tally
from tests.traffic import Traffic

BATCH_PATH: Final = "/api/v1/events/ingest/batch"
SENDERS: Final = 16
# As SDKs do: a request may take this long, waits double from the first to the longest.
TIMEOUT_SECONDS: Final = 10.0
FIRST_WAIT_SECONDS, LONGEST_WAIT_SECONDS = 0.5, 8.0
RETRYABLE: Final = frozenset({408, 429, 500, 502, 503, 504})
# After the last disturbance every process is back within its supervisor's longest wait, 30 s.
CATCH_UP_SECONDS: Final = 600.0


class Answer(NamedTuple):
    """One attempt.

    Attributes:
        kind: The status, or the kind of the failed connection.
        content: The decoded answer of a 202.
    """

    kind: str
    is_retryable: bool = False
    retry_after_seconds: float = 0.0
    content: Any = None


def read_answer(response: httpx.Response) -> Answer:
    """An answer of the batch route, without raising."""
    status = response.status_code
    if status == 202:
        return Answer("202", content=response.json())
    retry_after = response.headers.get("retry-after", "")
    seconds = float(retry_after) if retry_after.isdecimal() else 0.0
    return Answer(str(status), status in RETRYABLE, seconds)


def wait_seconds(attempt: int, retry_after_seconds: float, rng: Random) -> float:
    """Exponential backoff with jitter, never shorter than what the server asked for."""
    longest = min(FIRST_WAIT_SECONDS * 2.0 ** (attempt - 1), LONGEST_WAIT_SECONDS)
    return max(retry_after_seconds, longest * rng.uniform(0.5, 1.0))


def find_problem(batch: Batch, answer: Answer) -> str | None:
    """What is wrong with an answer that settles a batch, in words."""
    if answer.content is None:
        return f"answered {answer.kind}, which no sender would repeat"
    if answer.content["accepted"] != batch.accepted:
        return "other events were accepted than the good ones"
    if [(r["index"], r["field"]) for r in answer.content["rejected"]] != batch.rejected:
        return "other events were rejected than the bad one"
    return None


class Senders:
    """A crowd of senders on one platform."""

    def __init__(self, traffic: Traffic, client: httpx.AsyncClient, rng: Random) -> None:
        self.tally = Tally()
        self._traffic = traffic
        self._client = client
        self._rng = rng
        self._due: asyncio.Queue[int] = asyncio.Queue()

    async def offer(self, least_batches: int, disturbance: Coroutine[None, None, None]) -> None:
        """Offer at least that many batches, and more until the disturbance is over.

        Returns once all of them are settled; what is not settled in time is a problem.
        """
        async with asyncio.TaskGroup() as group:
            senders = [group.create_task(self._send_all()) for _ in range(SENDERS)]
            disturbing = group.create_task(disturbance)
            await self._schedule(least_batches, disturbing)
            try:
                await asyncio.wait_for(self._due.join(), CATCH_UP_SECONDS)
            except TimeoutError:
                left = self.tally.offered - len(self.tally.acknowledged)
                self.tally.problems.append(
                    f"{left} batches not acknowledged {CATCH_UP_SECONDS:g} s after the end"
                )
            for sender in senders:
                sender.cancel()

    async def _schedule(self, least_batches: int, disturbing: asyncio.Task[None]) -> None:
        interval = BATCH_EVENTS / self._traffic.events_per_second
        begin = monotonic()
        for batch in itertools.count():
            if batch >= least_batches and disturbing.done():
                return
            await asyncio.sleep(begin + batch * interval - monotonic())
            self.tally.offered += 1
            self._due.put_nowait(batch)

    async def _send_all(self) -> None:
        while True:
            number = await self._due.get()
            await self._send(number, make_batch(self._traffic, number))
            self._due.task_done()

    async def _send(self, number: int, batch: Batch) -> None:
        started = monotonic()
        for attempt in itertools.count(1):
            answer = await self._attempt(batch)
            self.tally.answers[answer.kind] += 1
            if not answer.is_retryable:
                break
            self.tally.retries += 1
            await asyncio.sleep(wait_seconds(attempt, answer.retry_after_seconds, self._rng))
        if problem := find_problem(batch, answer):
            self.tally.problems.append(f"batch {number}: {problem}")
            return
        self.tally.acknowledged.add(number)
        self.tally.rejected += len(batch.rejected)
        outage = monotonic() - started if attempt > 1 else 0.0
        self.tally.longest_outage_seconds = max(self.tally.longest_outage_seconds, outage)

    async def _attempt(self, batch: Batch) -> Answer:
        try:
            return read_answer(await self._client.post(BATCH_PATH, content=batch.body))
        except httpx.TransportError as error:
            return Answer(type(error).__name__, is_retryable=True)
