"""The same figures from single calls, in plain Python and by another way than the API's."""

import math
from collections import defaultdict
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

Call = dict[str, Any]
SUMS = (
    "input_tokens", "cache_read_input_tokens", "output_tokens", "total_cost_usd",
    "uncached_input_cost_usd", "cache_read_cost_usd", "output_cost_usd", "reported_cost_usd",
    "cost_difference_usd",
)  # fmt: skip


def value_of(call: Call, dimension: str) -> str:
    """What a call is grouped under."""
    if dimension.startswith("tag:"):
        return str(call["tags"].get(dimension.removeprefix("tag:"), "(none)"))
    return "(none)" if call[dimension] is None else str(call[dimension])


def bucket_of(call: Call, interval: str, zone: str) -> tuple[int, ...]:
    """The bucket's name on the wall clock; two hours of one name stay two by their offset."""
    shown = call["started_at"].astimezone(ZoneInfo(zone))
    match interval:
        case "minute":
            return (*shown.timetuple()[:5], _offset(shown))
        case "hour":
            return (*shown.timetuple()[:4], _offset(shown))
        case "day":
            return tuple(shown.timetuple()[:3])
        case "week":
            return tuple(shown.isocalendar()[:2])
        case _:
            return tuple(shown.timetuple()[:2])


def _offset(shown: datetime) -> int:
    offset = shown.utcoffset()
    assert offset is not None
    return int(offset.total_seconds())


def figures(calls: Iterable[Call]) -> dict[str, Any]:
    """Counts and sums; a sum of nothing but nulls is null, as in SQL."""
    rows = list(calls)
    found: dict[str, Any] = {
        "call_count": len(rows),
        "error_count": sum(row["error_type"] is not None for row in rows),
        "stream_count": sum(row["is_stream"] for row in rows),
        "unpriced_call_count": sum(
            row["total_cost_usd"] is None and row["unpriced_reason"] != "no_usage" for row in rows
        ),
    }
    for name in SUMS:
        values = [row[name] for row in rows if row[name] is not None]
        found[name] = sum(values) if values or not name.endswith("_usd") else None
    return found


def grouped(
    calls: Iterable[Call], key: Callable[[Call], tuple[Any, ...]]
) -> dict[tuple[Any, ...], dict[str, Any]]:
    """Figures by key."""
    groups: dict[tuple[Any, ...], list[Call]] = defaultdict(list)
    for call in calls:
        groups[key(call)].append(call)
    return {name: figures(group) for name, group in groups.items()}


def within(calls: Iterable[Call], start: datetime, end: datetime) -> list[Call]:
    """Calls of a period."""
    return [call for call in calls if start <= call["started_at"] < end]


def quantile(values: Iterable[float], ratio: float) -> float:
    """The value at the rank: the smallest with at least that share at or below it."""
    ordered = sorted(values)
    return ordered[max(math.ceil(ratio * len(ordered)) - 1, 0)]


def assert_same(row: dict[str, Any], expected: dict[str, Any]) -> None:
    """Every expected figure that the row has is equal, money to the last digit."""
    shared = [name for name in expected if name in row]
    assert len(shared) > 3
    for name in shared:
        value = row[name]
        if name.endswith("_usd"):
            assert value is None or isinstance(value, str)
            value = None if value is None else Decimal(value)
        assert value == expected[name], (name, row, expected)


def utc(text: str) -> datetime:
    """An instant of an answer."""
    return datetime.fromisoformat(text).astimezone(UTC)
