"""The suites of `quality` as asset checks of the tables they are about."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

import dagster as dg
import psycopg

from orchestration.checking.data_docs import DataDocs, publish
from orchestration.checking.freshness import FCT_LLM_CALLS
from orchestration.checking.results import AssetOutcome, check_specs, store_results
from orchestration.loading.assets import LLM_EVENTS
from orchestration.resources import Warehouse
from quality.marts_llm_calls import (
    CALLS,
    COMPLETENESS,
    marts_completeness_suite,
    marts_llm_calls_suite,
)
from quality.marts_usage_minutely import MINUTES, marts_usage_minutely_suite
from quality.raw_llm_events import RULES, raw_llm_events_suite
from quality.raw_traffic import NULL_RATES, VOLUME, raw_null_rates_suite, raw_volume_suite
from quality.raw_vocabulary import VOCABULARY, raw_vocabulary_suite
from quality.suites import Suite

if TYPE_CHECKING:
    from quality.validation import Validation

FCT_USAGE_MINUTELY: Final = dg.AssetKey(["marts", "fct_usage_minutely"])
RAW_RULES: Final = RULES + VOCABULARY + NULL_RATES + VOLUME

# A day, so that a breach stays in sight for a day and the cost does not grow with the history.
LONGEST: Final = timedelta(days=1)
# A million rows take the suites about ten seconds on two busy cores, so a flood shortens the
# window, but never below twice the time between two runs: each row is judged.
MAX_ROWS: Final = 1_000_000
SHORTEST: Final = timedelta(minutes=10)
LAST_HOUR: Final = timedelta(hours=1)
# The newest rows by a column with an index; with ties, all of them.
ROW_BEYOND: Final = """
select {column} - interval '1 microsecond' from marts.fct_llm_calls
order by {column} desc offset {max_rows} limit 1
"""


@dataclass(frozen=True)
class Windows:
    """After which time the suites look at rows.

    Attributes:
        loaded_after: By the time of the load.
        computed_after: By the time when the cost was computed.
    """

    now: datetime
    loaded_after: datetime
    computed_after: datetime


def read_windows(connection: psycopg.Connection, now: datetime) -> Windows:
    """The last day, or less of it where more than `MAX_ROWS` rows came."""

    def after(column: str) -> datetime:
        statement = ROW_BEYOND.format(column=column, max_rows=MAX_ROWS)
        row = connection.execute(statement.encode()).fetchone()
        return window_start(now, row[0] if row else None)

    return Windows(now, after("loaded_at"), after("cost_computed_at"))


def window_start(now: datetime, row_beyond: datetime | None) -> datetime:
    """Where a window begins whose first row too many came at `row_beyond`, if there is one."""
    start = now - LONGEST
    if row_beyond is None or row_beyond <= start:
        return start
    return min(row_beyond, now - SHORTEST)


def suites_of(windows: Windows) -> list[tuple[dg.AssetKey, Suite]]:
    """All suites, each with the asset that it is about."""
    loaded_after = windows.loaded_after
    return [
        (LLM_EVENTS, raw_llm_events_suite(loaded_after)),
        (LLM_EVENTS, raw_vocabulary_suite(loaded_after)),
        (LLM_EVENTS, raw_null_rates_suite(windows.now, max(loaded_after, windows.now - LAST_HOUR))),
        (LLM_EVENTS, raw_volume_suite(windows.now)),
        (FCT_LLM_CALLS, marts_llm_calls_suite(windows.computed_after)),
        (FCT_LLM_CALLS, marts_completeness_suite(loaded_after)),
        (FCT_USAGE_MINUTELY, marts_usage_minutely_suite(windows.now - LONGEST)),
    ]


@dg.multi_asset_check(
    name="ledger_quality",
    specs=[
        *check_specs(LLM_EVENTS, RAW_RULES),
        *check_specs(FCT_LLM_CALLS, CALLS + COMPLETENESS),
        *check_specs(FCT_USAGE_MINUTELY, MINUTES),
    ],
    compute_kind="gx",
)
def ledger_quality(
    context: dg.AssetCheckExecutionContext,
    warehouse: dg.ResourceParam[Warehouse],
    data_docs: dg.ResourceParam[DataDocs],
) -> Iterator[dg.AssetCheckResult]:
    """Judge the raw rows and the marts of the last day, alone and side by side."""
    run_id = context.run.run_id
    yield from judge(warehouse, data_docs, run_id, datetime.now(UTC))


def judge(
    warehouse: Warehouse, data_docs: DataDocs, run_id: str, now: datetime
) -> list[dg.AssetCheckResult]:
    """Run all suites, store what they found, publish it, and give it in Dagster's form.

    Raises:
        SuiteError: a suite could not be run; nothing was stored.
    """
    # Great Expectations costs 3 s and 220 MB: paid by the run, never by the code server.
    from quality.data_docs import RunDocs
    from quality.validation import validate

    with warehouse.connect() as connection:
        suites = suites_of(read_windows(connection, now))
    validations = [(key, validate(suite, warehouse.database_url)) for key, suite in suites]
    run = RunDocs(f"{now:%Y%m%dT%H%M%S}-{run_id[:8]}", now, data_docs.run_url(run_id))
    results = _outcomes(validations, data_docs, run.name)
    with warehouse.connect() as connection:
        store_results(connection, results, run_id)
    publish(data_docs, run, [validation for _, validation in validations])
    return [result.check_result() for result in results]


def _outcomes(
    validations: "Sequence[tuple[dg.AssetKey, Validation]]", data_docs: DataDocs, run_name: str
) -> list[AssetOutcome]:
    """Every outcome with the pages where more is told."""
    return [
        AssetOutcome(
            key,
            outcome,
            {
                "data_docs": dg.MetadataValue.url(data_docs.rule_url(run_name, outcome.rule.name)),
                "report": dg.MetadataValue.url(data_docs.report_url),
            },
        )
        for key, validation in validations
        for outcome in validation.outcomes
    ]
