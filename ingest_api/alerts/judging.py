"""Pure: whether the figures of a window meet the condition of a rule.

Nothing is guessed. A window without calls has no cost, no share and no percentile; a cost that is
not known is not 0; a ratio to nothing is no ratio. Each of these is `no_data`, with its reason.
"""

from collections.abc import Mapping
from decimal import Decimal
from typing import Final, Literal, NamedTuple

from ingest_api.alerts.metrics import TAGGED
from ingest_api.alerts.rules import AlertRule

Verdict = Literal["met", "not_met", "no_data"]
Reason = Literal["empty", "too_few_calls", "unpriced", "unmeasured", "no_baseline", "unreadable"]
Number = Decimal | int | float
Figures = Mapping[str, Number | None]

DECIMALS: Final = 9
# Nothing happened that could meet the condition. The other reasons leave it unknown.
QUIET: Final[frozenset[Reason]] = frozenset({"empty", "too_few_calls"})
REASON_WORDS: Final[dict[Reason, str]] = {
    "empty": "no call in the window",
    "too_few_calls": "fewer calls than minimum_call_count",
    "unpriced": "no call of the window has a cost",
    "unmeasured": "no call of the window was measured",
    "no_baseline": "the window that it is compared with has no figure",
    "unreadable": "the figures could not be read",
}


class Judgement(NamedTuple):
    """What a window says.

    Attributes:
        value: What is compared with the threshold; None with `no_data`, where there is none.
        figure: The window's own figure; differs from `value` for a change.
        baseline: The figure of the window before, for a change.
    """

    verdict: Verdict
    value: Decimal | None = None
    reason: Reason | None = None
    figure: Decimal | None = None
    baseline: Decimal | None = None
    call_count: int = 0

    @property
    def is_quiet(self) -> bool:
        """Whether an alert may end because of it."""
        return self.verdict == "not_met" or self.reason in QUIET

    @property
    def is_met(self) -> bool:
        """Whether the condition holds."""
        return self.verdict == "met"


UNREADABLE: Final = Judgement("no_data", reason="unreadable")


def judge(rule: AlertRule, figures: Figures | None, baseline: Figures | None = None) -> Judgement:
    """Judge one window.

    Args:
        rule: Its condition.
        figures: Of the window; None: nothing was found.
        baseline: Of the window that a change is against, where the rule compares.
    """
    calls = _calls(figures)
    figure, reason = _figure(rule, figures)
    if figure is None:
        return Judgement("no_data", reason=reason, call_count=calls)
    if not rule.compare_to:
        return Judgement(_verdict(rule, figure), figure, None, figure, None, calls)
    before, _ = _figure(rule, baseline)
    if not before:
        # Nothing after nothing is no change; something after nothing is nobody knows how much.
        return Judgement(
            "no_data", None, "no_baseline" if figure else "empty", figure, before, calls
        )
    change = round(figure / before, DECIMALS)
    return Judgement(_verdict(rule, change), change, None, figure, before, calls)


def _verdict(rule: AlertRule, value: Decimal) -> Verdict:
    is_met = value > rule.threshold if rule.direction == "above" else value < rule.threshold
    return "met" if is_met else "not_met"


def _figure(rule: AlertRule, figures: Figures | None) -> tuple[Decimal | None, Reason | None]:
    kind = rule.kind
    if kind.family in TAGGED:
        calls = _calls(figures)
        if calls < rule.minimum_call_count:
            return None, "too_few_calls"
        if not calls:
            return (Decimal(0), None) if kind.is_count else (None, "empty")
        value = _of_calls(rule.metric, figures or {}, calls)
        unknown: Reason = "unpriced" if kind.unit == "usd" else "unmeasured"
        return (None, unknown) if value is None else (_decimal(value), None)
    value = (figures or {}).get(rule.metric)
    if value is None:
        return (Decimal(0), None) if kind.is_count else (None, "empty")
    return _decimal(value), None


def _calls(figures: Figures | None) -> int:
    return int((figures or {}).get("call_count") or 0)


def _of_calls(metric: str, figures: Figures, calls: int) -> Number | None:
    match metric:
        case "cost":
            return figures["total_cost_usd"]
        case "calls":
            return calls
        case "tokens":
            return _count(figures, "input_tokens") + _count(figures, "output_tokens")
        case "input_tokens" | "output_tokens":
            return _count(figures, metric)
        case "error_rate":
            return Decimal(_count(figures, "error_count")) / calls
        case "unpriced_share":
            return Decimal(_count(figures, "unpriced_call_count")) / calls
        case "missing_usage_share":
            return Decimal(_count(figures, "missing_usage_call_count")) / calls
        case _:
            return figures.get(metric.rsplit("_", 1)[1])


def _count(figures: Figures, name: str) -> int:
    return int(figures.get(name) or 0)


def _decimal(value: Number) -> Decimal:
    return round(value if isinstance(value, Decimal) else Decimal(str(value)), DECIMALS)
