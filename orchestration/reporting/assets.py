"""The asset of the report pages."""

import os
import sys
import time

import dagster as dg

from orchestration.reporting.evidence import (
    BUILD_COMMAND,
    BUILD_TIMEOUT_SECONDS,
    FETCH_TIMEOUT_SECONDS,
    SOURCES_COMMAND,
    SOURCES_TIMEOUT_SECONDS,
    SiteFolders,
    process_environment,
    written_row_count,
)
from orchestration.reporting.marts import read_marts_version
from orchestration.reporting.pages import ReportPages
from orchestration.reporting.processes import Finished, ReportBuildError, run_step
from orchestration.reporting.publishing import publish
from orchestration.resources import Warehouse

REPORT_SITE_KEY = dg.AssetKey(["reports", "site"])
REPORT_TABLES = (
    "rpt_usage_daily",
    "rpt_usage_hourly",
    "rpt_errors_daily",
    "rpt_latency_daily",
    "rpt_latency_histogram_daily",
    "rpt_cost_by_model",
    "rpt_model_performance_daily",
    "rpt_usage_by_tag_daily",
    "rpt_users",
    "rpt_user_cohorts",
    "rpt_conversations",
    "rpt_cache_effectiveness_daily",
    "rpt_cost_advice",
    "rpt_budget_use_daily",
    "rpt_data_quality_daily",
    "rpt_unpriced_models",
    "rpt_freshness",
)


@dg.asset(
    key=REPORT_SITE_KEY,
    deps=[dg.AssetKey(["reports", table]) for table in REPORT_TABLES],
    group_name="reports",
    kinds={"evidence"},
    owners=["team:llmscope"],
    pool="reports",
    description="The report pages under /reports: the report marts as parquet files beside a page "
    "shell. A refresh reads the marts and replaces the data; the shell is built only when its own "
    "files changed.",
)
def report_site(
    context: dg.AssetExecutionContext, warehouse: Warehouse, report_pages: ReportPages
) -> dg.MaterializeResult[None]:
    """Read the report marts and publish them."""
    folders = report_pages.folders
    environment = process_environment(os.environ, warehouse.database_url, folders.state)
    started = time.monotonic()
    with warehouse.connect() as connection:
        marts_version = read_marts_version(connection)
    if marts_version is None:
        raise ReportBuildError("reports.rpt_freshness is missing: the marts are not built yet")
    build = build_shell(folders, environment)
    context.log.info(build.output)
    sources = read_sources(folders, environment)
    data_bytes = publish(folders, marts_version, time.time())
    return dg.MaterializeResult(
        metadata={
            "seconds": time.monotonic() - started,
            "build_seconds": build.seconds,
            "sources_seconds": sources.seconds,
            "dagster/row_count": written_row_count(sources.output),
            "data_bytes": data_bytes,
            "marts_version": marts_version,
            "url": dg.MetadataValue.url(report_pages.url),
        }
    )


def build_shell(folders: SiteFolders, environment: dict[str, str]) -> Finished:
    """Build the page shell; half a second when the one there is up to date."""
    run_step(
        (sys.executable, "scripts/fetch_duckdb_extension.py"),
        folder=folders.project,
        environment=environment,
        timeout_seconds=FETCH_TIMEOUT_SECONDS,
    )
    return run_step(
        BUILD_COMMAND,
        folder=folders.project,
        environment=environment,
        timeout_seconds=BUILD_TIMEOUT_SECONDS,
    )


def read_sources(folders: SiteFolders, environment: dict[str, str]) -> Finished:
    """Read every source query into parquet files."""
    return run_step(
        SOURCES_COMMAND,
        folder=folders.project,
        environment=environment,
        timeout_seconds=SOURCES_TIMEOUT_SECONDS,
    )
