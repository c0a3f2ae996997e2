"""What is unusual right now, as a check that warns; alert rules decide who is told."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import Final, NamedTuple

import dagster as dg
import psycopg

from orchestration.checking.results import AssetOutcome, check_specs, store_results
from orchestration.resources import Warehouse
from quality.suites import Outcome, Rule, Severity

FCT_ANOMALIES_HOURLY: Final = dg.AssetKey(["marts", "fct_anomalies_hourly"])
# The hour under way and the one before it: a spike just before the hour stays in sight.
NEWEST_HOURS: Final = 2
SHOWN: Final = 20

AS_EXPECTED: Final = Rule(
    "the_newest_hours_are_as_expected",
    "Cost, calls, latency and error rate of the newest two hours are within what the weeks before "
    "let expect, by project and by model. The sample names what is not, the most unusual first; "
    "the page Anomalies shows it against the expected band; see docs/anomalies.md.",
    "not is_anomaly",
    Severity.WARN,
)
NEWEST_ROWS: Final = """
select anomalies.project_id::text, projects.name, anomalies.model, anomalies.metric,
    anomalies.direction, anomalies.hour_start_at, anomalies.value, anomalies.expected_value,
    anomalies.is_anomaly
from marts.fct_anomalies_hourly as anomalies
left join app.projects using (project_id)
where anomalies.hour_start_at > (select max(hour_start_at) from marts.fct_anomalies_hourly)
    - %s * interval '1 hour'
order by anomalies.is_anomaly desc, anomalies.score desc nulls last
"""


class NewestRow(NamedTuple):
    """A series in one of the newest hours."""

    project_id: str
    project_name: str | None
    model: str | None
    metric: str
    direction: str | None
    hour_start_at: datetime
    value: float
    expected_value: float | None
    is_anomaly: bool

    def __str__(self) -> str:
        of = f"{self.project_name or self.project_id}, {self.model or 'all models'}"
        expected = "unknown" if self.expected_value is None else f"{self.expected_value:.4g}"
        return (
            f"{of}: {self.direction} of {self.metric} at {self.hour_start_at:%Y-%m-%d %H:%M}, "
            f"{self.value:.4g} where {expected} was expected"
        )


def read_newest(connection: psycopg.Connection) -> list[NewestRow]:
    """The newest hours of all series, the most unusual first."""
    return [NewestRow(*row) for row in connection.execute(NEWEST_ROWS, [NEWEST_HOURS])]


def judge_newest(rows: Sequence[NewestRow]) -> AssetOutcome:
    """Whether nothing is unusual."""
    unusual = [row for row in rows if row.is_anomaly]
    outcome = Outcome(
        AS_EXPECTED,
        is_passed=not unusual,
        failed_count=len(unusual),
        failed_ratio=len(unusual) / max(len(rows), 1),
        sample_ids=tuple(map(str, unusual[:SHOWN])),
        checked_count=len(rows),
        failed_by_project=dict(Counter(row.project_id for row in unusual).most_common(SHOWN)),
    )
    return AssetOutcome(FCT_ANOMALIES_HOURLY, outcome)


@dg.multi_asset_check(
    name="newest_anomalies", specs=check_specs(FCT_ANOMALIES_HOURLY, [AS_EXPECTED])
)
def newest_anomalies(
    context: dg.AssetCheckExecutionContext, warehouse: dg.ResourceParam[Warehouse]
) -> dg.AssetCheckResult:
    """Look at the newest hours of all series."""
    with warehouse.connect() as connection:
        found = judge_newest(read_newest(connection))
        store_results(connection, [found], context.run.run_id)
    return found.check_result()
