"""Runs suites with Great Expectations on Postgres. Import it where a suite is run, not before."""

from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

import great_expectations as gx
from great_expectations.core import ExpectationSuite, ExpectationValidationResult
from great_expectations.core.batch_definition import BatchDefinition
from great_expectations.core.expectation_validation_result import ExpectationSuiteValidationResult
from great_expectations.data_context.data_context.ephemeral_data_context import (
    EphemeralDataContext,
)
from great_expectations.data_context.types.base import ProgressBarsConfig
from great_expectations.datasource.fluent.interfaces import TestConnectionError
from great_expectations.exceptions.exceptions import GreatExpectationsError
from great_expectations.expectations.metadata_types import FailureSeverity
from great_expectations.validator.v1_validator import Validator
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import StaticPool

from quality.expectation import ExpectRuleToBeKept
from quality.findings import findings_query
from quality.suites import Outcome, Rule, Severity, Suite

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


@dataclass(frozen=True)
class Validation:
    """What the rows of a suite are like.

    Attributes:
        outcomes: One per rule, in the order of the rules.
        result: The same as Great Expectations has it.
    """

    suite: Suite
    outcomes: tuple[Outcome, ...]
    result: ExpectationSuiteValidationResult


def validate(suite: Suite, database_url: str) -> Validation:
    """Judge the rows of `suite` in one statement, which counts breaches and samples their ids.

    Args:
        database_url: As postgresql://user:password@host:port/name.

    Raises:
        SuiteError: the statement failed or ran longer than `STATEMENT_TIMEOUT_SECONDS`.
    """
    expectations = ExpectationSuite(suite.name, expectations=list(map(_expectation, suite.rules)))
    try:
        validator = Validator(_findings(suite, database_url), result_format="COMPLETE")
        result = validator.validate_expectation_suite(expectations)
    except (TestConnectionError, GreatExpectationsError, SQLAlchemyError) as error:
        raise SuiteError(suite.name, str(error)) from error
    by_rule: dict[str, ExpectationValidationResult] = {}
    for one in result.results:
        _refuse_exception(suite, one)
        assert one.expectation_config is not None  # noqa: S101 - a run result has one
        by_rule[one.expectation_config.kwargs["rule_name"]] = one
    outcomes = tuple(_outcome(rule, by_rule[rule.name]) for rule in suite.rules)
    return Validation(suite, outcomes, result)


def _findings(suite: Suite, database_url: str) -> BatchDefinition[Any]:
    """What is found about each rule, one row per rule; the statement runs when it is validated."""
    source = _quiet_context().data_sources.add_postgres(
        "warehouse",
        connection_string=_sqlalchemy_url(database_url),
        # Great Expectations learns the columns of a bare query by running it once more; of a
        # table it asks the catalog.
        create_temp_table=True,
        kwargs=ENGINE_OPTIONS,  # type: ignore[call-arg] # the stub leaves it out
    )
    asset = source.add_query_asset(suite.name, query=findings_query(suite))
    return asset.add_batch_definition_whole_table("findings")


def _quiet_context() -> EphemeralDataContext:
    context = gx.get_context(mode="ephemeral")
    context.enable_analytics(False)
    context.variables.progress_bars = ProgressBarsConfig(globally=False)
    return context


def _sqlalchemy_url(database_url: str) -> str:
    """With the driver named, and `$` escaped: Great Expectations reads it as a variable."""
    return urlsplit(database_url)._replace(scheme="postgresql+psycopg").geturl().replace("$", "%24")


def _expectation(rule: Rule) -> ExpectRuleToBeKept:
    return ExpectRuleToBeKept(
        rule_name=rule.name,
        tolerated_ratio=rule.tolerated_ratio,
        severity=GX_SEVERITIES[rule.severity],
        description=rule.description,
    )


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
        failed_ratio=found["unexpected_percent"] / 100,
        sample_ids=tuple(found["partial_unexpected_list"]),
        checked_count=found["element_count"],
        failed_by_project=found["details"]["failed_by_project"],
    )
