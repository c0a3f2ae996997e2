"""The suites of `quality` as asset checks of the tables they are about."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

import dagster as dg

from orchestration.checking.results import AssetOutcome, check_specs, store_results
from orchestration.loading.assets import LLM_EVENTS
from orchestration.resources import Warehouse
from quality.marts_llm_calls import (
    CALLS,
    COMPLETENESS,
    marts_completeness_suite,
    marts_llm_calls_suite,
)
from quality.raw_llm_events import RULES, raw_llm_events_suite
from quality.suites import Suite

FCT_LLM_CALLS: Final = dg.AssetKey(["marts", "fct_llm_calls"])
# A day, so that a breach stays in sight for a day and the cost does not grow with the history:
# the suite on raw takes 6 s for a million rows in the window, on 2 busy cores.
WINDOW: Final = timedelta(days=1)


@dg.multi_asset_check(
    name="raw_llm_events_quality", specs=check_specs(LLM_EVENTS, RULES), compute_kind="gx"
)
def raw_llm_events_quality(
    warehouse: dg.ResourceParam[Warehouse],
) -> Iterator[dg.AssetCheckResult]:
    """Judge the rows that were loaded within the last day."""
    suite = raw_llm_events_suite(datetime.now(UTC) - WINDOW)
    yield from judge(LLM_EVENTS, [suite], warehouse)


@dg.multi_asset_check(
    name="marts_llm_calls_quality",
    specs=check_specs(FCT_LLM_CALLS, CALLS + COMPLETENESS),
    compute_kind="gx",
)
def marts_llm_calls_quality(
    warehouse: dg.ResourceParam[Warehouse],
) -> Iterator[dg.AssetCheckResult]:
    """Judge the calls that were built within the last day, alone and beside the raw events."""
    since = datetime.now(UTC) - WINDOW
    suites = [marts_llm_calls_suite(since), marts_completeness_suite(since)]
    yield from judge(FCT_LLM_CALLS, suites, warehouse)


def judge(
    asset_key: dg.AssetKey, suites: Sequence[Suite], warehouse: Warehouse
) -> list[dg.AssetCheckResult]:
    """Run `suites`, store what they found, and give it in Dagster's form.

    Raises:
        SuiteError: a suite could not be run; nothing was stored.
    """
    # Great Expectations costs 3 s and 220 MB: paid by the run, never by the code server.
    from quality.validation import validate

    results = [
        AssetOutcome(asset_key, outcome)
        for suite in suites
        for outcome in validate(suite, warehouse.database_url)
    ]
    with warehouse.connect() as connection:
        store_results(connection, results)
    return [result.check_result() for result in results]
