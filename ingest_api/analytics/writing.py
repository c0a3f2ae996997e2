"""Rows as JSON, CSV and Parquet, a batch at a time."""

import csv
import io
from collections.abc import Iterable, Sequence
from datetime import datetime
from decimal import Context, Decimal
from typing import Any, Final, Protocol

from ingest_api.analytics.measures import Column
from ingest_api.analytics.parameters import Format

Values = Sequence[Any]

MEDIA_TYPES: Final[dict[Format, str]] = {
    "json": "application/json",
    "csv": "text/csv; charset=utf-8",
    "parquet": "application/vnd.apache.parquet",
}
# Parquet's decimals have one scale for a column; a cost has at most 12 digits behind the point
# as long as a price has six.
USD_PRECISION, USD_SCALE = 38, 18


class Writer(Protocol):
    """Turns batches of rows into bytes."""

    def write(self, rows: Iterable[Values]) -> bytes:
        """The bytes of some rows."""

    def close(self) -> bytes:
        """The last bytes."""


class CsvWriter:
    """RFC 4180 with a line of names; nothing is an empty cell."""

    def __init__(self, columns: Sequence[Column]) -> None:
        self._names: Values | None = [column.name for column in columns]

    def write(self, rows: Iterable[Values]) -> bytes:
        """The lines of some rows; the names before the first."""
        text = io.StringIO()
        lines = csv.writer(text)
        if self._names is not None:
            lines.writerow(self._names)
            self._names = None
        lines.writerows([_cell(value) for value in row] for row in rows)
        return text.getvalue().encode()

    def close(self) -> bytes:
        """The names, where no row came."""
        return self.write([])


def _cell(value: Any) -> Any:
    match value:
        case datetime():
            return value.isoformat()
        case list():
            return ";".join(value)
        case bool():
            return str(value).lower()
        case _:
            return value


class ParquetWriter:
    """One row group a batch; money is decimal, times are UTC."""

    def __init__(self, columns: Sequence[Column]) -> None:
        # 80 ms and 40 MB that an API without exports need not spend.
        import pyarrow as pa
        from pyarrow import parquet

        self._columns = columns
        self._schema = pa.schema([(column.name, _arrow_type(column)) for column in columns])
        self._sink = io.BytesIO()
        self._writer = parquet.ParquetWriter(self._sink, self._schema, compression="zstd")

    def write(self, rows: Iterable[Values]) -> bytes:
        """The bytes of a row group."""
        import pyarrow as pa

        by_column = list(zip(*rows, strict=True)) or [()] * len(self._columns)
        arrays = [
            pa.array(_usd(values) if column.kind == "usd" else values, field.type)
            for values, column, field in zip(by_column, self._columns, self._schema, strict=True)
        ]
        self._writer.write_table(pa.Table.from_arrays(arrays, schema=self._schema))
        return self._taken()

    def close(self) -> bytes:
        """The footer."""
        self._writer.close()
        return self._taken()

    def _taken(self) -> bytes:
        """What was written since the last time; the sink goes on counting from where it is."""
        written = self._sink.getvalue()
        self._sink.seek(0)
        self._sink.truncate()
        return written


def _arrow_type(column: Column) -> Any:
    import pyarrow as pa

    types = {
        "text": pa.string(),
        "texts": pa.list_(pa.string()),
        "time": pa.timestamp("us", tz="UTC"),
        "count": pa.int64(),
        "usd": pa.decimal128(USD_PRECISION, USD_SCALE),
        "seconds": pa.float64(),
        "flag": pa.bool_(),
    }
    return types[column.kind]


QUANTUM: Final = Decimal(1).scaleb(-USD_SCALE)
USD_CONTEXT: Final = Context(USD_PRECISION)


def _usd(values: Values) -> list[Decimal | None]:
    """Money, which comes as its text."""
    return [
        None if value is None else Decimal(value).quantize(QUANTUM, context=USD_CONTEXT)
        for value in values
    ]


def writer_for(form: Format, columns: Sequence[Column]) -> Writer:
    """The writer of an export."""
    return ParquetWriter(columns) if form == "parquet" else CsvWriter(columns)
