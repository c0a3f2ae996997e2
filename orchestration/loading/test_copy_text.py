"""Every text arrives in the database as it was sent, whatever characters it has."""

import itertools
import json
from collections.abc import Iterator
from decimal import Decimal
from uuid import uuid4

import msgspec
import psycopg
import pytest

from ingest_api.events import Event
from ingest_api.stream import RawEntry
from orchestration.loading.copy_text import arrays, event_lines, scalars, texts
from orchestration.loading.event_rows import read_entries
from orchestration.loading.raw_tables import EVENTS

SPECIAL = ["\\", "\t", "\n", "\r", "N", ".", '"', "'", "{", "}", ",", "NULL", "null", "", " "]
# Control characters but U+0000, ends of each length of UTF-8, separators, emoji, and the marks that
# change the direction of writing.
CHARACTERS = [
    *map(chr, range(1, 0x300)),
    *"\u07ff\u0800\u2028\u2029\u200e\u202e\ufeff\ufffd\uffff\U00010000\U0001f600\U0010ffff",
]


@pytest.fixture(scope="module")
def connection(services: object) -> Iterator[psycopg.Connection]:
    with psycopg.connect(services.database_url) as opened:  # type: ignore[attr-defined]
        yield opened


def round_trip(connection: psycopg.Connection, type_: str, cells: object) -> list[object]:
    """The values that COPY makes of cells, in their order."""
    with connection.cursor() as cursor:
        cursor.execute(f"create temp table cells (n serial, value {type_}) on commit drop")
        with cursor.copy("copy cells (value) from stdin") as copy:
            copy.write("".join(cell + "\n" for cell in cells))  # type: ignore[attr-defined]
        found = cursor.execute("select value from cells order by n").fetchall()
    connection.rollback()
    return [value for (value,) in found]


def test_every_combination_of_special_characters_survives(connection: psycopg.Connection) -> None:
    sent = ["".join(parts) for n in range(4) for parts in itertools.product(SPECIAL, repeat=n)]
    assert round_trip(connection, "text", texts([*sent, None])) == [*sent, None]


@pytest.mark.parametrize("special", SPECIAL)
def test_a_column_with_one_special_character_survives(
    connection: psycopg.Connection, special: str
) -> None:
    assert round_trip(connection, "text", texts(["a", f"b{special}c"])) == ["a", f"b{special}c"]


def test_every_character_survives(connection: psycopg.Connection) -> None:
    sent = [*CHARACTERS, *(f"\\{c}" for c in CHARACTERS), *(f"a{c}b" for c in CHARACTERS)]
    assert round_trip(connection, "text", texts(sent)) == sent


def test_plain_columns_survive(connection: psycopg.Connection) -> None:
    sent = ["gpt-4o", None, "", "ünïcödé", "NULL"]
    assert round_trip(connection, "text", texts(sent)) == sent
    assert round_trip(connection, "text", texts([None, None])) == [None, None]


def test_arrays_survive(connection: psycopg.Connection) -> None:
    items = ["".join(parts) for n in range(3) for parts in itertools.product(SPECIAL, repeat=n)]
    sent = [items, ["stop"], [], None, *([item] for item in [*items, *CHARACTERS])]
    assert round_trip(connection, "text[]", arrays(sent)) == sent


def test_numbers_survive(connection: psycopg.Connection) -> None:
    costs = [Decimal("0.000123456789012345"), Decimal("1E-18"), None, Decimal(1_000_000)]
    assert round_trip(connection, "numeric", scalars(costs)) == costs
    seconds = [0.1, 1e-300, 604800.0, None, 1 / 3]
    assert round_trip(connection, "double precision", scalars(seconds)) == seconds
    assert round_trip(connection, "bigint", scalars([0, None, 10**9])) == [0, None, 10**9]
    assert round_trip(connection, "boolean", scalars([True, None, False])) == [True, None, False]
    ids = [uuid4(), None, uuid4()]
    assert round_trip(connection, "uuid", scalars(ids)) == ids


def test_documents_survive_in_any_notation(
    connection: psycopg.Connection, database_url: str
) -> None:
    """Verbatim JSON may be spread over lines, and escape what need not be escaped."""
    documents = ['{"a":\t"\\u00e9\\n\\\\N",\r\n "b\\"": [1, 2]}', "{}", "null"]
    form = (
        '{"event_id":"ID","provider_name":"p","request_model":"m","tags":{"k\\tey":"\\\\N"},'
        '"started_at":"2026-11-22T10:00:00+02:00","usage_details":DOCUMENT}'
    )
    text = ",".join(
        form.replace("ID", str(uuid4())).replace("DOCUMENT", document) for document in documents
    )
    with psycopg.connect(database_url) as opened, opened.cursor() as cursor:
        cursor.execute("create temp table staged_events (like raw.llm_events)")
        cursor.execute("alter table staged_events alter loaded_at drop not null, add n serial")
        batch, letters = read_entries([entry(f"[{text}]")])
        assert letters == []
        with cursor.copy(EVENTS.copy_statement()) as copy:
            copy.write(event_lines(batch))
        rows = cursor.execute(
            "select usage_details, tags, started_at = '2026-11-22T08:00:00Z', usage_source "
            "from staged_events order by n"
        ).fetchall()
    tags = {"k\tey": "\\N"}
    assert rows == [
        (json.loads(documents[0]), tags, True, "missing"),
        ({}, tags, True, "missing"),
        (None, tags, True, "missing"),
    ]


def entry(events: str) -> RawEntry:
    fields = {
        b"tenant_id": str(uuid4()).encode(),
        b"project_id": str(uuid4()).encode(),
        b"api_key_id": b"",
        b"received_at": b"2026-11-22T10:00:00+00:00",
        b"event_count": b"1",
        b"events": events.encode(),
    }
    return RawEntry("1-0", fields)


def test_every_field_of_the_contract_has_a_column(database_url: str) -> None:
    """A field that is added to the contract must not be forgotten here."""
    with psycopg.connect(database_url) as opened:
        found = opened.execute(
            "select column_name from information_schema.columns "
            "where table_schema = 'raw' and table_name = 'llm_events'"
        ).fetchall()
    assert {*EVENTS.columns, "loaded_at"} == {name for (name,) in found}
    contents = {"input_messages", "output_messages"}
    assert {f.name for f in msgspec.structs.fields(Event)} - contents <= set(EVENTS.columns)
