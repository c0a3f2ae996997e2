"""The report pages in a real browser that can reach nothing but the platform."""

from collections.abc import Callable
from datetime import date, datetime
from pathlib import Path

import pytest

from tests.browser.browsing import ReportPage, Troubles
from tests.running import RunningPlatform, wait_until

PAGES_WITH_CHART_COUNTS = [
    ("", 2),
    ("cost-by-model/", 1),
    ("usage/", 3),
    ("errors-and-latency/", 3),
    ("data-quality/", 2),
    ("budgets/", 1),
    ("users-and-conversations/", 1),
    ("savings/", 1),
    ("anomalies/", 1),
]
# A bar of the smallest chart that a demo month gives covers some thousand pixels.
FEWEST_COLOURED_PIXELS = 300
# The pages follow the marts within one refresh.
SAME_WITHIN_SECONDS = 300.0

pytestmark = pytest.mark.timeout(400)  # the first page waits for the demo to be published

CALLS = "select coalesce(sum(call_count), 0)::bigint from reports.rpt_usage_daily"


@pytest.mark.parametrize(("path", "chart_count"), PAGES_WITH_CHART_COUNTS)
def test_a_page_draws_its_charts_without_a_complaint_or_a_request_to_others(
    report: ReportPage, troubles: Troubles, screenshots: Path, path: str, chart_count: int
) -> None:
    report.open(path)
    report.save_screenshot(screenshots / f"{path.strip('/') or 'overview'}.png")
    pixels = report.coloured_pixels()
    assert len(pixels) >= chart_count
    assert min(pixels) > FEWEST_COLOURED_PIXELS
    assert troubles.messages == []
    assert troubles.outside == []


def test_a_page_says_that_it_shows_demo_data(report: ReportPage) -> None:
    report.open("")
    assert "Demo data." in report.page.get_by_role("status").inner_text()


def test_the_project_filter_gives_what_sql_gives(
    report: ReportPage, published: RunningPlatform
) -> None:
    project = _value(published, _busiest("project_name"))
    expected = f"{CALLS} where project_name = %s"

    def shown() -> int:
        report.open("")
        report.choose("Project", str(project))
        return _settled_calls(report)

    _expect_same(shown, published, expected, project)


def test_provider_and_model_filters_give_what_sql_gives(
    report: ReportPage, published: RunningPlatform
) -> None:
    provider = _value(published, _busiest("provider_name"))
    model = _value(
        published, _busiest("model", "where provider_name = %s and model is not null"), provider
    )
    expected = f"{CALLS} where provider_name = %s and model = %s"

    def shown() -> int:
        report.open("usage/")
        report.choose("Provider", str(provider))
        report.choose("Model", str(model))
        return _settled_calls(report)

    _expect_same(shown, published, expected, provider, model)


def test_the_period_filter_gives_what_sql_gives(
    report: ReportPage, published: RunningPlatform
) -> None:
    expected = f"{CALLS} where usage_date between %s and %s"

    def figures() -> tuple[int, int]:
        report.open("")
        report.choose_period("Last 7 Days")
        start, end = _days(report.period())
        assert (end - start).days == 6
        return _settled_calls(report), int(str(_value(published, expected, start, end)))

    wait_until(
        lambda: len(set(figures())) == 1, "calls of 7 days as in SQL", SAME_WITHIN_SECONDS, 5
    )


def test_a_link_between_pages_works_without_a_reload(
    report: ReportPage, troubles: Troubles
) -> None:
    report.open("")
    report.page.get_by_role("link", name="Usage over time").first.click()
    report.page.wait_for_url("**/reports/usage/**")
    report.wait_for_figures()
    assert report.figure("Input tokens") != ""
    assert troubles.messages == []


def _busiest(column: str, condition: str = "") -> str:
    return (
        f"select {column} from reports.rpt_usage_daily {condition} "
        f"group by 1 order by sum(call_count) desc, 1 limit 1"
    )


def _value(platform: RunningPlatform, statement: str, *parameters: object) -> object:
    return platform.query(statement, *parameters)[0][0]


def _settled_calls(report: ReportPage) -> int:
    """The figure after the filter has acted."""
    report.wait_for_figures()
    return int(report.figure("Calls").replace(",", ""))


def _days(period: str) -> tuple[date, date]:
    start, end = (datetime.strptime(day, "%b %d, %Y").date() for day in period.split(" - "))  # noqa: DTZ007 (a calendar day has no zone)
    return start, end


def _expect_same(
    shown: Callable[[], int], platform: RunningPlatform, statement: str, *parameters: object
) -> None:
    wait_until(
        lambda: shown() == _value(platform, statement, *parameters),
        f"the page shows {statement}",
        SAME_WITHIN_SECONDS,
        5,
    )
