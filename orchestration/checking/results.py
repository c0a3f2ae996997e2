"""One outcome of a check in all its forms: Dagster's result, and the row that reports read."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import dagster as dg
import psycopg
from psycopg.types.json import Jsonb

from quality.suites import Outcome, Rule, Severity

KEPT_DAYS: Final = 30
SEVERITIES: Final = {
    Severity.ERROR: dg.AssetCheckSeverity.ERROR,
    Severity.WARN: dg.AssetCheckSeverity.WARN,
}
INSERT: Final = """
insert into app.check_results (
    asset_key, check_name, severity, is_passed, failed_count, description, checked_count,
    failed_ratio, sample_ids, failed_by_project, run_id
) values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
"""
# About 15,000 rows a day under load; the report adds them up by day and check.
PRUNE: Final = "delete from app.check_results where checked_at < now() - %s * interval '1 day'"


@dataclass(frozen=True)
class AssetOutcome:
    """An outcome, the asset that it is about, and what else its page shows."""

    asset_key: dg.AssetKey
    outcome: Outcome
    facts: Mapping[str, object] = field(default_factory=dict)

    def check_result(self) -> dg.AssetCheckResult:
        """As a run yields it."""
        return dg.AssetCheckResult(**self._fields())

    def evaluation(self) -> dg.AssetCheckEvaluation:
        """As a sensor reports it, without a run."""
        return dg.AssetCheckEvaluation(**self._fields())

    def _fields(self) -> dict[str, Any]:
        outcome = self.outcome
        return {
            "asset_key": self.asset_key,
            "check_name": outcome.rule.name,
            "passed": outcome.is_passed,
            "severity": SEVERITIES[outcome.rule.severity],
            "description": outcome.rule.description,
            "metadata": {
                "failed_count": outcome.failed_count,
                "failed_ratio": outcome.failed_ratio,
                "sample_ids": list(outcome.sample_ids),
                "failed_by_project": dict(outcome.failed_by_project),
                **self.facts,
            },
        }

    def row(self, run_id: str | None) -> tuple[object, ...]:
        """Values in the order of `INSERT`."""
        outcome, rule = self.outcome, self.outcome.rule
        return (
            self.asset_key.to_user_string(),
            rule.name,
            rule.severity.value,
            outcome.is_passed,
            outcome.failed_count,
            rule.description,
            outcome.checked_count,
            outcome.failed_ratio,
            list(outcome.sample_ids),
            Jsonb(dict(outcome.failed_by_project)),
            run_id,
        )


def check_specs(asset_key: dg.AssetKey, rules: Iterable[Rule]) -> list[dg.AssetCheckSpec]:
    """The checks of an asset, one per rule."""
    return [
        dg.AssetCheckSpec(
            rule.name,
            asset=asset_key,
            description=rule.description,
            metadata={"severity": rule.severity.value, "truth": rule.truth},
        )
        for rule in rules
    ]


def store_results(
    connection: psycopg.Connection, results: Sequence[AssetOutcome], run_id: str | None = None
) -> None:
    """Append `results` of a run, if it was one, and drop those older than `KEPT_DAYS`."""
    with connection.transaction(), connection.cursor() as cursor:
        cursor.executemany(INSERT, [result.row(run_id) for result in results])
        cursor.execute(PRUNE, [KEPT_DAYS])
