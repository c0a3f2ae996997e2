"""The sensor explains each skip and asks for a run only when there is something to show."""

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import psycopg
import pytest

from orchestration.reporting.assets import REPORT_SITE_KEY, REPORT_TABLES, report_site
from orchestration.reporting.marts import read_marts_version
from orchestration.reporting.pages import ReportPages
from orchestration.reporting.publishing import publish
from orchestration.reporting.schedules import refresh_report_site_job, report_site_sensor
from orchestration.reporting.test_publishing import build_shell, write_data
from orchestration.resources import Warehouse

FRESHNESS = """
create schema if not exists reports;
create table reports.rpt_freshness as
select now() as refreshed_at, now() as newest_loaded_at, 3 as call_count
"""


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as made:
        yield made


@pytest.fixture
def pages(tmp_path: Path) -> ReportPages:
    return ReportPages(
        home=str(tmp_path / "home"),
        public_url="http://127.0.0.1:8400",
        project=str(tmp_path / "project"),
    )


def tick(
    instance: dg.DagsterInstance, database_url: str, pages: ReportPages
) -> dg.RunRequest | dg.SkipReason:
    context = dg.build_sensor_context(
        instance=instance,
        resources={"warehouse": Warehouse(database_url=database_url), "report_pages": pages},
    )
    outcome = report_site_sensor(context)
    assert isinstance(outcome, dg.RunRequest | dg.SkipReason)
    return outcome


def test_without_marts_there_is_nothing_to_show(
    instance: dg.DagsterInstance, database_url: str, pages: ReportPages
) -> None:
    assert tick(instance, database_url, pages) == dg.SkipReason("the marts are not built yet")


def test_the_first_marts_are_published(
    instance: dg.DagsterInstance, database_url: str, pages: ReportPages
) -> None:
    with psycopg.connect(database_url) as connection:
        connection.execute(FRESHNESS)
    outcome = tick(instance, database_url, pages)
    assert isinstance(outcome, dg.RunRequest)
    assert outcome.tags == {"llmscope/reason": "nothing is published yet"}


def test_pages_that_show_the_marts_are_left_alone(
    instance: dg.DagsterInstance, database_url: str, pages: ReportPages
) -> None:
    with psycopg.connect(database_url) as connection:
        connection.execute(FRESHNESS)
        marts_version = read_marts_version(connection) or ""
    build_shell(pages.folders, "shell-1")
    write_data(pages.folders, "rows")
    publish(pages.folders, marts_version, 0.0)
    expected = dg.SkipReason("the pages show the marts as they are")
    assert tick(instance, database_url, pages) == expected


def test_the_pages_follow_every_report_mart() -> None:
    upstream = {key.path[-1] for key in report_site.asset_deps[REPORT_SITE_KEY]}
    assert upstream == set(REPORT_TABLES)


def test_every_report_mart_is_read_by_one_source_query() -> None:
    sources = Path(__file__).parents[2] / "reports" / "sources" / "llmscope"
    queries = "\n".join(path.read_text() for path in sources.glob("*.sql"))
    missing = [table for table in REPORT_TABLES if f"from reports.{table}\n" not in queries]
    assert missing == []


def test_the_job_materialises_the_pages_alone(pages: ReportPages) -> None:
    definitions = dg.Definitions(
        assets=[report_site],
        jobs=[refresh_report_site_job],
        resources={"warehouse": Warehouse(database_url="postgresql://db"), "report_pages": pages},
    )
    job = definitions.resolve_job_def("refresh_report_site_job")
    assert job.asset_layer.selected_asset_keys == {REPORT_SITE_KEY}
