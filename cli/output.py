"""Lists for people, and the same lists for programs."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import typer


def print_rows(rows: Sequence[Mapping[str, Any]], columns: Sequence[str], *, as_json: bool) -> None:
    """The rows whole as JSON, or their `columns` side by side."""
    if as_json:
        print_json(rows)
    else:
        print_table(rows, columns)


def print_json(value: object) -> None:
    """One JSON document."""
    typer.echo(json.dumps(value, indent=2, ensure_ascii=False, default=_plain))


def print_table(rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> None:
    """Columns side by side under their names; nothing where there is no row."""
    if not rows:
        return
    cells = [[as_text(row[name]) for name in columns] for row in rows]
    heads = [name.upper().replace("_", " ") for name in columns]
    widths = [max(map(len, column)) for column in zip(heads, *cells, strict=True)]
    typer.secho(_line(heads, widths), bold=True)
    for row in cells:
        typer.echo(_line(row, widths))


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    return "  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip()


def as_text(value: object) -> str:
    """A value in a cell: nothing as `-`, times in UTC to the second."""
    match value:
        case None | "":
            return "-"
        case bool():
            return "yes" if value else "no"
        case datetime():
            return value.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%SZ")
        case list() | tuple():
            return ",".join(map(as_text, value))
        case int():
            return f"{value:,}"
        case _:
            return printable(str(value))


def printable(text: str) -> str:
    """`text` on one line and without control characters, which could act on the terminal."""
    return "".join(one if one.isprintable() else " " for one in text)


def _plain(value: object) -> str:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    if isinstance(value, UUID):
        return str(value)
    raise TypeError(f"{type(value).__name__} has no JSON form")
