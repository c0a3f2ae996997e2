"""The detector of the mart, over series that are no traffic: the same SQL in a real database."""

import tempfile
from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

import psycopg

from dbt_project.golden.ledger import dbt
from tests.running import run_platform

Point = tuple[str, datetime, float]
"""Series, time (UTC) and value."""

TABLES = """
create schema judging;
create table judging.points (series text, at timestamptz, value double precision);
"""
JUDGE = "{points: judging.points, judged: judging.judged}"
JUDGED = """
select series, array_agg(coalesce(score, 0) order by at),
    array_agg(coalesce(is_news, false) order by at)
from judging.judged group by series
"""


class Judged(NamedTuple):
    """A series' scores, and whether each point scores more than the day before it."""

    scores: Sequence[float]
    are_news: Sequence[bool]

    @property
    def news(self) -> list[float]:
        """Scores of the points that are news, zero for the others."""
        return [
            score if new else 0.0 for score, new in zip(self.scores, self.are_news, strict=True)
        ]


def judge(points: Iterable[Point]) -> dict[str, Judged]:
    """Judge each series from its beginning, in one pass."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with run_platform(folder, only=["postgres"]) as running:
            with psycopg.connect(running.database_url) as connection:
                connection.execute(TABLES)
                _copy(connection, points)
            dbt(running.database_url, folder / "dbt", "run-operation", "judge_series", "--args",
                JUDGE)  # fmt: skip
            return {series: Judged(scores, news) for series, scores, news in running.query(JUDGED)}


def _copy(connection: psycopg.Connection, points: Iterable[Point]) -> None:
    statement = "copy judging.points (series, at, value) from stdin"
    with connection.cursor() as cursor, cursor.copy(statement) as rows:
        for series, at, value in points:
            rows.write_row((series, f"{at.isoformat()}+00", value))
