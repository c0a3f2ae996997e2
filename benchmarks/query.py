"""`make bench-query`: how long a dashboard waits for the Query API over a long history.

Each question is asked over HTTP of an API process of its own. *Hit*: the answer lies in Redis.
*Known*: the client has it, 304. *Warm*: Redis has forgotten it, PostgreSQL's buffers hold the
pages. *Cold*: Redis, PostgreSQL's buffers and, where the machine permits, the system's page cache
are emptied, and the API has just started, so that its connections are new too.
"""

import argparse
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import perf_counter
from typing import Any, Final

import httpx
import psycopg
import redis

from benchmarks.history.building import BUILD_SECONDS, HOME, extend, open_history
from benchmarks.history.rows import PROJECTS
from benchmarks.ingest.figures import Figure, below, machine, markdown
from benchmarks.query_plans import history_project, write_plans
from deploy.local.environment import ROOT
from ingest_api.analytics.sources import STAMPS
from ingest_api.database.keys import create_key
from orchestration.transforming import run_dbt
from tests.running import RunningPlatform, free_port_base, wait_until

CALLS: Final = 20_000_000
WARM_MS: Final = 50.0
COLD_MS: Final = 100.0
WARM_ROUNDS: Final = 20
COLD_ROUNDS: Final = 3
PLANS: Final = ROOT / "docs" / "query-plans.md"
DROP_CACHES: Final = Path("/proc/sys/vm/drop_caches")
# `bench-marts` crowds further calls into the minutes behind it.
HISTORY_END: Final = "select created_at from app.projects where name = %s"
EVICT: Final = "select count(pg_buffercache_evict(bufferid)) from pg_buffercache"

Parameters = Mapping[str, str | list[str]]


@dataclass(frozen=True)
class View:
    """One question of the dashboard."""

    name: str
    route: str
    days: float
    parameters: Parameters = field(default_factory=dict)

    def query(self, now: datetime) -> dict[str, str | list[str]]:
        """Its parameters, with the period that ends now; one of days begins with a whole one."""
        start = now - timedelta(days=self.days)
        first = start.isoformat() if self.days == 1 else start.date().isoformat()
        return {"from": first, "to": now.isoformat(), **self.parameters}


DAILY: Final = {"interval": "day"}
DASHBOARD: Final = (
    View("overview, 24 hours", "overview", 1),
    View("overview, 7 days", "overview", 7),
    View("overview, 30 days", "overview", 30),
    View("overview, 90 days", "overview", 90),
    View("cost by model, 7 days by hour", "timeseries", 7, {"group_by": "model"}),
    View("cost by model, 90 days by day", "timeseries", 90, {**DAILY, "group_by": "model"}),
    View(
        "cost by model, 30 days by day in Kolkata", "timeseries", 30,
        {**DAILY, "group_by": "model", "time_zone": "Asia/Kolkata"},
    ),
    View(
        "latency, 30 days by day", "timeseries", 30,
        {**DAILY, "measures": ["latency", "time_to_first_chunk"]},
    ),
    View(
        "top 10 users, 7 days by day", "timeseries", 7,
        {**DAILY, "group_by": "user_id", "measures": ["calls", "cost"]},
    ),
    View("top 10 users, 30 days", "top", 30, {"by": "user_id", "measures": ["calls", "cost"]}),
    View("errors by service, 7 days", "breakdown", 7, {"group_by": ["service_name", "error_type"]}),
    View("services and models, 30 days", "breakdown", 30, {"group_by": ["service_name", "model"]}),
    View("top 10 features by tag, 7 days", "top", 7, {"by": "tag:feature"}),
    View("one user, 30 days by day", "timeseries", 30, {**DAILY, "user_id": ["user-7"]}),
    View("latest conversations, 7 days", "conversations", 7),
    View("costs by price, 30 days", "costs", 30),
)  # fmt: skip


@dataclass(frozen=True)
class Served:
    """An API process on the history.

    Attributes:
        now: The end of the history, to which every period reaches.
    """

    services: RunningPlatform
    url: str
    key: str
    now: datetime

    def ask(self, client: httpx.Client, view: View, etag: str = "") -> tuple[float, httpx.Response]:
        """Milliseconds and the answer.

        Raises:
            AssertionError: it is an error.
        """
        headers = {"if-none-match": etag} if etag else {}
        started = perf_counter()
        answer = client.get(
            f"/api/v1/analytics/{view.route}", params=view.query(self.now), headers=headers
        )
        milliseconds = (perf_counter() - started) * 1000
        assert answer.status_code in {200, 304}, (view.name, answer.text)  # noqa: S101 - no figure
        return milliseconds, answer

    def client(self) -> httpx.Client:
        """A connection with the key."""
        headers = {"Authorization": f"Bearer {self.key}"}
        return httpx.Client(base_url=self.url, headers=headers, timeout=60, trust_env=False)


def percentile(values: Sequence[float], ratio: float) -> float:
    """The smallest value with at least that share at or below it."""
    ordered = sorted(values)
    return ordered[min(int(ratio * len(ordered)), len(ordered) - 1)]


@contextmanager
def api(services: RunningPlatform, key: str, now: datetime) -> Iterator[Served]:
    """An API process that has just started."""
    port = free_port_base()
    environment = {**services.environment, "LLMSCOPE_API_PORT": str(port)}
    process = subprocess.Popen(
        [sys.executable, "-m", "ingest_api"], cwd=ROOT, env=environment, stderr=subprocess.DEVNULL
    )
    served = Served(services, f"http://127.0.0.1:{port}", key, now)
    try:
        wait_until(lambda: _answers(served.url), "the API answers", 60)
        yield served
    finally:
        process.terminate()
        process.wait(30)


def _answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/readyz", trust_env=False).status_code == 200
    except httpx.TransportError:
        return False


def measure_warm(
    served: Served, view: View, forget: Callable[[], object], rounds: int
) -> dict[str, list[float]]:
    """Milliseconds by kind; what forgets is not measured."""
    found: dict[str, list[float]] = {"warm": [], "hit": [], "known": []}
    with served.client() as client:
        served.ask(client, view)
        for _ in range(rounds):
            forget()
            milliseconds, answer = served.ask(client, view)
            found["warm"].append(milliseconds)
            # The cache is filled behind the answer's back.
            wait_until(lambda: served.ask(client, view)[1].headers["x-cache"] == "hit", "a hit", 10)
            found["hit"].append(served.ask(client, view)[0])
            found["known"].append(served.ask(client, view, answer.headers["etag"])[0])
    return found


def measure_cold(services: RunningPlatform, key: str, now: datetime, view: View) -> float:
    """Milliseconds of the first question after everything was forgotten."""
    with api(services, key, now) as served, served.client() as client:
        # The keys are read at the start; what it read from the tables is forgotten again.
        forget_all(services)
        return served.ask(client, view)[0]


def forget_all(services: RunningPlatform) -> bool:
    """Empty Redis, PostgreSQL's buffers and the page cache; whether the last was permitted."""
    with redis.Redis.from_url(services.redis_url) as store:
        store.flushdb()
    with psycopg.connect(services.database_url, autocommit=True) as connection:
        connection.execute("create extension if not exists pg_buffercache")
        connection.execute("checkpoint")
        connection.execute(EVICT)
    os.sync()
    try:
        DROP_CACHES.write_text("1")
    except OSError:
        return False
    return True


def measure(
    services: RunningPlatform, views: Sequence[View], warm_rounds: int, cold_rounds: int
) -> Iterator[Figure]:
    """A line for each question, then all of them together."""
    key, now = prepare(services)
    times: dict[str, list[float]] = {"warm": [], "hit": [], "known": [], "cold": []}
    with api(services, key, now) as served, redis.Redis.from_url(services.redis_url) as store:
        by_view = {
            view.name: measure_warm(served, view, store.flushdb, warm_rounds) for view in views
        }
    for view in views:
        kinds = by_view[view.name]
        kinds["cold"] = [measure_cold(services, key, now, view) for _ in range(cold_rounds)]
        for kind, values in kinds.items():
            times[kind] += values
        yield Figure(view.name, shown(kinds))
    yield below("p95 of all, warm, not cached", percentile(times["warm"], 0.95), WARM_MS, "ms")
    yield below("p95 of all, from Redis", percentile(times["hit"], 0.95), WARM_MS, "ms")
    yield below("p95 of all, 304", percentile(times["known"], 0.95), WARM_MS, "ms")
    yield below("p95 of all, cold", percentile(times["cold"], 0.95), COLD_MS, "ms")
    is_permitted = forget_all(services)
    yield Figure("cold empties the page cache too", "yes" if is_permitted else "not permitted here")
    write_plans(PLANS, services.database_url, [(v.name, v.route, v.query(now)) for v in views])


def shown(kinds: Mapping[str, Sequence[float]]) -> str:
    """Median and p95 of each kind."""
    return ", ".join(
        f"{kind} {percentile(values, 0.5):.1f}/{percentile(values, 0.95):.1f}"
        for kind, values in kinds.items()
    )


def prepare(services: RunningPlatform) -> tuple[str, datetime]:
    """A key of the project with most calls, and the minute in which the history ends."""
    with psycopg.connect(services.database_url, autocommit=True) as connection:
        # As autovacuum would have left it: the bulk of the history came within minutes.
        for table in STAMPS:
            connection.execute(f"vacuum (analyze) marts.{table}")
        (newest,) = connection.execute(HISTORY_END, [PROJECTS[0]]).fetchone() or (None,)
        key = create_key(connection, history_project(connection), "bench-query")
    now = newest.astimezone(UTC).replace(second=0, microsecond=0) + timedelta(minutes=1)
    return key, now


def build_new_marts(services: RunningPlatform) -> None:
    """Models of the API that are newer than the history."""
    dbt = [sys.executable, str(run_dbt.__file__), "run", "--select", *STAMPS]
    services.run_command(*dbt, timeout=BUILD_SECONDS)


def main(arguments: list[str]) -> int:
    """Extend the history where it is too short, measure, and renew the plans."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.query", description=__doc__)
    parser.add_argument("--calls", type=int, default=CALLS)
    parser.add_argument("--warm-rounds", type=int, default=WARM_ROUNDS)
    parser.add_argument("--cold-rounds", type=int, default=COLD_ROUNDS)
    parser.add_argument("--home", type=Path, default=HOME)
    options = parser.parse_args(arguments)
    with open_history(options.home) as services:
        for count in extend(services, options.calls):
            print(f"{count:,} calls", flush=True)
        build_new_marts(services)
        figures: list[Any] = list(
            measure(services, DASHBOARD, options.warm_rounds, options.cold_rounds)
        )
        count = services.query("select count(*) from marts.fct_llm_calls")[0][0]
    print(f"\n{machine()}; {count:,} calls. p50/p95 in milliseconds.\n")
    print(markdown(figures))
    return 0 if all(figure.is_met is not False for figure in figures) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
