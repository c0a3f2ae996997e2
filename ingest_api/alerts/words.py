"""Pure: figures and rules in words."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Final

from ingest_api.alerts.metrics import Unit
from ingest_api.alerts.reads import wanted_values
from ingest_api.alerts.rules import AlertRule, Comparison

# Below it two decimals would say nothing.
SMALL_USD: Final = Decimal("0.1")
UNITS: Final = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))
BEFORE: Final[dict[Comparison, str]] = {
    "day_before": "the day before",
    "week_before": "the week before",
}


def amount(value: Decimal | None, unit: Unit) -> str:
    """A figure with its unit; a dash where it is unknown."""
    if value is None:
        return "-"
    match unit:
        case "usd":
            decimals = 2 if abs(value) >= SMALL_USD or not value else 6
            return f"{value:,.{decimals}f} USD"
        case "ratio":
            return f"{shortest(round(value * 100, 2))} %"
        case "seconds":
            return f"{shortest(round(value, 3))} s"
        case _:
            return shortest(round(value, 3))


def shortest(value: Decimal) -> str:
    """Digits without zeros at the end."""
    text = f"{value:,f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def compared(rule: AlertRule, value: Decimal | None) -> str:
    """What is compared with the threshold, or the threshold: a figure, or a change."""
    if rule.compare_to is None or value is None:
        return amount(value, rule.kind.unit)
    return f"{shortest(round(value, 3))} times {BEFORE[rule.compare_to]}"


def duration(length: timedelta) -> str:
    """As in 1 h 30 min."""
    seconds, words = int(length.total_seconds()), []
    for size, name in UNITS:
        count, seconds = divmod(seconds, size)
        if count:
            words.append(f"{count} {name}")
    return " ".join(words) or "0 s"


def instant(at: datetime) -> str:
    """To the minute, UTC."""
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def scope(rule: AlertRule, project: str) -> str:
    """The calls that a rule is for."""
    values = wanted_values(rule)
    named = [f"{name.removesuffix('_name').removesuffix('_id')}={values[name]}" for name in values]
    return " ".join([f"project={project}", *named])
