"""Days of real ChatGPT traffic, of which the tenth is fifty times as busy as those before."""

from csv import DictReader
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from benchmarks.anomaly.ledger import Point

COLUMNS: Final = ("requests", "total_tokens")
SURGE_DAY: Final = 9
# The file numbers its days.
FIRST_DAY: Final = datetime(2024, 1, 1)  # noqa: DTZ001 - as NAB's times, without a zone


def read_days(folder: Path) -> list[Point]:
    """A series per column."""
    with (folder / "daily.csv").open() as lines:
        return [
            (column, FIRST_DAY + timedelta(days=int(row["day"])), float(row[column]))
            for row in DictReader(lines)
            for column in COLUMNS
        ]
