"""Pure: what is read for rules. Rules that ask alike are answered by one statement.

Two rules ask alike if their windows are the same and they tell calls apart by the same columns,
be it to take some or to group. The statement groups by these columns, so that each rule finds its
rows by its own values.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

from ingest_api.alerts.judging import Figures
from ingest_api.alerts.metrics import Family
from ingest_api.alerts.rules import SCOPES, TAG_PREFIX, AlertRule, StoredRule
from ingest_api.analytics.dimensions import Dimension, Filter

# How a budget is told apart: its name.
BUDGET: Final = "budget"
NO_GROUP: Final = ""


class Ask(NamedTuple):
    """One window of one rule."""

    rule_id: UUID
    start: datetime
    end: datetime


class Owned(NamedTuple):
    """Projects of a tenant, and the tags that each declares for its roll-ups."""

    tags: Mapping[UUID, frozenset[str]]

    def declares(self, keys: Iterable[str]) -> bool:
        """Whether every project rolls up by all these tags."""
        return all(tags.issuperset(keys) for tags in self.tags.values())


class Read(NamedTuple):
    """One statement.

    Attributes:
        is_of_tenant: Whether the projects of a tenant are added up.
        dimensions: What rows are told apart by, sorted.
        has_declared_tags: Whether all tags among them are in the roll-ups.
    """

    family: Family
    is_of_tenant: bool
    dimensions: tuple[str, ...]
    has_declared_tags: bool
    start: datetime
    end: datetime


def wanted_values(rule: AlertRule) -> dict[str, str]:
    """What a rule takes: the value by dimension."""
    values = {name: getattr(rule, name) for name in SCOPES}
    if rule.tag_key is not None:
        values[TAG_PREFIX + rule.tag_key] = rule.tag_value
    return {name: value for name, value in {**values, BUDGET: rule.budget}.items() if value}


def group_of(rule: AlertRule) -> str | None:
    """What its alerts are told apart by."""
    return BUDGET if rule.kind.family == "budget" and not rule.budget else rule.group_by


def read_of(stored: StoredRule, ask: Ask, owned: Owned) -> Read:
    """The statement that answers one window of a rule."""
    group = group_of(stored.rule)
    dimensions = sorted({*wanted_values(stored.rule), *([group] if group else [])})
    return Read(
        stored.rule.kind.family,
        stored.project_id is None,
        tuple(dimensions),
        owned.declares(stored.rule.tag_keys),
        ask.start,
        ask.end,
    )


def shared_filters(read: Read, rules: Sequence[AlertRule]) -> list[Filter]:
    """Conditions that no row of any of the rules fails, so that the others need not be read."""
    wanted = [wanted_values(rule) for rule in rules]
    return [
        Filter(Dimension(name), tuple(sorted({values[name] for values in wanted})))
        for name in read.dimensions
        if all(name in values for values in wanted)
    ]


class Cells:
    """Rows of a statement, found by owner and values.

    Args:
        dimensions: As in the read.
        rows: With `owner_id`, `dimension_<n>`, and figures.
    """

    def __init__(self, dimensions: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> None:
        self._dimensions = dimensions
        self._rows = rows
        self._by_group: dict[str | None, dict[tuple[Any, ...], dict[str, Figures]]] = {}

    def groups(self, stored: StoredRule) -> dict[str, Figures]:
        """Figures by the value of what the rule groups by; under `NO_GROUP` where it does not."""
        group = group_of(stored.rule)
        if group not in self._by_group:
            self._by_group[group] = self._index(group)
        values = wanted_values(stored.rule)
        key = (stored.owner_id, *(values[name] for name in self._dimensions if name != group))
        return self._by_group[group].get(key, {})

    def _index(self, group: str | None) -> dict[tuple[Any, ...], dict[str, Figures]]:
        found: dict[tuple[Any, ...], dict[str, Figures]] = {}
        for row in self._rows:
            values = {name: row[f"dimension_{n}"] for n, name in enumerate(self._dimensions)}
            value = values.pop(group) if group else NO_GROUP
            found.setdefault((row["owner_id"], *values.values()), {})[value] = row
        return found
