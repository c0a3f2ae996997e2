"""What is done to a running platform while events arrive."""

import asyncio
import itertools
import signal
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from random import Random
from time import monotonic
from typing import Final

from tests.kills.disks import Disk
from tests.running import RunningPlatform

# The code server runs the loader.
VICTIMS: Final = ("api", "code_server", "redis", "postgres")


@dataclass
class Disturber:
    """Disturbs one platform and keeps count.

    Attributes:
        kills: Processes that were there when they were killed, by name.
    """

    platform: RunningPlatform
    rng: Random
    kills: Counter[str] = field(default_factory=Counter)
    _begin: float = field(default_factory=monotonic)

    async def kill_at_random(
        self, count: int, gaps: tuple[float, float], victims: Sequence[str] = VICTIMS
    ) -> None:
        """`count` kills, all victims equally often, at random moments."""
        for victim in itertools.islice(self._shuffled_forever(victims), count):
            await asyncio.sleep(self.rng.uniform(*gaps))
            await self.kill(victim)

    async def kill(self, victim: str) -> None:
        """One kill, as soon as the victim is there."""
        while not self.platform.kill(victim):
            await asyncio.sleep(self.rng.uniform(0.1, 1.0))
        self.kills[victim] += 1
        self.say(f"killed {victim}")

    async def calm(self, seconds: float) -> None:
        """Nothing happens."""
        await asyncio.sleep(seconds)

    async def restart_redis(self) -> None:
        """Stop Redis as an operator would; its supervisor starts it again."""
        while not self.platform.kill("redis", signal.SIGTERM):
            await asyncio.sleep(0.2)
        self.say("restarted redis gracefully")

    async def hold_postgres_down(self, seconds: float) -> None:
        """Postgres is killed and stays away."""
        while self.platform.pid("postgres") is None:
            await asyncio.sleep(0.2)
        with self.platform.hold_down("postgres"):
            self.say(f"postgres is down for {seconds:g} s")
            await asyncio.sleep(seconds)
        self.say("postgres may start again")

    async def fill_disk(self, disk: Disk, seconds: float) -> None:
        """Redis cannot write for so long, then there is space again."""
        while self.platform.pid("redis") is None:
            await asyncio.sleep(0.2)
        await asyncio.to_thread(disk.fill, self.platform)
        self.say(f"the disk of redis is full for {seconds:g} s: {disk.kind}")
        await asyncio.sleep(seconds)
        disk.empty(self.platform)
        self.say("there is space again")

    def say(self, text: str) -> None:
        """A line with the seconds since the start."""
        print(f"{monotonic() - self._begin:6.1f} s  {text}", flush=True)

    def _shuffled_forever(self, names: Sequence[str]) -> Iterator[str]:
        while True:
            yield from self.rng.sample(names, len(names))
