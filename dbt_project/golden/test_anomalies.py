"""Weeks of made-up traffic with known anomalies, and what the mart makes of them."""

import math
import random
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

import psycopg
import pytest

from dbt_project.golden.analysts import fresh_database
from dbt_project.golden.ledger import (
    PROJECT_ID,
    TENANT_ID,
    create_project,
    dbt,
    event,
    insert_events,
)
from ingest_api.alerts.reading import Reader
from ingest_api.alerts.rules import AlertRule
from ingest_api.database.alert_rules import add_rule
from ingest_api.database.migrate import migrate
from orchestration.pricing.catalog import bundled_catalog
from orchestration.pricing.refresh import refresh_prices
from orchestration.transforming.dbt_args import LOADED_BEFORE
from tests.running import RunningPlatform

pytestmark = pytest.mark.timeout(600)  # the first test waits for three builds

DAYS: Final = 16
FIRST: Final = datetime.combine(
    datetime.now(UTC).date() - timedelta(days=DAYS), datetime.min.time(), UTC
)
END: Final = FIRST + timedelta(days=DAYS - 1)
SPIKE_OF: Final = {
    metric: FIRST + timedelta(days=day, hours=11)
    for metric, day in (("calls", 8), ("latency", 10), ("error_rate", 12), ("cost", 14))
}
LATE_HOUR: Final = FIRST + timedelta(days=11, hours=3)
MODEL, QUIET_MODEL = "gpt-4o", "gpt-4o-mini"
MART: Final = """
select hour_start_at, model, metric, value, expected_value, lower_bound, upper_bound, score,
    is_anomaly, is_onset, direction
from marts.fct_anomalies_hourly order by 1, 2, 3
"""


def calls_of_hour(at: datetime, model: str, draw: random.Random) -> Iterator[dict[str, Any]]:
    """A day with a peak at noon, a few errors, and one spike of each kind in the one model."""
    busy = 1 - math.cos(at.hour / 24 * 2 * math.pi)
    count = round(4 + 4 * busy + draw.uniform(-1, 1))
    spiked = {metric for metric, hour in SPIKE_OF.items() if (model, hour) == (MODEL, at)}
    for number in range(count * 6 if "calls" in spiked else count):
        failed = draw.random() < (0.9 if "error_rate" in spiked else 0.03)
        yield call(
            at + timedelta(minutes=draw.uniform(0, 59)),
            model,
            draw.uniform(0.8, 1.2) * (20 if "latency" in spiked else 1),
            500_000 if "cost" in spiked and number < 3 else 10_000,
            "timeout" if failed else None,
        )


def call(
    at: datetime, model: str, seconds: float, input_tokens: int, error: str | None = None
) -> dict[str, Any]:
    return event(
        event_id=uuid.uuid4(),
        request_model=model,
        started_at=at,
        ended_at=at + timedelta(seconds=seconds),
        input_tokens=input_tokens,
        output_tokens=100,
        error_type=error,
        loaded_at=at + timedelta(seconds=10),
    )


@dataclass(frozen=True)
class Judged:
    """The mart after builds: of all but the last half hour, of that and late calls, and anew.

    Attributes:
        alerted: After the first build, hour and metric of each window in which the rule of the
            metric is met for `MODEL`.
    """

    first: list[tuple[Any, ...]]
    second: list[tuple[Any, ...]]
    anew: list[tuple[Any, ...]]
    alerted: set[tuple[datetime, str]]


@pytest.fixture(scope="module")
def judged(services: RunningPlatform, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Judged]:
    draw = random.Random(7)  # noqa: S311 - traffic, not a secret
    hours = [FIRST + timedelta(hours=hour) for hour in range(DAYS * 24 - 24)]
    events = [
        one for at in hours for model in (MODEL, QUIET_MODEL)
        for one in calls_of_hour(at, model, draw)
    ]  # fmt: skip
    target = tmp_path_factory.mktemp("dbt")
    with fresh_database(services.database_url, "anomalies") as url:
        migrate(url)
        with psycopg.connect(url, autocommit=True) as connection:
            create_project(connection)

            def rows_after(calls: list[dict[str, Any]], *args: str) -> list[tuple[Any, ...]]:
                with connection.transaction():
                    insert_events(connection, calls)
                refresh_prices(connection, bundled_catalog(), datetime.now(UTC))
                bound = datetime.now(UTC).isoformat()
                select = ("run", "--select", "+fct_anomalies_hourly", LOADED_BEFORE, bound)
                dbt(url, target, *select, *args)
                return connection.execute(MART).fetchall()

            half_past = END - timedelta(minutes=30)
            yield Judged(
                first=rows_after([one for one in events if one["started_at"] < half_past]),
                alerted=hours_with_alerts(connection, hours),
                second=rows_after(
                    [one for one in events if one["started_at"] >= half_past] + late_calls()
                ),
                anew=rows_after([], "--full-refresh"),
            )


def hours_with_alerts(
    connection: psycopg.Connection, hours: list[datetime]
) -> set[tuple[datetime, str]]:
    """Judge a rule for each metric by model, for the window of each hour."""
    with connection.transaction(force_rollback=True):
        stored = {
            metric: add_rule(
                connection,
                TENANT_ID,
                PROJECT_ID,
                AlertRule(
                    name=metric,
                    metric=f"anomaly_{metric}",
                    threshold=Decimal(0),
                    group_by="model",
                ),
            ).stored
            for metric in SPIKE_OF
        }
        ends = [hour + timedelta(hours=1) for hour in hours]
        judgements = Reader(connection).judge(
            stored.values(), {one.rule_id: ends for one in stored.values()}
        )
        return {
            (hour, metric)
            for metric, one in stored.items()
            for hour, end in zip(hours, ends, strict=True)
            if (found := judgements[one.rule_id, end].get(MODEL)) and found.is_met
        }


def late_calls() -> list[dict[str, Any]]:
    """Two hundred calls that come days after their hour."""
    now = datetime.now(UTC)
    calls = [call(LATE_HOUR + timedelta(seconds=n), QUIET_MODEL, 1, 10_000) for n in range(200)]
    return [one | {"loaded_at": now} for one in calls]


def anomalies(rows: list[tuple[Any, ...]], model: str | None) -> set[tuple[datetime, str, str]]:
    """(hour, metric, direction) of one series' anomalies."""
    return {(row[0], row[2], row[10]) for row in rows if row[8] and row[1] == model}


def test_seasonal_traffic_raises_nothing(judged: Judged) -> None:
    quiet = [row for row in judged.first if row[1] == QUIET_MODEL]
    assert len(quiet) > 4 * 24 * (DAYS - 3)
    assert anomalies(quiet, QUIET_MODEL) == set()


def test_each_kind_of_spike_is_found_in_its_hour_and_nowhere_else(judged: Judged) -> None:
    found = anomalies(judged.first, MODEL)
    hours = {(SPIKE_OF[metric], metric, "spike") for metric in SPIKE_OF}
    # More calls cost more: the one hour has both.
    assert found == hours | {(SPIKE_OF["calls"], "cost", "spike")}


def test_a_rule_is_met_in_the_hours_with_an_anomaly_and_in_no_other(judged: Judged) -> None:
    found = {(hour, metric) for hour, metric, _ in anomalies(judged.first, MODEL)}
    assert judged.alerted == found


def test_a_project_is_judged_over_all_its_models(judged: Judged) -> None:
    found = anomalies(judged.first, None)
    assert {(hour, metric) for hour, metric, _ in found} >= {
        (SPIKE_OF[metric], metric) for metric in SPIKE_OF
    }


def test_a_short_history_is_called_too_short(judged: Judged) -> None:
    early = [row for row in judged.first if row[0] < FIRST + timedelta(days=3)]
    assert early
    assert {(row[5], row[6], row[7], row[8]) for row in early} == {(None, None, None, False)}
    later = [row for row in judged.first if row[0] >= FIRST + timedelta(days=4)]
    assert all(row[7] is not None for row in later)


def test_late_calls_have_their_hour_judged_anew(judged: Judged) -> None:
    assert anomalies(judged.first, QUIET_MODEL) == set()
    late = {(LATE_HOUR, "calls", "spike"), (LATE_HOUR, "cost", "spike")}
    assert anomalies(judged.second, QUIET_MODEL) == late


def test_late_calls_change_nothing_before_their_hour(judged: Judged) -> None:
    before = [row for row in judged.first if row[0] < LATE_HOUR]
    assert [row for row in judged.second if row[0] < LATE_HOUR] == before


def test_builds_in_steps_are_a_build_at_once(judged: Judged) -> None:
    assert judged.second == judged.anew


def test_less_in_an_hour_that_is_not_over_is_no_drop(judged: Judged) -> None:
    newest = END - timedelta(hours=1)
    under_way = [row for row in judged.first if row[0] == newest and row[2] == "calls"]
    assert len(under_way) == 3
    assert all(row[3] < row[4] and row[7] == 0 for row in under_way)
