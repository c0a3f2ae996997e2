"""A browser, and a published site with demo data to look at."""

import os
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from playwright.sync_api import BrowserContext, Page

from deploy.local.chromium import chromium_executable
from orchestration.reporting.marts import read_marts_version, refresh_reason
from orchestration.reporting.pages import ReportPages
from orchestration.reporting.publishing import read_published, read_shell_fingerprint
from tests.browser.browsing import ReportPage, Troubles, open_browser, watch
from tests.running import RunningPlatform, wait_until

# Demo history, one build of the marts and one publication.
PUBLISHED_WITHIN_SECONDS = 300.0


@pytest.fixture(scope="session")
def screenshots(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where screenshots go: LLMSCOPE_SCREENSHOTS, else a temporary folder."""
    given = os.environ.get("LLMSCOPE_SCREENSHOTS")
    folder = Path(given) if given else tmp_path_factory.mktemp("screenshots")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def published(platform: RunningPlatform) -> RunningPlatform:
    """The platform, once its report pages show demo calls."""
    wait_until(
        lambda: _shows_demo_calls(platform),
        "report pages with demo calls",
        PUBLISHED_WITHIN_SECONDS,
        2,
    )
    return platform


def _shows_demo_calls(platform: RunningPlatform) -> bool:
    folders = ReportPages(home=str(platform.home), public_url=platform.api_url).folders
    with psycopg.connect(platform.database_url) as connection:
        version = read_marts_version(connection)
    if version is None or refresh_reason(
        read_published(folders), version, read_shell_fingerprint(folders)
    ):
        return False
    return platform.query("select demo_call_count > 0 from reports.rpt_freshness") == [(True,)]


# Not for the whole session: while it is open, no other test can run an event loop.
@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BrowserContext]:
    """A browser that has never been anywhere."""
    with open_browser(chromium_executable(), tmp_path_factory.mktemp("profile")) as context:
        yield context


@pytest.fixture
def page(browser: BrowserContext) -> Iterator[Page]:
    """A page that may go anywhere on this machine."""
    opened = browser.new_page()
    yield opened
    opened.close()


@pytest.fixture
def report(browser: BrowserContext, published: RunningPlatform) -> Iterator[ReportPage]:
    """A report page that can reach the platform only."""
    page = browser.new_page()
    yield ReportPage(page, published.api_url, watch(page, published.api_url))
    browser.unroute_all()
    page.close()


@pytest.fixture
def troubles(report: ReportPage) -> Troubles:
    """What went wrong in that page."""
    return report.troubles
