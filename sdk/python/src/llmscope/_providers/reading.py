"""Reads JSON that somebody else wrote: what is not there, or no number, is None."""

from __future__ import annotations

from typing import Any

# A dict and no Mapping: `isinstance` of an abstract class takes ten times as long.
Json = dict[str, Any]
MAX_TOKENS = 1_000_000_000
# Price classes by the names that providers give them; `auto` and others say nothing.
TIERS = {
    "batch": "batch",
    "default": "default",
    "flex": "flex",
    "on_demand": "default",
    "priority": "priority",
    "standard": "default",
}


def count_at(json: Any, *path: str) -> int | None:
    """A number of tokens."""
    for name in path:
        json = json.get(name) if isinstance(json, dict) else None
        if json is None:
            return None
    if isinstance(json, float) and json.is_integer():
        json = int(json)
    is_count = isinstance(json, int) and not isinstance(json, bool) and 0 <= json <= MAX_TOKENS
    return json if is_count else None


def first_count(json: Any, *paths: tuple[str, ...]) -> int | None:
    """The first of several places that holds a number of tokens."""
    for path in paths:
        count = count_at(json, *path)
        if count is not None:
            return count
    return None


def text_at(json: Any, name: str) -> str | None:
    """A text that is not empty."""
    value = json.get(name) if isinstance(json, dict) else None
    return value if isinstance(value, str) and value else None


def objects_at(json: Any, name: str) -> list[Json]:
    """The objects of a list."""
    value = json.get(name) if isinstance(json, dict) else None
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def tier_of(*names: Any) -> str | None:
    """The first price class that is known."""
    for name in names:
        if isinstance(name, str) and name in TIERS:
            return TIERS[name]
    return None


def with_source(fields: dict[str, Any], usage: Any, is_final: bool = True) -> dict[str, Any]:
    """`fields` with the verbatim usage and who counted.

    Counts of an answer that broke off are the provider's last interim ones: an estimate.
    """
    has_counts = fields.get("input_tokens") is not None or fields.get("output_tokens") is not None
    counted = "provider" if is_final else "estimated"
    fields["usage_source"] = counted if has_counts else "missing"
    fields["usage_details"] = dict(usage) if isinstance(usage, dict) and usage else None
    return fields


def counts_by(json: Any, name: str, key: str, count: str) -> list[tuple[str, int]]:
    """A list of named counts."""
    found = ((entry.get(key), count_at(entry, count)) for entry in objects_at(json, name))
    return [(who, number) for who, number in found if isinstance(who, str) and number is not None]
