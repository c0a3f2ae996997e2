"""Damaged bytes meet every decoder: each ends as documented, and what passes can be stored."""

import base64
import contextlib
import re
from collections.abc import Callable
from datetime import UTC, datetime
from uuid import UUID

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ingest_api.accept import Batch, accept_batch, accept_event, accept_lines
from ingest_api.body import decode_body
from ingest_api.errors import BodyTooLargeError, MalformedBodyError
from ingest_api.events import Event
from ingest_api.recent import BadCursorError, decode_cursor, encode_cursor
from ingest_api.stream import RawEntry
from orchestration.loading.event_rows import read_entries
from tests.api.door import BATCH, Door, ids, rejections
from tests.api.mutations import damaged, damaged_archives, damaged_bodies

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
SOME_ID = UUID("01939b2e-7c9a-7d0e-9d55-0c2f1f2f6a10")
MAX_BYTES = 1024 * 1024
# The same examples on every run, and no time limit of its own on a busy machine: pytest has one.
fuzz = settings(
    derandomize=True, deadline=None, database=None, max_examples=400,
    suppress_health_check=list(HealthCheck),
)  # fmt: skip

ACCEPT: dict[str, Callable[[bytes], Batch]] = {
    "event": lambda body: accept_event(body, NOW),
    "batch": lambda body: accept_batch(body, NOW, 10),
    "lines": lambda body: accept_lines(body, NOW, 10),
}
HEAD = {
    b"tenant_id": str(SOME_ID).encode(),
    b"project_id": str(SOME_ID).encode(),
    b"api_key_id": b"",
    b"received_at": NOW.isoformat().encode(),
}


def accepted(decode: Callable[[bytes], Batch], body: bytes) -> Batch | None:
    """What is accepted of a body; None where it is refused as a whole."""
    try:
        return decode(body)
    except (MalformedBodyError, BodyTooLargeError):
        return None


def entry(payload: bytes) -> RawEntry:
    """An entry of the stream."""
    return RawEntry("1-0", {**HEAD, b"event_count": b"1", b"events": payload})


@pytest.mark.parametrize("form", ACCEPT)
@fuzz
@given(body=damaged_bodies())
def test_what_is_accepted_of_damaged_bodies_can_be_read_again(form: str, body: bytes) -> None:
    batch = accepted(ACCEPT[form], body)
    if batch is None:
        return
    events = msgspec.json.decode(batch.payload, type=list[Event])
    assert [event.event_id for event in events] == batch.ids
    indexes = [rejection.index for rejection in batch.rejected]
    assert indexes == sorted(set(indexes))
    assert all(rejection.reason for rejection in batch.rejected)
    read, letters = read_entries([entry(batch.payload)])
    assert (len(read), letters) == (len(events), [])


@pytest.mark.parametrize("encoding", ["gzip", "zstd"])
@fuzz
@given(body=damaged_archives())
def test_damaged_archives_are_problems_or_bounded_bytes(encoding: str, body: bytes) -> None:
    with contextlib.suppress(MalformedBodyError, BodyTooLargeError):
        assert len(decode_body(body, encoding, MAX_BYTES)) <= MAX_BYTES


def cursors() -> st.SearchStrategy[str]:
    """Damaged cursors, and well-packed nonsense."""
    row = {"started_at": NOW, "event_id": SOME_ID}
    good = base64.urlsafe_b64decode(encode_cursor(row) + "==")
    packed = st.one_of(damaged(good), st.text().map(str.encode)).map(base64.urlsafe_b64encode)
    return st.one_of(
        damaged(encode_cursor(row).encode()).map(lambda text: text.decode(errors="replace")),
        packed.map(bytes.decode),
        st.text(),
    )


@fuzz
@given(text=cursors())
def test_a_damaged_cursor_is_a_position_or_a_bad_cursor(text: str) -> None:
    try:
        position = decode_cursor(text)
    except BadCursorError:
        return
    # Both are sent to Postgres, which knows no naive time and no year 0.
    assert position.started_at.tzinfo is not None


@fuzz
@given(
    fields=st.dictionaries(
        st.sampled_from([*HEAD, b"events", b"event_count", b"\xff"]),
        st.one_of(damaged_bodies(), st.sampled_from([*HEAD.values(), b"[]", b""])),
    ),
    whole=st.booleans(),
)
def test_every_entry_of_the_stream_is_read_or_becomes_a_letter(
    fields: dict[bytes, bytes], whole: bool
) -> None:
    given_fields = {**entry(b"[]").fields, **fields} if whole else fields
    read, letters = read_entries([RawEntry("1-0", given_fields)])
    for letter in letters:
        assert letter.rejected_reason
    assert len(read) or letters or re.fullmatch(rb"\s*\[\s*\]\s*", given_fields[b"events"])


def test_what_survives_damage_becomes_rows(door: Door) -> None:
    survivors: list[bytes] = []

    @settings(fuzz, max_examples=1500)
    @given(body=damaged_bodies())
    def collect(body: bytes) -> None:
        batches = (accepted(decode, body) for decode in ACCEPT.values())
        survivors.extend(batch.payload[1:-1] for batch in batches if batch and batch.ids)

    collect()
    assert len(survivors) > 100
    found: list[str] = []
    with door.client() as client:
        for start in range(0, len(survivors), 200):
            body = b"[" + b",".join(survivors[start : start + 200]) + b"]"
            answer = client.post(BATCH, content=body)
            assert answer.status_code == 202
            assert rejections(answer) == []
            found += ids(answer)
    letters = door.letter_count()
    door.load()
    assert door.letter_count() == letters
    assert set(door.rows(found)) == set(found)
