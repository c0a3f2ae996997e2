"""Every process killed while real traffic arrives: nothing is lost, nothing doubled.

The long form, with more kills and named disasters, is `make kill-test`.
"""

import asyncio
from datetime import UTC, datetime, timedelta
from random import Random
from time import monotonic

import psycopg
import pytest

from deploy.local.environment import without_driver
from tests.kills.batches import BATCH_EVENTS
from tests.kills.disturbances import VICTIMS, Disturber
from tests.kills.experiment import run_experiment
from tests.kills.oracle import find_wrong_tokens, read_rows
from tests.running import RunningPlatform, wait_until
from tests.traffic import TRACE_CALLS, Traffic, corpus, read_call_sizes

# The trace in 20 s, so that the loader dies with entries half done.
EVENTS_PER_SECOND = 1_000
GAPS_SECONDS = (2.0, 5.0)
# Builds start at most once a minute, and a build takes 8 s at least: one that has just started is
# still at work when it is killed.
BUILD_SECONDS = 300.0
JUST_STARTED = """
select run_id from runs where pipeline_name = 'build_marts_job' and status = 'STARTED'
and start_time > extract(epoch from now()) - 3
"""


@pytest.mark.timeout(1800)
def test_the_trace_survives_a_kill_of_each_process(platform: RunningPlatform) -> None:
    begin = datetime.now(UTC) - timedelta(hours=20)
    traffic = Traffic(0x7ACE, read_call_sizes(corpus()), begin, EVENTS_PER_SECOND)
    disturber = Disturber(platform, Random(1))
    killed_builds: list[str] = []
    outcome = run_experiment(
        platform,
        traffic,
        disturber,
        kill_everything(disturber, killed_builds),
        least_batches=-(-TRACE_CALLS // BATCH_EVENTS),
    )
    assert outcome.verdict.problems == []
    assert set(disturber.kills) == set(VICTIMS)
    assert outcome.tally.retries > 0, "the kills went unnoticed: they test nothing"
    assert outcome.tally.rejected > 0
    assert outcome.verdict.letters > 0
    # Dagster's run monitoring closes the dead build, and the sensor asks for the next one.
    wait_until(
        lambda: status_of(platform, killed_builds[0]) == "FAILURE", "the dead build failed", 240, 1
    )
    expected = outcome.verdict.rows
    wait_until(lambda: call_count(platform, traffic) == expected, "the marts catch up", 600, 1)
    calls = read_rows(platform, "marts.fct_llm_calls", traffic)
    assert len(calls) == expected
    assert find_wrong_tokens(calls, traffic) == set()


async def kill_everything(disturber: Disturber, killed_builds: list[str]) -> None:
    """The code server while it builds the marts, then the others."""
    killed_builds.append(await next_build(disturber.platform))
    await disturber.kill("code_server")
    others = [name for name in VICTIMS if name != "code_server"]
    await disturber.kill_at_random(len(others), GAPS_SECONDS, others)


async def next_build(platform: RunningPlatform) -> str:
    """The id of a build that has just started; the events that arrive cause it."""
    deadline = monotonic() + BUILD_SECONDS
    while monotonic() < deadline:
        if found := query_dagster(platform, JUST_STARTED):
            return found
        await asyncio.sleep(0.2)
    raise AssertionError(f"no build started within {BUILD_SECONDS:g} s")


def status_of(platform: RunningPlatform, run_id: str) -> str | None:
    """What Dagster says of a run."""
    return query_dagster(platform, "select status from runs where run_id = %s", run_id)


def query_dagster(platform: RunningPlatform, statement: str, *parameters: str) -> str | None:
    """The first value, None without a row."""
    url = without_driver(platform.environment["DAGSTER_DATABASE_URL"])
    with psycopg.connect(url) as connection:
        row = connection.execute(statement, parameters).fetchone()
    return None if row is None else str(row[0])


def call_count(platform: RunningPlatform, traffic: Traffic) -> int:
    """Calls of this traffic in the marts; 0 while the first build has not made them."""
    if platform.query("select to_regclass('marts.fct_llm_calls')") == [(None,)]:
        return 0
    ((count,),) = platform.query(
        "select count(*) from marts.fct_llm_calls where tags ->> 'run' = %s", traffic.name
    )
    return int(count)
