"""The shape of a suite: rules that each row of a query must obey, and what a validation found.

Plain values without Great Expectations, whose import costs 3 s and 220 MB: whoever only needs to
know which checks exist pays nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum


class Severity(Enum):
    """What a broken rule means: `ERROR`, figures are wrong; `WARN`, figures are in doubt."""

    ERROR = "error"
    WARN = "warn"


@dataclass(frozen=True)
class Rule:
    """One truth about every row.

    Attributes:
        name: The truth itself, as a snake_case sentence.
        description: What a broken row means and where to look.
        truth: SQL over the columns of the suite's source. A row breaks the rule where it is false;
            null, the answer about what was not reported, is no breach.
        tolerated_ratio: Share of rows, 0 to 1, that may break the rule before the check fails.
        holds_back: Whether events that break it are left out of the marts until an operator
            releases them, because the figures that they would give are wrong.
    """

    name: str
    description: str
    truth: str
    severity: Severity = Severity.ERROR
    tolerated_ratio: float = 0.0
    holds_back: bool = False


@dataclass(frozen=True)
class Suite:
    """Rules about the rows of one source.

    Attributes:
        source: SQL behind `from`, filters included. It gives the columns `event_id`, by which a
            breach is named, and `project_id`.
        unit: What a row is, in the plural.
        counted: SQL behind `from` that has about as many rows, where it is dear to count those of
            the source; empty where it is not.
    """

    name: str
    source: str
    rules: tuple[Rule, ...]
    unit: str = "events"
    counted: str = ""


@dataclass(frozen=True)
class Outcome:
    """What a validation found about one rule.

    Attributes:
        failed_count: Rows that break the rule; a check that tolerates some may pass all the same.
        failed_ratio: Their share, 0 to 1, of the rows that were looked at.
        sample_ids: Ids of some of those rows: of events, unless the rule says otherwise.
        checked_count: Rows that were looked at; None where the rule is about no rows.
        failed_by_project: How many of the failed rows belong to which project, by its id; of the
            projects with the most.
    """

    rule: Rule
    is_passed: bool
    failed_count: int = 0
    failed_ratio: float = 0.0
    sample_ids: tuple[str, ...] = ()
    checked_count: int | None = None
    failed_by_project: Mapping[str, int] = field(default_factory=dict)
