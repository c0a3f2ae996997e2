"""Compares what was acknowledged with what is in the ledger, id by id."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import psycopg
from psycopg import sql

from tests.kills.batches import numbers_of
from tests.kills.poison import MARKER, Poisoner
from tests.kills.tally import Tally
from tests.running import RunningPlatform, wait_until
from tests.traffic import Traffic

DRAIN_SECONDS: Final = 600.0
ROWS: Final = sql.SQL(
    "copy (select event_id, input_tokens, output_tokens from {} where tags ->> 'run' = {})"
    " to stdout"
)
LETTERS: Final = "select payload from raw.dead_letters where position(%s::bytea in payload) > 0"


@dataclass(frozen=True)
class Verdict:
    """What the ledger holds of one traffic.

    Attributes:
        lost: Acknowledged events that are no row.
        doubled: Events that are more than one row.
        letters: Poison entries that are dead letters.
        problems: Everything that is not as promised, in words.
    """

    rows: int
    lost: int
    doubled: int
    letters: int
    problems: list[str]


def wait_until_drained(platform: RunningPlatform) -> None:
    """Until the loader has settled everything.

    Raises:
        AssertionError: that takes longer than `DRAIN_SECONDS`.
    """
    with platform.client() as client:

        def is_drained() -> bool:
            answer = client.get("/api/v1/events/stats")
            if answer.status_code != 200:
                return False
            stats: dict[str, float] = answer.json()
            return stats["lag_entry_count"] == stats["lag_event_count"] == 0

        wait_until(is_drained, "the stream is drained", DRAIN_SECONDS, 0.5)


def judge(platform: RunningPlatform, traffic: Traffic, tally: Tally, poisoner: Poisoner) -> Verdict:
    """Read ledger and dead letters; the loader must have settled what it will settle."""
    rows = read_rows(platform, "raw.llm_events", traffic)
    letters = read_letters(platform, traffic)
    expected = {n for batch in tally.acknowledged for n in numbers_of(batch)}
    problems = [
        *tally.problems,
        *find_row_problems(rows, expected, traffic),
        *find_letter_problems(letters, poisoner),
    ]
    if tally.offered != len(tally.acknowledged):
        problems.append(f"{tally.offered - len(tally.acknowledged)} batches never acknowledged")
    return Verdict(
        rows=sum(map(len, rows.values())),
        lost=len(expected - rows.keys()),
        doubled=len(find_doubled(rows)),
        letters=sum(letters.values()),
        problems=problems,
    )


def find_row_problems(
    rows: dict[int, list[tuple[int, int]]], expected: set[int], traffic: Traffic
) -> list[str]:
    """Rows that are not exactly the acknowledged events."""
    return [
        *_say(expected - rows.keys(), "acknowledged events are not in the ledger"),
        *_say(find_doubled(rows), "events are in the ledger more than once"),
        *_say(rows.keys() - expected, "rows were never acknowledged"),
        *_say(find_wrong_tokens(rows, traffic), "events have other tokens than were sent"),
    ]


def find_doubled(rows: dict[int, list[tuple[int, int]]]) -> set[int]:
    """Numbers of the events that are more than one row."""
    return {number for number, tokens in rows.items() if len(tokens) > 1}


def read_rows(
    platform: RunningPlatform, table: str, traffic: Traffic
) -> dict[int, list[tuple[int, int]]]:
    """Number of each event -> the tokens of each of its rows."""
    rows: dict[int, list[tuple[int, int]]] = {}
    statement = ROWS.format(sql.Identifier(*table.split(".")), traffic.name)
    with (
        psycopg.connect(platform.database_url) as connection,
        connection.cursor() as cursor,
        cursor.copy(statement) as copy,
    ):
        copy.set_types(["uuid", "int8", "int8"])
        for event_id, *tokens in copy.rows():
            rows.setdefault(traffic.number_of(event_id), []).append((tokens[0], tokens[1]))
    return rows


def find_wrong_tokens(rows: dict[int, list[tuple[int, int]]], traffic: Traffic) -> set[int]:
    """Numbers of the events that have a row with other tokens than they were sent with."""
    return {n for n, found in rows.items() if any(t != traffic.tokens(n) for t in found)}


def read_letters(platform: RunningPlatform, traffic: Traffic) -> Counter[str]:
    """How many dead letters each poison marker has; '' stands for letters of good events."""
    found: Counter[str] = Counter()
    for (payload,) in platform.query(LETTERS, traffic.name.encode()):
        marker = MARKER.search(payload)
        found[marker[0].decode() if marker else ""] += 1
    return found


def find_letter_problems(letters: Counter[str], poisoner: Poisoner) -> list[str]:
    """Poison that is not in exactly one dead letter, and good events that are in one."""
    missing = poisoner.written - letters.keys()
    doubled = {marker for marker, count in letters.items() if marker and count > 1}
    unknown = letters.keys() - poisoner.written - poisoner.uncertain - {""}
    return [
        *_say(missing, "poison entries have no dead letter"),
        *_say(doubled, "poison entries have more than one dead letter"),
        *_say(unknown, "dead letters are of poison that was never written"),
        *_say(["good event"] * letters[""], "dead letters are of good events"),
    ]


def _say(guilty: Iterable[object], words: str) -> list[str]:
    found = list(guilty)
    return [f"{len(found)} {words}, for example {sorted(found, key=str)[:3]}"] if found else []
