"""When the quality checks run: after a build of the marts, and at most every five minutes."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

import dagster as dg

from orchestration.checking.anomaly_checks import newest_anomalies
from orchestration.checking.freshness import FCT_LLM_CALLS
from orchestration.checking.quality_checks import ledger_quality
from orchestration.runs import is_under_way, newest_run

# The checks cost 6 CPU seconds, most of them imports: 2 % of a core when builds never stop, and
# nothing while nothing is built.
MIN_INTERVAL: Final = timedelta(minutes=5)

check_quality_job = dg.define_asset_job(
    "check_quality_job",
    selection=dg.AssetSelection.checks(ledger_quality, newest_anomalies),
    executor_def=dg.in_process_executor,
    description="Great Expectations on the raw rows and the marts of the last day, and what is "
    "unusual in the newest hours.",
)


@dataclass(frozen=True)
class Checked:
    """The sensor's memory: the newest build that was checked, and when that check was asked for."""

    build_id: int
    asked_at: datetime

    @classmethod
    def parse(cls, cursor: str | None) -> "Checked":
        """From a cursor; without one, nothing was ever checked."""
        if not cursor:
            return cls(0, datetime.min.replace(tzinfo=UTC))
        build_id, asked_at = cursor.split(" ", 1)
        return cls(int(build_id), datetime.fromisoformat(asked_at))

    def __str__(self) -> str:
        return f"{self.build_id} {self.asked_at.isoformat()}"

    def reason_to_wait(self, build_id: int, now: datetime) -> str | None:
        """Why the build `build_id` (0 for none) is not to be checked now; None where it is."""
        if build_id <= self.build_id:
            return "The marts were not built since the last check."
        if now - self.asked_at < MIN_INTERVAL:
            return f"The last check was asked for less than {MIN_INTERVAL.seconds} s ago."
        return None


@dg.sensor(
    name="check_quality_sensor",
    job=check_quality_job,
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Asks for the quality checks once the marts were built, at most every 5 minutes.",
)
def check_quality_sensor(
    context: dg.SensorEvaluationContext,
) -> dg.SensorResult | dg.SkipReason:
    """One tick: look for a build that is not checked yet."""
    checked = Checked.parse(context.cursor)
    now = datetime.now(UTC)
    build_id = newest_build_id(context.instance)
    if reason := checked.reason_to_wait(build_id, now):
        return dg.SkipReason(reason)
    if is_under_way(newest_run(context.instance, check_quality_job.name)):
        return dg.SkipReason("The last check is still running.")
    return dg.SensorResult(
        run_requests=[dg.RunRequest(run_key=f"build-{build_id}")],
        cursor=str(Checked(build_id, now)),
    )


def newest_build_id(instance: dg.DagsterInstance) -> int:
    """Storage id of the newest materialisation of the calls; 0 where there is none."""
    records = instance.fetch_materializations(FCT_LLM_CALLS, limit=1).records
    return records[0].storage_id if records else 0
