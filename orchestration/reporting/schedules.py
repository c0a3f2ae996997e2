"""When the report pages are refreshed.

There is no daily full build: the pages are one shell without data, and a refresh always reads
every report mart in full. The shell is built again only when its own files change, which a refresh
finds out by their fingerprint.
"""

from datetime import UTC, datetime, timedelta

import dagster as dg

from orchestration.reporting.assets import REPORT_SITE_KEY
from orchestration.reporting.marts import read_marts_version, refresh_reason
from orchestration.reporting.pages import ReportPages
from orchestration.reporting.publishing import read_published, read_shell_fingerprint
from orchestration.resources import Warehouse
from orchestration.runs import is_recent, is_under_way, newest_run

# A refresh costs 10 s of one core: at this pace under 10 % of it while the marts change.
MIN_INTERVAL = timedelta(seconds=120)

refresh_report_site_job = dg.define_asset_job(
    "refresh_report_site_job",
    selection=dg.AssetSelection.assets(REPORT_SITE_KEY).without_checks(),
    description="Reads the report marts and publishes the pages.",
    executor_def=dg.in_process_executor,
)


@dg.sensor(
    name="report_site_sensor",
    job=refresh_report_site_job,
    minimum_interval_seconds=20,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Refreshes the report pages when the marts or the pages themselves have changed.",
)
def report_site_sensor(
    context: dg.SensorEvaluationContext, warehouse: Warehouse, report_pages: ReportPages
) -> dg.RunRequest | dg.SkipReason:
    """Compare the marts with what is published, so that a failed refresh is simply tried again."""
    run = newest_run(context.instance, refresh_report_site_job.name)
    if is_under_way(run):
        return dg.SkipReason("a refresh of the pages is still running")
    if is_recent(run, MIN_INTERVAL, datetime.now(UTC)):
        return dg.SkipReason(f"the last refresh was asked for less than {MIN_INTERVAL} ago")
    with warehouse.connect() as connection:
        marts_version = read_marts_version(connection)
    if marts_version is None:
        return dg.SkipReason("the marts are not built yet")
    folders = report_pages.folders
    reason = refresh_reason(read_published(folders), marts_version, read_shell_fingerprint(folders))
    if reason is None:
        return dg.SkipReason("the pages show the marts as they are")
    return dg.RunRequest(tags={"llmscope/reason": reason})
