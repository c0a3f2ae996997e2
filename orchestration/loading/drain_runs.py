"""Runs that drain a shard which has fallen far behind, beside the ticks of the sensor.

On one machine a run gives the loader a core of its own; on Kubernetes a pod.
"""

from typing import Final

import dagster as dg

from orchestration.loading.loader import Loader, LoadReport
from orchestration.loading.materializations import materializations
from orchestration.resources import EventStream, Warehouse

# deploy/dagster.yaml lets one run per value of this tag work at a time.
SHARD_TAG: Final = "llmscope/drain_shard"
# A long drain shows on the asset page before it ends.
REPORT_SECONDS: Final = 60.0
# Ten minutes of attempts; the events stay in the stream, and the next tick asks for a new run.
MAX_FAILED_ATTEMPTS: Final = 24
UNDER_WAY: Final = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.MANAGED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]


class DrainConfig(dg.Config):
    """Which shard to drain."""

    shard: int = 0


@dg.op
def drain_events(
    context: dg.OpExecutionContext,
    config: DrainConfig,
    warehouse: dg.ResourceParam[Warehouse],
    event_stream: dg.ResourceParam[EventStream],
) -> None:
    """Load until the backlog of the shard is gone."""
    reader = event_stream.reader(f"drain-{context.run_id}", config.shard)
    loader = Loader(reader, warehouse.borrow)
    report = LoadReport()
    while not report.is_caught_up:
        report = loader.drain(
            REPORT_SECONDS, until_caught_up=True, failed_attempts=report.failed_attempts
        )
        if report.failure:
            context.log.warning(report.failure)
        if report.failed_attempts >= MAX_FAILED_ATTEMPTS:
            raise dg.Failure(f"Gave up after {report.failed_attempts} attempts. {report.failure}")
        if report.commit_count:
            for one in materializations(report, [reader.stats()]):
                context.log_event(one)
    reader.leave()


@dg.job(
    executor_def=dg.in_process_executor,
    description="Drains a shard of the event stream until its backlog is gone. Safe at any time: "
    "loaders work side by side.",
)
def drain_events_job() -> None:
    """One shard per run."""
    drain_events()


def drain_request(shard: int) -> dg.RunRequest:
    """Ask for a run that drains `shard`."""
    config = dg.RunConfig(ops={"drain_events": DrainConfig(shard=shard)})
    return dg.RunRequest(run_config=config, tags={SHARD_TAG: str(shard)})


def has_drain_under_way(instance: dg.DagsterInstance, shard: int) -> bool:
    """Whether a run of `shard` waits or works."""
    filters = dg.RunsFilter(
        job_name=drain_events_job.name, tags={SHARD_TAG: str(shard)}, statuses=UNDER_WAY
    )
    return instance.get_runs_count(filters) > 0
