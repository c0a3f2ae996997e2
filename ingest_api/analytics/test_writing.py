"""Rows in several pieces are one file."""

import io
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from pyarrow import parquet

from ingest_api.analytics.measures import Column
from ingest_api.analytics.parameters import Format
from ingest_api.analytics.periods import read_period, read_zone
from ingest_api.analytics.shapes import fill
from ingest_api.analytics.writing import writer_for

NOON = datetime(2026, 11, 2, 12, tzinfo=UTC)
COLUMNS = [
    Column("model", "text"), Column("models", "texts"), Column("started_at", "time"),
    Column("call_count", "count"), Column("total_cost_usd", "usd"), Column("is_other", "flag"),
    Column("p50_duration_seconds", "seconds"),
]  # fmt: skip
ROWS: list[list[Any]] = [
    ['comma, "quote"\nline', ["a", "b"], NOON, 2**40, "0.00000000001234", False, 0.5],
    [None, [], None, 0, None, True, None],
    ["=1+1", ["c"], NOON, 3, "12345678901234567890.5", False, 1e-6],
]


def written(form: Format, *batches: list[list[Any]]) -> bytes:
    writer = writer_for(form, COLUMNS)
    return b"".join([*(writer.write(batch) for batch in batches), writer.close()])


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_pieces_make_one_file(form: Format) -> None:
    one, many = written(form, ROWS), written(form, ROWS[:1], ROWS[1:])
    if form == "csv":
        assert one == many
        return
    tables = [parquet.read_table(io.BytesIO(file)) for file in (one, many)]
    assert tables[0].equals(tables[1])
    assert parquet.ParquetFile(io.BytesIO(many)).num_row_groups == 2
    assert tables[0]["total_cost_usd"].to_pylist() == [
        Decimal("0.00000000001234"), None, Decimal("12345678901234567890.5"),
    ]  # fmt: skip
    assert tables[0]["started_at"].to_pylist()[0] == NOON


def test_csv_is_rfc_4180() -> None:
    lines = written("csv", ROWS).decode().split("\r\n")
    assert lines[0] == (
        "model,models,started_at,call_count,total_cost_usd,is_other,p50_duration_seconds"
    )
    assert lines[1] == (
        '"comma, ""quote""\nline",a;b,2026-11-02T12:00:00+00:00,1099511627776,0.00000000001234,'
        "false,0.5"
    )
    assert lines[2] == ",,,0,,true,"


def test_gaps_are_filled_with_zero_calls_and_unknown_cost() -> None:
    day = datetime(2026, 11, 2, tzinfo=UTC)
    period = read_period(day, day.replace(day=4), read_zone("UTC"), day)
    figures = [Column("call_count", "count"), Column("total_cost_usd", "usd")]
    edges = [day, day.replace(day=3), day.replace(day=4)]
    rows = [
        {"bucket": 2, "model": "a", "is_other": False, "call_count": 3, "total_cost_usd": "1"},
        {"bucket": 1, "model": "", "is_other": True, "call_count": 2, "total_cost_usd": None},
    ]
    filled = fill(rows, edges, period, "model", figures)
    assert [
        (row["started_at"].day, row["model"], row["call_count"], row["total_cost_usd"])
        for row in filled
    ] == [(2, "a", 0, None), (2, None, 2, None), (3, "a", 3, "1"), (3, None, 0, None)]
    assert fill([], edges, period, "model", figures) == []
    assert len(fill([], edges, period, None, figures)) == 2
