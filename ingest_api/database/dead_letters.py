"""Dead letters: the one place that lists, replays and discards them. Blocking.

A replay appends the letter's events to the stream with the head they came with, and only then marks
the letter. A crash in between leaves the letter open, and a second replay is harmless: the key of
an event makes its second row a no-op. An event that fails again comes back under the id of its new
entry, as a new open letter.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, Final, Literal, NamedTuple
from uuid import UUID

import psycopg
from psycopg import sql
from psycopg.rows import class_row

from ingest_api.database.replays import DumpedEntry, read_dump, replayable
from ingest_api.events import ContractError
from ingest_api.stream import BlockingClient, Entry, Source, append_replays

State = Literal["open", "replayed", "discarded", "all"]
Outcome = Literal["replayed", "discarded", "not_found", "already_settled", "still_bad"]

# Letters settled in one transaction. A payload can be as large as an entry, 1 MiB and more, so this
# bounds the memory; a full hundred costs one fsync of Redis and one commit.
LETTERS_PER_TRANSACTION: Final = 100
TOP_REASONS: Final = 5
NEWEST_IDS: Final = 20
NO_CORRECTIONS: Final[Mapping[int, bytes]] = MappingProxyType({})
MANY_EVENTS: Final = "stands for a whole stream entry: one event cannot be sent in its place"

COLUMNS: Final = sql.SQL("""
    dead_letter_id, stream, entry_id, event_index, tenant_id, project_id, api_key_id, received_at,
    payload, rejected_reason, rejected_at, replayed_at, discarded_at
""")
LIST: Final = sql.SQL("""
select {columns} from raw.dead_letters where {conditions}
order by dead_letter_id desc limit %(limit)s
""")
MATCHING_IDS: Final = sql.SQL("""
select dead_letter_id from raw.dead_letters where {conditions} order by dead_letter_id
""")
# In the order of their ids, so that two operators wait for each other instead of dead-locking.
LOCK: Final = sql.SQL("""
select {columns} from raw.dead_letters
where dead_letter_id = any(%(ids)s)
    and (%(project_id)s::uuid is null or project_id = %(project_id)s)
order by dead_letter_id for update
""").format(columns=COLUMNS)
MARK: Final = sql.SQL("update raw.dead_letters set {column} = now() where dead_letter_id = any(%s)")
OPEN: Final = sql.SQL("replayed_at is null and discarded_at is null")
STATES: Final[Mapping[State, sql.SQL]] = {
    "open": OPEN,
    "replayed": sql.SQL("replayed_at is not null"),
    "discarded": sql.SQL("discarded_at is not null"),
    "all": sql.SQL("true"),
}
CONDITIONS: Final[Mapping[str, sql.SQL]] = {
    "project_id": sql.SQL("project_id = %(project_id)s"),
    "reason": sql.SQL("strpos(lower(rejected_reason), lower(%(reason)s)) > 0"),
    "rejected_after": sql.SQL("rejected_at >= %(rejected_after)s"),
    "rejected_before": sql.SQL("rejected_at < %(rejected_before)s"),
}
COUNT: Final = "select count(*) from raw.dead_letters"
COUNT_OPEN: Final = """
select count(*) as dead_letter_count from raw.dead_letters
where replayed_at is null and discarded_at is null
"""
# The count of each reason, and the newest ids, in one look at the open letters.
SUMMARY: Final = sql.SQL("""
with open_letters as (select dead_letter_id, rejected_reason from raw.dead_letters where {open}),
reasons as (
    select rejected_reason, count(*) as letter_count from open_letters
    group by rejected_reason order by letter_count desc, rejected_reason limit %s
),
newest as (select dead_letter_id from open_letters order by dead_letter_id desc limit %s)
select
    (select count(*) from open_letters),
    (select coalesce(jsonb_agg(jsonb_build_array(rejected_reason, letter_count)
                               order by letter_count desc, rejected_reason), '[]') from reasons),
    (select coalesce(array_agg(dead_letter_id order by dead_letter_id desc), '{{}}') from newest)
""").format(open=OPEN)


@dataclass(frozen=True)
class DeadLetter:
    """An event, or a whole stream entry, that could not be loaded.

    Attributes:
        stream: Key of the stream, of which `entry_id` names the entry.
        event_index: Position in the entry; None where the letter is the entry as a whole.
        project_id: None, as are tenant and key, where the entry's head was unreadable.
        payload: The bytes as they lay in the stream.
    """

    dead_letter_id: int
    stream: str
    entry_id: str
    event_index: int | None
    tenant_id: UUID | None
    project_id: UUID | None
    api_key_id: UUID | None
    received_at: datetime | None
    payload: bytes
    rejected_reason: str
    rejected_at: datetime
    replayed_at: datetime | None
    discarded_at: datetime | None

    @property
    def state(self) -> State:
        """Whether it waits for an operator, or what became of it."""
        if self.replayed_at is not None:
            return "replayed"
        return "open" if self.discarded_at is None else "discarded"


class Filters(NamedTuple):
    """Which letters are meant; None lets all pass.

    Attributes:
        reason: A part of the reason, in any case.
        rejected_after: Rejected then or later. `rejected_before` is exclusive.
    """

    project_id: UUID | None = None
    state: State = "open"
    reason: str | None = None
    rejected_after: datetime | None = None
    rejected_before: datetime | None = None


class Settlement(NamedTuple):
    """What became of one letter; `reason` says why where it is still bad."""

    dead_letter_id: int
    outcome: Outcome
    reason: str = ""


class OpenLetters(NamedTuple):
    """The letters that wait for an operator, of all projects.

    Attributes:
        letter_count: All letters, settled ones included.
        reasons: The most frequent reasons and their counts, the most frequent first.
        newest_ids: At most `NEWEST_IDS`, newest first.
    """

    letter_count: int
    open_count: int
    reasons: tuple[tuple[str, int], ...]
    newest_ids: tuple[int, ...]


def list_dead_letters(
    connection: psycopg.Connection,
    filters: Filters,
    *,
    before_id: int | None = None,
    limit: int = 50,
) -> list[DeadLetter]:
    """At most `limit` letters older than `before_id`, newest first."""
    conditions, parameters = _where(filters)
    if before_id is not None:
        conditions += sql.SQL(" and dead_letter_id < %(before_id)s")
        parameters["before_id"] = before_id
    query = LIST.format(columns=COLUMNS, conditions=conditions)
    with connection.cursor(row_factory=class_row(DeadLetter)) as cursor:
        return cursor.execute(query, {**parameters, "limit": limit}).fetchall()


def find_ids(connection: psycopg.Connection, filters: Filters) -> list[int]:
    """Ids of all letters that `filters` mean, oldest first."""
    conditions, parameters = _where(filters)
    rows = connection.execute(MATCHING_IDS.format(conditions=conditions), parameters)
    return [dead_letter_id for (dead_letter_id,) in rows]


def _where(filters: Filters) -> tuple[sql.Composed, dict[str, Any]]:
    given = {name: value for name, value in filters._asdict().items() if value is not None}
    state: State = given.pop("state")
    conditions = [STATES[state], *(CONDITIONS[name] for name in given)]
    return sql.SQL(" and ").join(conditions), given


def summarise_open(connection: psycopg.Connection) -> OpenLetters:
    """How many letters wait, why, and the newest of them."""
    (letter_count,) = connection.execute(COUNT).fetchone() or (0,)
    row = connection.execute(SUMMARY, [TOP_REASONS, NEWEST_IDS]).fetchone()
    assert row is not None  # noqa: S101 - a select without from gives one row
    open_count, reasons, ids = row
    return OpenLetters(
        letter_count, open_count, tuple((reason, count) for reason, count in reasons), tuple(ids)
    )


def replay(
    connection: psycopg.Connection,
    client: BlockingClient,
    ids: Sequence[int],
    *,
    project_id: UUID | None = None,
    corrections: Mapping[int, bytes] = NO_CORRECTIONS,
    shards: int = 1,
) -> list[Settlement]:
    """Send letters through the stream again; gives one settlement per id, in the order of `ids`.

    Args:
        connection: Outside of a transaction; each hundred letters are committed by themselves.
        client: The Redis that holds the stream.
        ids: Letters that are settled already are left alone.
        project_id: Letters of other projects are not found; None means all projects.
        corrections: By id, the JSON of an event that is sent instead of the letter's payload.
        shards: Number of streams that the projects are spread over.

    Raises:
        StreamError: Redis did not take a hundred; those before are settled, the rest is open.
    """
    found: dict[int, Settlement] = {}
    for chunk in _chunks(ids):
        with connection.transaction():
            letters = _lock(connection, chunk, project_id)
            replays, judged = _judge(letters, corrections, datetime.now(UTC))
            append_replays(client, list(replays.values()), shards)
            connection.execute(MARK.format(column=sql.Identifier("replayed_at")), [[*replays]])
        found |= judged | {one: Settlement(one, "replayed") for one in replays}
    return [found.get(one, Settlement(one, "not_found")) for one in ids]


def discard(
    connection: psycopg.Connection, ids: Sequence[int], *, project_id: UUID | None = None
) -> list[Settlement]:
    """Give up letters; they stay in the table. Arguments and answer as in `replay`."""
    found: dict[int, Settlement] = {}
    for chunk in _chunks(ids):
        with connection.transaction():
            letters = _lock(connection, chunk, project_id)
            is_open = {letter.dead_letter_id: letter.state == "open" for letter in letters}
            waiting = [one for one, waits in is_open.items() if waits]
            connection.execute(MARK.format(column=sql.Identifier("discarded_at")), [waiting])
        for one, waits in is_open.items():
            found[one] = Settlement(one, "discarded" if waits else "already_settled")
    return [found.get(one, Settlement(one, "not_found")) for one in ids]


def _chunks(ids: Sequence[int]) -> Iterator[list[int]]:
    distinct = list(dict.fromkeys(ids))
    for start in range(0, len(distinct), LETTERS_PER_TRANSACTION):
        yield distinct[start : start + LETTERS_PER_TRANSACTION]


def _lock(
    connection: psycopg.Connection, ids: list[int], project_id: UUID | None
) -> list[DeadLetter]:
    with connection.cursor(row_factory=class_row(DeadLetter)) as cursor:
        return cursor.execute(LOCK, {"ids": ids, "project_id": project_id}).fetchall()


def _judge(
    letters: Sequence[DeadLetter], corrections: Mapping[int, bytes], now: datetime
) -> tuple[dict[int, Entry], dict[int, Settlement]]:
    """What may go into the stream again, and a settlement for each of the other letters."""
    replays: dict[int, Entry] = {}
    judged: dict[int, Settlement] = {}
    for letter in letters:
        number = letter.dead_letter_id
        if letter.state != "open":
            judged[number] = Settlement(number, "already_settled")
            continue
        try:
            replays[number] = replay_of(letter, corrections.get(number), now)
        except ContractError as error:
            reason = f"{error.field}: {error.reason}" if error.field else error.reason
            judged[number] = Settlement(number, "still_bad", reason)
    return replays, judged


def replay_of(letter: DeadLetter, correction: bytes | None, now: datetime) -> Entry:
    """Pure: the letter as an entry of the stream, with its event replaced where it is corrected.

    Raises:
        ContractError: the loader would refuse it again, or nobody knows whose event it is.
    """
    is_whole_entry = letter.event_index is None
    if is_whole_entry and correction is not None:
        raise ContractError("", MANY_EVENTS)
    entry = _entry(letter)
    events, event_count = replayable(correction or entry.events, is_whole_entry, now)
    return Entry(
        source=entry.source, received_at=entry.received_at, events=events, event_count=event_count
    )


def _entry(letter: DeadLetter) -> DumpedEntry:
    tenant_id, project_id, received_at = letter.tenant_id, letter.project_id, letter.received_at
    if tenant_id is None or project_id is None or received_at is None:
        return read_dump(letter.payload)
    return DumpedEntry(
        Source(tenant_id, project_id, letter.api_key_id), received_at, letter.payload
    )
