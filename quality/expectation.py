"""The expectation that a rule is kept, judged from what Postgres counted in one pass."""

import json
from typing import Any, ClassVar

from great_expectations.expectations.expectation import QueryExpectation


class ExpectRuleToBeKept(QueryExpectation):
    """At most a tolerated share of the rows breaks the rule.

    The batch has one row per rule (`quality.findings`). All rules of a suite ask the same query,
    which Great Expectations therefore runs once.
    """

    rule_name: str
    tolerated_ratio: float = 0.0
    query: str = "select * from {batch}"

    metric_dependencies: ClassVar[tuple[str, ...]] = ("query.table",)
    success_keys: ClassVar[tuple[str, ...]] = ("rule_name", "tolerated_ratio", "query")

    def _validate(
        self,
        metrics: dict[str, Any],
        runtime_configuration: dict[str, Any] | None = None,  # noqa: ARG002
        execution_engine: object = None,  # noqa: ARG002
    ) -> dict[str, Any]:
        """Counts and ids in the terms of Great Expectations' own results."""
        (found,) = (row for row in metrics["query.table"] if row["rule_name"] == self.rule_name)
        failed, checked = found["failed_count"], found["checked_count"]
        ratio = failed / checked if checked else 0.0
        return {
            "success": ratio <= self.tolerated_ratio,
            "result": {
                "element_count": checked,
                "unexpected_count": failed,
                "unexpected_percent": 100 * ratio,
                "partial_unexpected_list": json.loads(found["sample_ids"]),
                "details": {"failed_by_project": json.loads(found["failed_by_project"])},
            },
        }
