"""`make bench-query`: how long a dashboard waits for the Query API over a long history.

Each question is asked over HTTP of an API process of its own. *Hit*: the answer lies in Redis.
*Known*: the client has it, 304. *Warm*: Redis has forgotten it. *New*: Redis is empty, and it is
the first question of an API process, whose connections have answered nothing yet. *Cold*:
PostgreSQL and the API have just been started, Redis is empty, and the system's page cache was
emptied before, where the machine permits.
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
from typing import Final

import httpx
import psycopg
import redis

from benchmarks.history.building import BUILD_SECONDS, HOME, extend, open_history
from benchmarks.ingest.figures import Figure, below, machine, markdown
from benchmarks.query_plans import history_project, write_plans
from deploy.local.environment import ROOT
from ingest_api.analytics.sources import TABLES
from ingest_api.database.keys import create_key
from orchestration.transforming import run_dbt
from tests.running import RunningPlatform, free_port_base, wait_until

CALLS: Final = 20_000_000
WARM_MS: Final = 50.0
COLD_MS: Final = 100.0
WARM_ROUNDS: Final = 20
NEW_ROUNDS: Final = 2
COLD_ROUNDS: Final = 1
PLANS: Final = ROOT / "docs" / "query-plans.md"
DROP_CACHES: Final = Path("/proc/sys/vm/drop_caches")
NEWEST: Final = "select max(started_at) from marts.fct_llm_calls where project_id = %s"

Times = dict[str, dict[str, list[float]]]  # question -> kind -> milliseconds
KINDS: Final = (
    ("warm", "warm, not cached", WARM_MS),
    ("hit", "from Redis", WARM_MS),
    ("known", "304", WARM_MS),
    ("new", "first question of a new API process", COLD_MS),
    ("cold", "first question after a start of PostgreSQL and the API", COLD_MS),
)
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


def measure_new(services: RunningPlatform, key: str, now: datetime, view: View) -> float:
    """Milliseconds of the first question to a new API process."""
    with redis.Redis.from_url(services.redis_url) as store:
        store.flushdb()
    with api(services, key, now) as served, served.client() as client:
        return served.ask(client, view)[0]


def measure_cold(home: Path, call_count: int, key: str, now: datetime, view: View) -> float:
    """Milliseconds of the first question after everything was started."""
    drop_page_cache()
    with open_history(home, call_count) as services:
        return measure_new(services, key, now, view)


def drop_page_cache() -> bool:
    """Whether that was permitted."""
    os.sync()
    try:
        DROP_CACHES.write_text("1")
    except OSError:
        return False
    return True


def measure_running(
    services: RunningPlatform, key: str, now: datetime, warm_rounds: int, new_rounds: int
) -> Times:
    """Milliseconds of each question and kind, as long as PostgreSQL runs."""
    with api(services, key, now) as served, redis.Redis.from_url(services.redis_url) as store:
        times = {
            view.name: measure_warm(served, view, store.flushdb, warm_rounds) for view in DASHBOARD
        }
    for view in DASHBOARD:
        news = [measure_new(services, key, now, view) for _ in range(new_rounds)]
        times[view.name]["new"] = news
    return times


def figures(times: Times) -> Iterator[Figure]:
    """A line for each question, then all of them together."""
    for name, kinds in times.items():
        yield Figure(name, shown(kinds))
    for kind, what, most in KINDS:
        together = [one for kinds in times.values() for one in kinds[kind]]
        yield below(f"p95 of all, {what}", percentile(together, 0.95), most, "ms")
    is_permitted = drop_page_cache()
    yield Figure("cold empties the page cache", "yes" if is_permitted else "not permitted here")


def shown(kinds: Mapping[str, Sequence[float]]) -> str:
    """Median and p95 of each kind."""
    return ", ".join(
        f"{kind} {percentile(values, 0.5):.1f}/{percentile(values, 0.95):.1f}"
        for kind, values in kinds.items()
    )


def prepare(services: RunningPlatform) -> tuple[str, datetime]:
    """A key of the project with most calls, and the minute of its newest call."""
    with psycopg.connect(services.database_url, autocommit=True) as connection:
        # As autovacuum would have left it: the bulk of the history came within minutes.
        for table in TABLES:
            connection.execute(f"vacuum (analyze) marts.{table}")
        project_id = history_project(connection)
        (newest,) = connection.execute(NEWEST, [project_id]).fetchone() or (None,)
        key = create_key(connection, project_id, "bench-query")
    now = newest.astimezone(UTC).replace(second=0, microsecond=0) + timedelta(minutes=1)
    return key, now


def build_new_marts(services: RunningPlatform) -> None:
    """Models of the API that are newer than the history."""
    dbt = [sys.executable, str(run_dbt.__file__), "run", "--select", *TABLES]
    services.run_command(*dbt, timeout=BUILD_SECONDS)


def main(arguments: list[str]) -> int:
    """Extend the history where it is too short, measure, and renew the plans."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.query", description=__doc__)
    parser.add_argument("--calls", type=int, default=CALLS)
    parser.add_argument("--warm-rounds", type=int, default=WARM_ROUNDS)
    parser.add_argument("--new-rounds", type=int, default=NEW_ROUNDS)
    parser.add_argument("--cold-rounds", type=int, default=COLD_ROUNDS)
    parser.add_argument("--home", type=Path, default=HOME)
    options = parser.parse_args(arguments)
    with open_history(options.home, options.calls) as services:
        for built in extend(services, options.calls):
            print(f"{built:,} calls", flush=True)
        build_new_marts(services)
        key, now = prepare(services)
        times = measure_running(services, key, now, options.warm_rounds, options.new_rounds)
        asked = [(view.name, view.route, view.query(now)) for view in DASHBOARD]
        write_plans(PLANS, services.database_url, asked)
        count = services.query("select count(*) from marts.fct_llm_calls")[0][0]
    for view in DASHBOARD:
        colds = [
            measure_cold(options.home, options.calls, key, now, view)
            for _ in range(options.cold_rounds)
        ]
        times[view.name]["cold"] = colds
    found = list(figures(times))
    print(f"\n{machine()}; {count:,} calls. p50/p95 in milliseconds.\n")
    print(markdown(found))
    return 0 if all(figure.is_met is not False for figure in found) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
