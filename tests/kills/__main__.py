"""`make kill-test`: processes are killed, disks fill and databases vanish under 5,000 events/s."""

import argparse
import secrets
import shutil
import sys
import tempfile
from collections.abc import Callable, Coroutine, Iterator
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Final, NamedTuple

from tests.kills.disks import Disk, redis_disk
from tests.kills.disturbances import VICTIMS, Disturber
from tests.kills.experiment import Outcome, run_experiment
from tests.kills.table import table
from tests.running import RunningPlatform, run_platform
from tests.traffic import CallSizes, Traffic, corpus, read_call_sizes

PROCESSES: Final = ("postgres", "redis", "api", "code_server", "daemon")
EVENTS_PER_SECOND: Final = 5_000
KILLS: Final = 20
# Between two kills, so that the moments lie anywhere in the start and the work of a process.
GAPS_SECONDS: Final = (3.0, 9.0)
CALM_SECONDS: Final = 10.0
POSTGRES_DOWN_SECONDS: Final = 60.0
DISK_FULL_SECONDS: Final = 20.0

Disturbance = Callable[[Disturber], Coroutine[None, None, None]]


class Finding(NamedTuple):
    """The outcome of one experiment, by its name."""

    name: str
    outcome: Outcome


class Laboratory(NamedTuple):
    """What all experiments share."""

    seed: int
    sizes: CallSizes
    events_per_second: int

    def run(self, name: str, platform: RunningPlatform, disturbance: Disturbance) -> Finding:
        """One experiment."""
        print(f"\n{name}", flush=True)
        rng = Random(f"{self.seed}/{name}")
        traffic = Traffic(
            rng.getrandbits(48), self.sizes, datetime.now(UTC), self.events_per_second
        )
        disturber = Disturber(platform, rng)
        return Finding(
            name,
            run_experiment(platform, traffic, disturber, disturbance(disturber), least_batches=1),
        )


async def restart_and_hold_down(disturber: Disturber) -> None:
    """Redis is restarted, then Postgres is away for a minute."""
    await disturber.calm(CALM_SECONDS)
    await disturber.restart_redis()
    await disturber.calm(CALM_SECONDS)
    await disturber.hold_postgres_down(POSTGRES_DOWN_SECONDS)
    await disturber.calm(CALM_SECONDS)


def filling(disk: Disk) -> Disturbance:
    """Redis's disk is full for a while."""

    async def fill(disturber: Disturber) -> None:
        await disturber.calm(CALM_SECONDS)
        await disturber.fill_disk(disk, DISK_FULL_SECONDS)
        await disturber.calm(CALM_SECONDS)

    return fill


def run_all(home: Path, laboratory: Laboratory, kills: int) -> Iterator[Finding]:
    """All experiments, on two platforms."""
    with run_platform(home / "disk", only=PROCESSES) as platform:
        yield laboratory.run(
            "random kills",
            platform,
            lambda disturber: disturber.kill_at_random(kills, GAPS_SECONDS),
        )
        yield laboratory.run(
            "Redis restarted, Postgres down for 60 s", platform, restart_and_hold_down
        )
    small = home / "small_disk"
    with redis_disk(small) as disk, run_platform(small, only=PROCESSES) as platform:
        yield laboratory.run("Redis's disk full for 20 s", platform, filling(disk))


def find_problems(findings: list[Finding], kills: int) -> list[str]:
    """Broken promises, and experiments that tested nothing."""
    problems = [f"{f.name}: {problem}" for f in findings for problem in f.outcome.verdict.problems]
    for name, outcome in findings:
        if not outcome.tally.retries:
            problems.append(f"{name}: no sender noticed anything")
        if not outcome.verdict.letters or not outcome.tally.rejected:
            problems.append(f"{name}: there was no poison")
    if sum(findings[0].outcome.disturber.kills.values()) < kills:
        problems.append(f"fewer than {kills} kills")
    if not findings[-1].outcome.tally.answers["503"]:
        problems.append("the API never answered 503 while the disk was full")
    return problems


def parse_arguments(arguments: list[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.kills", description=__doc__)
    parser.add_argument("--seed", type=int, default=secrets.randbits(32), help="of all randomness")
    parser.add_argument("--kills", type=int, default=KILLS, help=f"at random, of {VICTIMS}")
    parser.add_argument("--events-per-second", type=int, default=EVENTS_PER_SECOND)
    return parser.parse_args(arguments)


def main(arguments: list[str]) -> int:
    """Run all experiments; 1 if a promise was broken."""
    options = parse_arguments(arguments)
    sizes = read_call_sizes(corpus())
    print(
        f"seed {options.seed}, {options.events_per_second} events/s, token counts: {sizes.origin}"
    )
    home = Path(tempfile.mkdtemp(prefix="llmscope-kills-"))
    laboratory = Laboratory(options.seed, sizes, options.events_per_second)
    findings = list(run_all(home, laboratory, options.kills))
    print("\n" + table(dict(findings)))
    if problems := find_problems(findings, options.kills):
        print("\n".join(["", *problems, f"The platforms' folders are kept in {home}"]))
        return 1
    print("\nEvery acknowledged event is exactly one row; every poison event was set aside.")
    shutil.rmtree(home)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
