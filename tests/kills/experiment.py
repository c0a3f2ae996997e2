"""One experiment: events are offered to a platform that is disturbed meanwhile, then judged."""

import asyncio
from collections.abc import Coroutine
from contextlib import suppress
from dataclasses import dataclass
from random import Random
from typing import Final

import httpx

from tests.kills.disturbances import Disturber
from tests.kills.oracle import Verdict, judge, wait_until_drained
from tests.kills.poison import Poisoner
from tests.kills.senders import SENDERS, TIMEOUT_SECONDS, Senders
from tests.kills.tally import Tally
from tests.running import RunningPlatform
from tests.traffic import Traffic

POISON_INTERVAL_SECONDS: Final = 0.5


@dataclass(frozen=True)
class Outcome:
    """What one experiment came to."""

    tally: Tally
    verdict: Verdict
    disturber: Disturber


def run_experiment(
    platform: RunningPlatform,
    traffic: Traffic,
    disturber: Disturber,
    disturbance: Coroutine[None, None, None],
    least_batches: int,
) -> Outcome:
    """Offer at least so many batches while the disturbance lasts, let the loader finish, judge."""
    poisoner = Poisoner(traffic)
    tally = asyncio.run(_offer(platform, traffic, poisoner, disturbance, least_batches))
    disturber.say(f"{len(tally.acknowledged)} of {tally.offered} batches are acknowledged")
    try:
        wait_until_drained(platform)
        disturber.say("the stream is drained")
    except AssertionError as error:
        tally.problems.append(str(error))
    return Outcome(tally, judge(platform, traffic, tally, poisoner), disturber)


async def _offer(
    platform: RunningPlatform,
    traffic: Traffic,
    poisoner: Poisoner,
    disturbance: Coroutine[None, None, None],
    least_batches: int,
) -> Tally:
    headers = {"Authorization": f"Bearer {platform.api_key}", "Content-Type": "application/json"}
    limits = httpx.Limits(max_connections=SENDERS)
    async with httpx.AsyncClient(
        base_url=platform.api_url, headers=headers, timeout=TIMEOUT_SECONDS, limits=limits
    ) as client:
        senders = Senders(traffic, client, Random(traffic.run))
        poisoning = asyncio.create_task(poisoner.run(platform, POISON_INTERVAL_SECONDS))
        await senders.offer(least_batches, disturbance)
        poisoning.cancel()
        with suppress(asyncio.CancelledError):
            await poisoning
    return senders.tally
