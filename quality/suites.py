"""The shape of a suite: rules that each row of a query must obey, and what a validation found.

Plain values without Great Expectations, whose import costs 3 s and 220 MB: whoever only needs to
know which checks exist pays nothing.
"""

from dataclasses import dataclass
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
    """

    name: str
    description: str
    truth: str
    severity: Severity = Severity.ERROR
    tolerated_ratio: float = 0.0


@dataclass(frozen=True)
class Suite:
    """Rules about the rows of one source.

    Attributes:
        source: SQL behind `from`, filters included. It gives a column `event_id`.
    """

    name: str
    source: str
    rules: tuple[Rule, ...]

    def rows_query(self) -> str:
        """One row per row of the source: its `event_id`, and a boolean column per rule."""
        columns = [f"({rule.truth}) as {rule.name}" for rule in self.rules]
        return f"select event_id, {', '.join(columns)} from {self.source}"  # noqa: S608 - our own SQL


@dataclass(frozen=True)
class Outcome:
    """What a validation found about one rule.

    Attributes:
        failed_count: Rows that break the rule; a check that tolerates some may pass all the same.
        failed_ratio: Their share, 0 to 1, of the rows about which the rule says something.
        sample_ids: Ids of some of those rows: of events, unless the rule says otherwise.
    """

    rule: Rule
    is_passed: bool
    failed_count: int = 0
    failed_ratio: float = 0.0
    sample_ids: tuple[str, ...] = ()
