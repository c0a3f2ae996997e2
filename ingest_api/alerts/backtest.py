"""When would a rule have fired? The past is judged by the same code as the present.

The figures of all steps come in one statement, and windows are added up of them, so that a month of
minutes is read once. What late data has changed since is in these figures: the past is judged as it
is known now.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final, NamedTuple
from uuid import UUID

from ingest_api.alerts.judging import Figures, Judgement, judge
from ingest_api.alerts.metrics import TAGGED
from ingest_api.alerts.read_statements import MEASURES
from ingest_api.alerts.reading import Reader
from ingest_api.alerts.reads import NO_GROUP, group_of, wanted_values
from ingest_api.alerts.rules import COMPARED, TAG_PREFIX, StoredRule
from ingest_api.alerts.silences import is_silent
from ingest_api.alerts.states import Alert, step
from ingest_api.analytics.facts import GAMMA
from ingest_api.analytics.measures import QUANTILES

MAX_DAYS: Final = 30
MINUTE: Final = timedelta(minutes=1)
HOUR: Final = timedelta(hours=1)
DAY: Final = timedelta(days=1)
# Up to this length windows move by the minute, as they do live; longer ones by the hour.
MAX_BY_MINUTE: Final = timedelta(hours=6)
# Minutes of users and tags are read from single calls.
MAX_CALLS: Final = timedelta(hours=48)
MAX_POINTS: Final = 300_000


class BacktestError(ValueError):
    """The rule cannot be judged on the past; the message says why."""


@dataclass(frozen=True)
class PastAlert:
    """An alert that there would have been.

    Attributes:
        resolved_at: None: it would fire still.
        value: Of the window that would have made it fire.
        is_silent: Nobody would have been told.
    """

    group_value: str
    fired_at: datetime
    resolved_at: datetime | None
    value: Decimal | None
    is_silent: bool


class Backtest(NamedTuple):
    """What the past says.

    Attributes:
        step: How far apart the ends of the windows are.
    """

    start: datetime
    end: datetime
    step: timedelta
    alerts: list[PastAlert]


def backtest(reader: Reader, stored: StoredRule, end: datetime, days: int = MAX_DAYS) -> Backtest:
    """Judge a rule on the days before `end`.

    Raises:
        BacktestError: nothing of its past is kept, or it has too many groups.
    """
    if stored.rule.kind.family == "lag":
        raise BacktestError("metric: the past of stream_lag_seconds is not kept")
    by = step_of(stored)
    last = end.replace(minute=0) if by >= HOUR else end
    length = timedelta(days=days)
    start = last - (min(length, MAX_CALLS) if _reads_minutes_of_calls(stored, by) else length)
    ends = [start + n * by for n in range(1, (last - start) // by + 1)]
    judged = series_of(reader, stored, ends, by)
    return Backtest(start, last, by, sorted(walk(stored, ends, judged), key=_order))


def step_of(stored: StoredRule) -> timedelta:
    """How far apart the windows are that are judged."""
    rule = stored.rule
    if rule.kind.family == "budget":
        return DAY
    if rule.kind.family not in TAGGED:
        return HOUR
    is_hours = rule.window % HOUR == timedelta()
    if is_hours and (rule.window > MAX_BY_MINUTE or (_has_people(stored) and not rule.reads_calls)):
        return HOUR
    return MINUTE


def _has_people(stored: StoredRule) -> bool:
    names = {*wanted_values(stored.rule), group_of(stored.rule) or ""}
    return any(name == "user_id" or name.startswith(TAG_PREFIX) for name in names)


def _reads_minutes_of_calls(stored: StoredRule, by: timedelta) -> bool:
    return stored.rule.reads_calls or (by == MINUTE and _has_people(stored))


def _order(alert: PastAlert) -> tuple[datetime, str]:
    return alert.fired_at, alert.group_value


Series = Mapping[datetime, Mapping[str, Judgement]]


def series_of(
    reader: Reader, stored: StoredRule, ends: Sequence[datetime], by: timedelta
) -> Series:
    """The judgements of all windows that end at `ends`."""
    if stored.rule.kind.family not in TAGGED:
        judged = reader.judge([stored], {stored.rule_id: ends})
        return {end: found for (_, end), found in judged.items()}
    before = COMPARED[stored.rule.compare_to] if stored.rule.compare_to else timedelta()
    boundaries = _steps(ends[0] - before - stored.rule.window, ends[-1], by)
    rows = reader.series(stored, boundaries, MAX_POINTS)
    if len(rows) >= MAX_POINTS:
        raise BacktestError("group_by: too many values for a backtest; take a longer window")
    groups: dict[str, dict[datetime, list[Mapping[str, Any]]]] = {}
    for row in rows:
        at = boundaries[row["bucket"] - 1] + by
        groups.setdefault(row["group_value"], {}).setdefault(at, []).append(row)
    if not group_of(stored.rule):
        groups.setdefault(NO_GROUP, {})
    if len(groups) * len(ends) > MAX_POINTS:
        raise BacktestError("group_by: too many values for a backtest; take a longer window")
    figures = {group: _rolled(stored, steps, boundaries[1:], by) for group, steps in groups.items()}
    return {
        end: {
            group: judge(stored.rule, found.get(end), found.get(end - before) if before else None)
            for group, found in figures.items()
        }
        for end in ends
    }


def _steps(start: datetime, end: datetime, by: timedelta) -> list[datetime]:
    return [start + n * by for n in range((end - start) // by + 1)]


def _rolled(
    stored: StoredRule,
    steps: Mapping[datetime, list[Mapping[str, Any]]],
    ends: Sequence[datetime],
    by: timedelta,
) -> dict[datetime, Figures]:
    """The figures of the window behind each end, of the steps in it."""
    window: Summed = Usage() if stored.rule.kind.family == "usage" else Times()
    length = stored.rule.window // by
    found = {}
    for n, end in enumerate(ends):
        for row in steps.get(end, ()):
            window.add(row, 1)
        if n >= length:
            for row in steps.get(ends[n - length], ()):
                window.add(row, -1)
        found[end] = window.figures()
    return found


class Usage:
    """Sums of steps."""

    def __init__(self) -> None:
        self.sums: Counter[str] = Counter()
        self.cost = Decimal(0)
        self.priced_steps = 0

    def add(self, row: Mapping[str, Any], sign: int) -> None:
        """Take a step in, or out."""
        for measure in MEASURES:
            if measure.kind == "count":
                self.sums[measure.name] += sign * row[measure.name]
        if row["total_cost_usd"] is not None:
            self.cost += sign * row["total_cost_usd"]
            self.priced_steps += sign

    def figures(self) -> Figures:
        """As a window has them."""
        return {**self.sums, "total_cost_usd": self.cost if self.priced_steps else None}


class Times:
    """Bins of steps."""

    def __init__(self) -> None:
        self.bins: Counter[int] = Counter()

    def add(self, row: Mapping[str, Any], sign: int) -> None:
        """Take a bin of a step in, or out."""
        self.bins[row["bin_index"]] += sign * int(row["call_count"])

    def figures(self) -> Figures:
        """As a window has them."""
        kept = sorted((index, count) for index, count in self.bins.items() if count)
        total = sum(count for _, count in kept)
        found: dict[str, Any] = {"call_count": total}
        rank, wanted = 0, list(QUANTILES.items())
        for index, count in kept:
            rank += count
            while wanted and rank + 0.001 >= wanted[0][1] * total:
                found[wanted.pop(0)[0]] = 2 * GAMMA**index / (GAMMA + 1)
        return found


Summed = Usage | Times


def walk(stored: StoredRule, ends: Sequence[datetime], judged: Series) -> Iterator[PastAlert]:
    """The alerts that the judgements would have raised."""
    rule = stored.rule
    alerts: dict[str, Alert] = {}
    firing: dict[str, PastAlert] = {}
    for end in ends:
        silent = is_silent(rule.silences, rule.mutes, end)
        for group in {*judged[end], *firing}:
            found = judged[end].get(group) or judge(rule, None)
            after = step(rule, alerts.get(group, Alert()), found, end, end, is_silent=silent)
            alerts[group] = after.alert
            if after.change == "firing":
                firing[group] = PastAlert(group, end, None, found.value, silent)
            elif group in firing and after.message == "alert_firing":
                firing[group] = replace(firing[group], is_silent=False)
            if after.change == "resolved":
                yield replace(firing.pop(group), resolved_at=end)
    yield from firing.values()


def unsaved(tenant_id: UUID, project_id: UUID | None, rule: Any) -> StoredRule:
    """A rule that is not stored, to be judged all the same."""
    return StoredRule(rule_id=UUID(int=0), tenant_id=tenant_id, project_id=project_id, rule=rule)
