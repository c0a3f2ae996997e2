"""`make bench-alerts`: how long does it take to evaluate 500 rules on a history of calls?"""

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import cycle, islice, product
from pathlib import Path
from statistics import median
from typing import Any, Final
from uuid import UUID

import psycopg

from benchmarks.history.building import HOME, extend, open_history
from benchmarks.history.rows import PROJECTS
from benchmarks.ingest.figures import Figure, below, machine, markdown
from ingest_api.alerts.messages import Links
from ingest_api.alerts.rules import AlertRule
from ingest_api.database.alert_rules import add_rule
from orchestration.alerting.evaluation import evaluate
from tests.running import RunningPlatform

CALLS: Final = 5_000_000
RULES: Final = 500
ROUNDS: Final = 5
MAX_SECONDS: Final = 5.0
LINKS: Final = Links("http://127.0.0.1:8400", "http://127.0.0.1:8401")
WINDOWS: Final = (60, 300, 3_600, 86_400, 7 * 86_400, 31 * 86_400)
ENDED_AT: Final = "select ended_at from benchmark.history_ends"
# What people watch, with some that read the dearest roll-ups: users, tags, months of percentiles.
WATCHED: Final[tuple[dict[str, Any], ...]] = (
    {"metric": "cost", "threshold": 50},
    {"metric": "cost", "threshold": 5, "group_by": "model"},
    {"metric": "cost", "threshold": 5, "group_by": "user_id"},
    {"metric": "cost", "threshold": 5, "user_id": "user-17"},
    {"metric": "cost", "threshold": 2, "compare_to": "week_before"},
    {"metric": "cost", "threshold": 9, "tag_key": "feature", "tag_value": "feature-3"},
    {"metric": "calls", "threshold": 1, "direction": "below", "service_name": "support-chat"},
    {"metric": "error_rate", "threshold": "0.1", "group_by": "service_name"},
    {"metric": "error_rate", "threshold": "0.1", "model": "gpt-4o", "minimum_call_count": 20},
    {"metric": "unpriced_share", "threshold": "0.1", "environment": "production"},
    {"metric": "latency_p95", "threshold": 20},
    {"metric": "latency_p99", "threshold": 60, "group_by": "model"},
    {"metric": "time_to_first_chunk_p95", "threshold": 5, "provider_name": "openai"},
    {"metric": "tokens", "threshold": 10**9, "group_by": "tag:customer_tier"},
    {"metric": "dead_letters", "threshold": 0},
    {"metric": "budget_use", "threshold": "0.8"},
)


def rules() -> Iterator[AlertRule]:
    """As many as are asked for: each thing that is watched over each window, and then again."""
    kinds = islice(cycle(product(WINDOWS, WATCHED)), RULES)
    for number, (seconds, watched) in enumerate(kinds):
        # As people set them: what a month may cost is more than what an hour may.
        hours = max(seconds // 3_600, 1) if watched["metric"] in ("cost", "tokens") else 1
        threshold = Decimal(str(watched["threshold"])) * hours + Decimal(number) / 10_000
        fields = {**watched, "name": f"rule {number}", "threshold": threshold}
        yield AlertRule(**fields, window_seconds=seconds)


def add_rules(connection: psycopg.Connection) -> datetime:
    """The rules of the projects, in turn; gives the end of the history."""
    owners: Sequence[tuple[UUID, UUID]] = connection.execute(
        "select tenant_id, project_id from app.projects where name = any(%s)", [list(PROJECTS)]
    ).fetchall()
    for (tenant_id, project_id), rule in zip(cycle(owners), rules(), strict=False):
        add_rule(connection, tenant_id, project_id, rule)
    ends: Sequence[tuple[datetime]] = connection.execute(ENDED_AT).fetchall()
    return ends[0][0]


def measure(services: RunningPlatform, rounds: int) -> list[float]:
    """Seconds of evaluations, a minute of the history apart; nothing of them stays."""
    seconds = []
    with psycopg.connect(services.database_url) as connection:
        now = add_rules(connection)
        for number in range(rounds + 1):
            started = time.perf_counter()
            found = evaluate(connection, now + number * timedelta(minutes=1), LINKS)
            seconds.append(time.perf_counter() - started)
            assert found is not None  # noqa: S101 - nobody else evaluates here
            print(f"  {len(found.results)} rules, {len(found.firing)} alerts fire: "
                  f"{seconds[-1]:.2f} s", flush=True)  # fmt: skip
        connection.rollback()
    return seconds


def main(arguments: list[str]) -> int:
    """Build, measure, print the table; 1 if the target is missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.alerts", description=__doc__)
    parser.add_argument("--calls", type=int, default=CALLS, help="of the history")
    parser.add_argument("--home", type=Path, default=HOME, help="where the history is and stays")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    options = parser.parse_args(arguments)
    print("Everything runs on this machine: let nothing else run.")
    with open_history(options.home, options.calls) as services:
        for built in extend(services, options.calls):
            print(f"  {built:,} calls are built", flush=True)
        first, *later = measure(services, options.rounds)
    on = f"{RULES} rules on {options.calls / 1e6:g} million calls"
    found = [
        Figure(f"first evaluation of {on}, every alert new", f"{first:.2f} s"),
        below(f"evaluation of {on}", median(later), MAX_SECONDS, "s"),
    ]
    print(f"\n{machine()}; {datetime.now(UTC):%Y-%m-%d}\n")
    print(markdown(found))
    return int(any(figure.is_met is False for figure in found))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
