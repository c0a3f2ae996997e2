"""Runs suites with Great Expectations on Postgres. Import it where a suite is run, not before."""

from typing import Any, Final
from urllib.parse import urlsplit

import great_expectations as gx
from great_expectations.core import ExpectationSuite, ExpectationValidationResult
from great_expectations.data_context.data_context.ephemeral_data_context import (
    EphemeralDataContext,
)
from great_expectations.data_context.types.base import ProgressBarsConfig
from great_expectations.datasource.fluent.interfaces import Batch, TestConnectionError
from great_expectations.exceptions.exceptions import GreatExpectationsError
from great_expectations.expectations.core.expect_column_values_to_be_in_set import (
    ExpectColumnValuesToBeInSet,
)
from great_expectations.expectations.metadata_types import FailureSeverity
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import StaticPool

from quality.suites import Outcome, Rule, Severity, Suite

SAMPLE_SIZE: Final = 20
STATEMENT_TIMEOUT_SECONDS: Final = 120
GX_SEVERITIES: Final = {
    Severity.ERROR: FailureSeverity.CRITICAL,
    Severity.WARN: FailureSeverity.WARNING,
}
ENGINE_OPTIONS: Final = {
    "connect_args": {
        "application_name": "llmscope quality",
        "options": f"-c statement_timeout={STATEMENT_TIMEOUT_SECONDS}s",
    },
    # A temporary table is seen by its own connection alone.
    "poolclass": StaticPool,
}


class SuiteError(Exception):
    """A suite could not be run, so that nothing is known about the data.

    Attributes:
        suite_name: The suite.
    """

    def __init__(self, suite_name: str, reason: str) -> None:
        super().__init__(f"the suite {suite_name} could not be run: {reason}")
        self.suite_name = suite_name


def validate(suite: Suite, database_url: str) -> list[Outcome]:
    """What the rows of `suite` are like: one outcome per rule, in the order of the rules.

    One statement looks for a breach of any rule. Only a rule that is broken costs statements of
    its own, which count the breaches and fetch the ids of at most `SAMPLE_SIZE` events.

    Args:
        database_url: As postgresql://user:password@host:port/name.

    Raises:
        SuiteError: a statement failed or ran longer than `STATEMENT_TIMEOUT_SECONDS`.
    """
    batch = _batch(suite, database_url)
    is_kept = {
        rule.name: bool(result.success)
        for rule, result in _run(suite, batch, suite.rules, tolerant=False)
    }
    broken = tuple(rule for rule in suite.rules if not is_kept[rule.name])
    outcomes = {rule.name: Outcome(rule, is_passed=True) for rule in suite.rules}
    outcomes |= {
        rule.name: _outcome(rule, result)
        for rule, result in _run(suite, batch, broken, tolerant=True)
    }
    return list(outcomes.values())


def _batch(suite: Suite, database_url: str) -> Batch:
    """The rows of `suite`, judged by each rule and kept in a temporary table."""
    try:
        source = _quiet_context().data_sources.add_postgres(
            "warehouse",
            connection_string=_sqlalchemy_url(database_url),
            # Great Expectations learns the columns of a bare query by fetching all of its rows
            # (435 MB for a million); of a table it asks the catalog.
            create_temp_table=True,
            kwargs=ENGINE_OPTIONS,  # type: ignore[call-arg] # the stub leaves it out
        )
        asset = source.add_query_asset(suite.name, query=suite.rows_query())
        return asset.add_batch_definition_whole_table("window").get_batch()
    except (TestConnectionError, GreatExpectationsError, SQLAlchemyError) as error:
        raise SuiteError(suite.name, str(error)) from error


def _quiet_context() -> EphemeralDataContext:
    context = gx.get_context(mode="ephemeral")
    context.enable_analytics(False)
    context.variables.progress_bars = ProgressBarsConfig(globally=False)
    return context


def _sqlalchemy_url(database_url: str) -> str:
    """With the driver named, and `$` escaped: Great Expectations reads it as a variable."""
    return urlsplit(database_url)._replace(scheme="postgresql+psycopg").geturl().replace("$", "%24")


def _run(
    suite: Suite, batch: Batch, rules: tuple[Rule, ...], *, tolerant: bool
) -> list[tuple[Rule, ExpectationValidationResult]]:
    """Each rule with its result: with counts and samples where `tolerant`, else yes or no."""
    if not rules:
        return []
    expectations = ExpectationSuite(
        suite.name, expectations=[_expectation(rule, tolerant=tolerant) for rule in rules]
    )
    results = batch.validate(expectations, result_format=_result_format(detailed=tolerant)).results
    by_rule: dict[str, ExpectationValidationResult] = {}
    for result in results:
        _refuse_exception(suite, result)
        assert result.expectation_config is not None  # noqa: S101 - a run result has one
        by_rule[result.expectation_config.kwargs["column"]] = result
    return [(rule, by_rule[rule.name]) for rule in rules]


def _expectation(rule: Rule, *, tolerant: bool) -> ExpectColumnValuesToBeInSet:
    return ExpectColumnValuesToBeInSet(
        column=rule.name,
        value_set=[True],
        mostly=1 - rule.tolerated_ratio if tolerant else 1,
        severity=GX_SEVERITIES[rule.severity],
        description=rule.description,
    )


def _result_format(*, detailed: bool) -> dict[str, Any]:
    if not detailed:
        return {"result_format": "BOOLEAN_ONLY"}
    return {
        "result_format": "SUMMARY",
        "unexpected_index_column_names": ["event_id"],
        "partial_unexpected_count": SAMPLE_SIZE,
    }


def _refuse_exception(suite: Suite, result: ExpectationValidationResult) -> None:
    """A statement that failed makes no expectation fail: it is an error of its own."""
    info: dict[str, Any] = result.exception_info or {}
    for one in [info] if "raised_exception" in info else info.values():
        if one["raised_exception"]:
            raise SuiteError(suite.name, str(one["exception_message"]))


def _outcome(rule: Rule, result: ExpectationValidationResult) -> Outcome:
    found: dict[str, Any] = result.result
    return Outcome(
        rule,
        is_passed=bool(result.success),
        failed_count=found["unexpected_count"],
        failed_ratio=found["unexpected_percent_nonmissing"] / 100,
        sample_ids=tuple(str(row["event_id"]) for row in found["partial_unexpected_index_list"]),
    )
