"""What sensors ask of Dagster's runs."""

from collections.abc import Sequence
from datetime import datetime, timedelta

import dagster as dg


def newest_runs(
    instance: dg.DagsterInstance, job_name: str, max_runs: int
) -> Sequence[dg.RunRecord]:
    """The runs of the job that were asked for last, newest first."""
    return instance.get_run_records(dg.RunsFilter(job_name=job_name), limit=max_runs)


def newest_run(instance: dg.DagsterInstance, job_name: str) -> dg.RunRecord | None:
    """The run of the job that was asked for last."""
    return next(iter(newest_runs(instance, job_name, 1)), None)


def is_under_way(run: dg.RunRecord | None) -> bool:
    """Whether there is a run that has not ended."""
    return run is not None and not run.dagster_run.is_finished


def is_recent(run: dg.RunRecord | None, interval: timedelta, now: datetime) -> bool:
    """Whether there is a run that was asked for less than `interval` ago."""
    return run is not None and now - run.create_timestamp < interval
