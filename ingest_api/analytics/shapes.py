"""Pure: rows of SQL as the rows of an answer."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from itertools import pairwise
from typing import Any, Final

from ingest_api.analytics.measures import Column
from ingest_api.analytics.periods import Period

Row = dict[str, Any]

BUCKET_COLUMNS: Final = [Column("started_at", "time"), Column("ended_at", "time")]
IS_OTHER: Final = Column("is_other", "flag")


def nothing(figures: Iterable[Column]) -> Row:
    """The figures of no call: counts are zero, and money and times are unknown."""
    return {column.name: 0 if column.kind == "count" else None for column in figures}


def without_name(row: Row, dimension: str) -> Row:
    """A row of `top` or of a series; the others together have no name."""
    return {**row, dimension: None} if row["is_other"] else row


def fill(
    rows: Iterable[Row],
    boundaries: Sequence[datetime],
    period: Period,
    dimension: str | None,
    figures: Sequence[Column],
) -> list[Row]:
    """Every bucket of every series, in time's order; where nobody called, `nothing`."""
    keys = [dimension, "is_other"] if dimension else []
    found: dict[tuple[Any, ...], dict[int, Row]] = {} if dimension else {(): {}}
    for row in rows:
        found.setdefault(tuple(row[key] for key in keys), {})[row.get("bucket", 1)] = row
    series = sorted(found.items(), key=lambda pair: (pair[0][1:], pair[0]))
    gap = nothing(figures)
    filled = []
    for bucket, (start, end) in enumerate(pairwise(boundaries), 1):
        times = {"started_at": period.shown(start), "ended_at": period.shown(end)}
        for values, by_bucket in series:
            row = times | dict(zip(keys, values, strict=True))
            figures_of = by_bucket.get(bucket, gap)
            row |= {column.name: figures_of[column.name] for column in figures}
            filled.append(without_name(row, dimension) if dimension else row)
    return filled


def totals(rows: Iterable[Row], figures: Sequence[Column], bucket: int) -> Row:
    """The figures of one bucket; `nothing` where it has no row."""
    gap = nothing(figures)
    row = next((row for row in rows if row.get("bucket", 1) == bucket), gap)
    return {name: row[name] for name in gap}
