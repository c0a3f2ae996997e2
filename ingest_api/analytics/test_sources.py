"""Which tables a question is read from."""

import random
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from uuid import UUID

import pytest

from ingest_api.analytics.call_limits import check_calls
from ingest_api.analytics.dimensions import Dimension
from ingest_api.analytics.periods import boundaries, read_period, read_zone
from ingest_api.analytics.sources import (
    GRAINS,
    LATENCY,
    USAGE,
    Scan,
    choose,
    cover,
)
from ingest_api.analytics.statements import Question, state
from ingest_api.errors import LimitExceededError

NO_TAGS: frozenset[str] = frozenset()
MIDNIGHT = datetime(2026, 11, 2, tzinfo=UTC)
MODEL_USAGE = [
    "fct_model_usage_daily", "fct_model_usage_hourly", "fct_model_usage_quarter_hourly",
    "fct_usage_minutely",
]  # fmt: skip
QUARTER = timedelta(minutes=15)
DAY, HOUR, MINUTE = timedelta(days=1), timedelta(hours=1), timedelta(minutes=1)


def chosen(*names: str, tags: frozenset[str] = NO_TAGS) -> list[str]:
    return [one.table for one in choose(USAGE, map(Dimension, names), tags)]


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ([], MODEL_USAGE),
        (["model"], MODEL_USAGE),
        (["environment"], ["fct_usage_daily", "fct_usage_hourly", "fct_usage_minutely"]),
        (["error_type", "model"], ["fct_usage_daily", "fct_usage_hourly", "fct_usage_minutely"]),
        (["user_id"], ["fct_user_usage_daily", "fct_attributed_usage_hourly", "fct_llm_calls"]),
        (
            ["user_id", "model"],
            ["fct_attributed_usage_daily", "fct_attributed_usage_hourly", "fct_llm_calls"],
        ),
        (
            ["tag:team"],
            ["fct_tag_usage_daily", "fct_attributed_usage_hourly", "fct_llm_calls"],
        ),
        (["tag:other"], ["fct_llm_calls"]),
        (["user_id", "error_type"], ["fct_llm_calls"]),
    ],
)
def test_the_smallest_table_of_each_grain_that_knows_all_dimensions_is_read(
    names: list[str], expected: list[str]
) -> None:
    assert chosen(*names, tags=frozenset({"team"})) == expected


def test_percentiles_by_user_come_from_calls() -> None:
    assert [one.table for one in choose(LATENCY, [Dimension("user_id")], NO_TAGS)] == [
        "fct_llm_calls"
    ]


def scans(start: datetime, end: datetime, *names: str) -> dict[str, list[tuple[str, str]]]:
    found = cover([start, end], choose(USAGE, map(Dimension, names), NO_TAGS))
    return {
        scan.source.grain: [(f"{a:%d %H:%M}", f"{b:%d %H:%M}") for a, b in scan.ranges]
        for scan in found
    }


def test_whole_days_are_read_by_day_and_their_edges_by_hour_and_minute() -> None:
    assert scans(MIDNIGHT, MIDNIGHT + 2 * DAY) == {"day": [("02 00:00", "04 00:00")]}
    assert scans(MIDNIGHT - 90 * MINUTE, MIDNIGHT + DAY + 61 * MINUTE) == {
        "day": [("02 00:00", "03 00:00")],
        "hour": [("01 23:00", "02 00:00"), ("03 00:00", "03 01:00")],
        "quarter_hour": [("01 22:30", "01 23:00")],
        "minute": [("03 01:00", "03 01:01")],
    }
    assert scans(MIDNIGHT + MINUTE, MIDNIGHT + 2 * MINUTE) == {"minute": [("02 00:01", "02 00:02")]}


def test_in_a_zone_of_half_hours_no_day_is_read_by_minute() -> None:
    zone = read_zone("Asia/Kolkata")
    asked = read_period(MIDNIGHT.date(), MIDNIGHT.date() + 3 * DAY, zone, MIDNIGHT)
    found = cover(boundaries(asked, "day"), choose(USAGE, [], NO_TAGS))
    lengths = {
        scan.source.grain: sum((b - a for a, b in scan.ranges), timedelta()) for scan in found
    }
    assert lengths == {"hour": 3 * 23 * HOUR, "quarter_hour": 3 * HOUR}


def test_every_minute_of_every_bucket_is_read_once_from_rows_that_lie_within_it() -> None:
    rng = random.Random(7)  # noqa: S311 - the same cases on every run
    for _ in range(200):
        edges = sorted({MIDNIGHT + rng.randrange(9000) * MINUTE for _ in range(rng.randint(2, 6))})
        if len(edges) < 2:
            continue
        found = cover(edges, choose(USAGE, [], NO_TAGS))
        read = sorted(piece for scan in found for piece in scan.ranges)
        assert (read[0][0], read[-1][1]) == (edges[0], edges[-1])
        assert all(a[1] == b[0] for a, b in pairwise(read))
        for scan in found:
            assert_rows_lie_within(scan, edges)


def test_a_period_to_which_no_call_is_later_ends_with_its_whole_last_day() -> None:
    end = MIDNIGHT + DAY + 61 * MINUTE
    by_day = choose(USAGE, [], NO_TAGS)
    assert ranges(cover([MIDNIGHT, end], by_day, is_newest=True)) == {
        "day": [(MIDNIGHT, MIDNIGHT + 2 * DAY)]
    }
    assert ranges(cover([end - 90 * MINUTE, end - HOUR, end], by_day, is_newest=True)) == {
        "minute": [
            (end - 90 * MINUTE, MIDNIGHT + DAY - QUARTER),
            (MIDNIGHT + DAY, MIDNIGHT + DAY + QUARTER),
        ],
        "quarter_hour": [
            (MIDNIGHT + DAY - QUARTER, MIDNIGHT + DAY),
            (MIDNIGHT + DAY + QUARTER, MIDNIGHT + DAY + HOUR),
        ],
        "hour": [(MIDNIGHT + DAY + HOUR, MIDNIGHT + 2 * DAY)],
    }
    only_calls = choose(USAGE, [Dimension("tag:x")], NO_TAGS)
    assert ranges(cover([MIDNIGHT, end], only_calls, is_newest=True)) == {
        "minute": [(MIDNIGHT, end)]
    }


def ranges(found: list[Scan]) -> dict[str, list[tuple[datetime, datetime]]]:
    return {scan.source.grain: list(scan.ranges) for scan in found}


def assert_rows_lie_within(scan: Scan, edges: list[datetime]) -> None:
    grain = GRAINS[scan.source.grain]
    for start, end in scan.ranges:
        assert (start - MIDNIGHT) % grain == (end - MIDNIGHT) % grain == timedelta()
        assert all((edge - start) % grain == timedelta() for edge in edges if start < edge < end)


def test_reading_too_many_single_calls_is_refused_by_name() -> None:
    edges = [MIDNIGHT, MIDNIGHT + 49 * HOUR]
    with pytest.raises(LimitExceededError) as refused:
        check_calls(cover(edges, choose(USAGE, [Dimension("tag:x")], NO_TAGS)), [])
    assert refused.value.extra["limit"] == {"name": "max_call_hours", "maximum": 48, "asked": 49}


def test_every_statement_is_bound_to_the_project_in_every_branch() -> None:
    question = Question(
        UUID(int=7), (MIDNIGHT - 90 * MINUTE, MIDNIGHT + DAY + MINUTE), ("calls", "latency")
    )
    statement = state(question)
    text = statement.query.as_string(None)
    assert text.count("from marts.") + text.count('from "marts".') == len(statement.scans) == 7
    assert text.count("project_id = %(project_id)s") == 7
    assert statement.parameters["project_id"] == UUID(int=7)
