"""The pages of quality runs, and the checks in the Dagster UI, as an operator meets them."""

import re
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import BrowserContext, Page, expect

from quality.raw_llm_events import RULES
from tests.browser.browsing import watch
from tests.running import RunningPlatform, wait_until

# Demo history, one build of the marts and one run of the checks.
CHECKED_WITHIN_SECONDS = 300.0

pytestmark = pytest.mark.timeout(400)


@pytest.fixture
def checked(platform: RunningPlatform) -> RunningPlatform:
    """The platform, once its checks have run."""
    wait_until(
        lambda: httpx.get(f"{platform.api_url}/reports/data-docs/").status_code == 200,
        "a page of a quality run",
        CHECKED_WITHIN_SECONDS,
        2,
    )
    return platform


def test_the_newest_run_is_shown_without_a_complaint_or_a_request_to_others(
    browser: BrowserContext, checked: RunningPlatform, screenshots: Path
) -> None:
    page = browser.new_page()
    troubles = watch(page, checked.api_url)
    page.goto(f"{checked.api_url}/reports/data-docs/")
    page.get_by_role("link", name=re.compile(r"^\d{4}-")).first.click()
    expect(page.get_by_role("heading", name=re.compile("^Data quality, "))).to_be_visible()
    for rule in RULES:
        expect(page.locator(f"[id='{rule.name}'] .badge")).to_have_text(
            re.compile("passed|warning|FAILED")
        )
    page.screenshot(path=screenshots / "quality-run.png")
    browser.unroute_all()
    page.close()
    assert troubles.outside == []
    assert [one for one in troubles.messages if "favicon" not in one] == []


def test_dagster_shows_each_check_with_its_result_and_a_link(
    checked: RunningPlatform, page: Page, screenshots: Path
) -> None:
    rule = RULES[0].name
    page.goto(f"{checked.dagster_url}/assets/raw/llm_events?view=checks&checkDetail={rule}")
    page.get_by_text(rule).first.wait_for(timeout=60_000)
    page.get_by_text("data_docs").first.wait_for(timeout=60_000)
    wait_until(lambda: page.get_by_text("failed_ratio").count(), "the facts of the check", 30)
    page.screenshot(path=screenshots / "quality-dagster.png")
