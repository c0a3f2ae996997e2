"""`llmscope export`: what other tools read, as CSV or Parquet."""

import csv
import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated, Any, Final

import psycopg
import typer
from psycopg import sql

from cli.connection import open_database
from cli.errors import CliError
from cli.keys import require_project

if TYPE_CHECKING:
    import pyarrow as pa

app = typer.Typer(no_args_is_help=True, help="Export costs for other tools.")

ROW_GROUP_ROWS: Final = 50_000
NUMERIC_PRECISION, NUMERIC_SCALE = 38, 18
SCALE: Final = Decimal(1).scaleb(-NUMERIC_SCALE)
# The last two columns are not of FOCUS: they are there for row-level security.
FOCUS_COLUMNS: Final = """
select column_name, data_type from information_schema.columns
where table_schema = 'reports' and table_name = 'focus_cost_and_usage'
    and column_name not in ('tenant_id', 'project_id')
order by ordinal_position
"""
UNPRICED: Final = """
select coalesce(sum(unpriced_call_count), 0)::bigint from marts.fct_usage_daily
where usage_date >= %(first)s and usage_date < %(last)s
    and (%(project_id)s::uuid is null or project_id = %(project_id)s)
"""


class FileFormat(StrEnum):
    """What is written."""

    CSV = "csv"
    PARQUET = "parquet"


@app.callback()
def group() -> None:
    """Keep `focus` a command of its own, also while it is the only one."""


@app.command()
def focus(
    file_format: Annotated[
        FileFormat, typer.Option("--format", help="csv, or parquet, which needs --out.")
    ] = FileFormat.CSV,
    first: Annotated[
        str, typer.Option("--from", help="First day, UTC. Default: the first of this month.")
    ] = "",
    last: Annotated[
        str, typer.Option("--to", help="Day after the last, UTC. Default: tomorrow.")
    ] = "",
    project: Annotated[str | None, typer.Option(help="Of this project only.")] = None,
    out: Annotated[Path | None, typer.Option(help="File to write. Default: the terminal.")] = None,
) -> None:
    """Costs as FOCUS 1.3 has them (docs/analytics.md), day by day.

    \b
    Examples:
      llmscope export focus > costs.csv
      llmscope export focus --from 2026-11-01 --to 2026-12-01 --format parquet --out nov.parquet
    """
    if file_format is FileFormat.PARQUET and out is None:
        raise CliError("--format parquet needs --out: Parquet is not for the terminal.")
    today = datetime.now(UTC).date()
    start = read_day("--from", first) if first else today.replace(day=1)
    end = read_day("--to", last) if last else today + timedelta(days=1)
    if end <= start:
        raise CliError("--to must lie after --from: it is the day after the last.")
    with open_database() as connection:
        project_id = None if project is None else require_project(connection, project)
        period = {"first": start, "last": end, "project_id": project_id}
        columns = connection.execute(FOCUS_COLUMNS).fetchall()
        if not columns:
            raise CliError("reports.focus_cost_and_usage is missing: the marts are not built yet.")
        pages = read_pages(connection, [name for name, _ in columns], period)
        if file_format is FileFormat.PARQUET:
            assert out is not None  # noqa: S101 - refused above
            count = write_parquet(out, arrow_schema(columns), pages)
        else:
            count = write_csv(out, [name for name, _ in columns], pages)
        unpriced = connection.execute(UNPRICED, period).fetchone()
    left_out = unpriced[0] if unpriced else 0
    typer.echo(f"{count:,} rows. Left out, for they have no price: {left_out:,} calls.", err=True)


Page = Sequence[tuple[Any, ...]]


def read_pages(
    connection: psycopg.Connection, columns: Sequence[str], period: dict[str, Any]
) -> Iterator[Page]:
    """Rows of the period, a row group at a time, so that memory does not grow with the period."""
    statement = sql.SQL(
        "select {} from reports.focus_cost_and_usage"
        ' where "ChargePeriodStart" >= %(first)s and "ChargePeriodStart" < %(last)s'
        " and (%(project_id)s::uuid is null or project_id = %(project_id)s)"
        ' order by "ChargePeriodStart", "SubAccountName", "SkuId", "Tags"::text'
    ).format(sql.SQL(", ").join(map(sql.Identifier, columns)))
    times = {name: datetime.combine(period[name], time(), UTC) for name in ("first", "last")}
    with connection.cursor(name="focus") as cursor:
        cursor.execute(statement, {**period, **times})
        while page := cursor.fetchmany(ROW_GROUP_ROWS):
            yield page


def write_csv(out: Path | None, names: Sequence[str], pages: Iterator[Page]) -> int:
    """Write CSV with a header; the number of rows."""
    count = 0
    with _open_text(out) as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(names)
        for page in pages:
            writer.writerows([as_text(value) for value in row] for row in page)
            count += len(page)
    return count


@contextmanager
def _open_text(out: Path | None) -> Iterator[IO[str]]:
    if out is None:
        yield sys.stdout
        return
    try:
        with out.open("w", encoding="utf-8", newline="") as file:
            yield file
    except OSError as error:
        raise CliError(f"{out} cannot be written: {error.strerror}.") from None


def as_text(value: object) -> object:
    """Pure: a value as FOCUS writes it: times in UTC with Z, key-values as JSON, plain decimals."""
    match value:
        case datetime():
            return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        case dict():
            return json.dumps(value, sort_keys=True, ensure_ascii=False)
        case Decimal():
            return f"{value.normalize():f}"
        case _:
            return value


def arrow_schema(columns: Sequence[tuple[str, str]]) -> "pa.Schema":
    """Pure: Arrow's types of Postgres' types."""
    import pyarrow as pa

    types = {
        "numeric": pa.decimal128(NUMERIC_PRECISION, NUMERIC_SCALE),
        "timestamp with time zone": pa.timestamp("us", tz="UTC"),
    }
    return pa.schema([(name, types.get(kind, pa.string())) for name, kind in columns])


def write_parquet(out: Path, schema: "pa.Schema", pages: Iterator[Page]) -> int:
    """Write Parquet, one row group per page; the number of rows."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    count = 0
    try:
        with pq.ParquetWriter(out, schema, compression="zstd") as writer:
            for page in pages:
                columns = [
                    [as_arrow(value) for value in column] for column in zip(*page, strict=True)
                ]
                arrays = [
                    pa.array(column, type=field.type)
                    for column, field in zip(columns, schema, strict=True)
                ]
                writer.write_table(pa.Table.from_arrays(arrays, schema=schema))
                count += len(page)
    except OSError as error:
        raise CliError(f"{out} cannot be written: {error.strerror or error}.") from None
    return count


def as_arrow(value: object) -> object:
    """Pure: a value as Arrow takes it: key-values as JSON, decimals to 18 places."""
    match value:
        case dict():
            return json.dumps(value, sort_keys=True, ensure_ascii=False)
        case Decimal():
            return value.quantize(SCALE)
        case _:
            return value


def read_day(option: str, text: str) -> date:
    """Pure: a day.

    Raises:
        CliError: it is none.
    """
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise CliError(f"{option} is {text!r}: write it as 2026-11-23.") from None
