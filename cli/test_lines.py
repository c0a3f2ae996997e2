"""From lines to batches, with ids that do not depend on when they are sent."""

import io
import json

import pytest

from cli.lines import Batch, Line, batches, read_lines, with_event_id
from cli.progress import progress_text


def test_blank_lines_count_and_are_not_sent() -> None:
    stream = io.BytesIO(b'\n{"event_id": "a"}\r\n\n  {"event_id": "b"}')
    assert list(read_lines(stream, 0)) == [
        Line(2, b'{"event_id": "a"}'), Line(4, b'{"event_id": "b"}'),
    ]  # fmt: skip


def test_a_skipped_line_keeps_the_numbers_and_ids_of_the_others() -> None:
    content = b'{"a": 1}\n' * 5
    everything = list(read_lines(io.BytesIO(content), 0))
    assert list(read_lines(io.BytesIO(content), 3)) == everything[3:]
    assert len({line.body for line in everything}) == 5


@pytest.mark.parametrize(
    "body", [b"{", b"[]", b"7", b"\xff", b'{"event_id": "x", "a": 1}', b"[" * 9999]
)
def test_what_has_an_id_or_is_no_event_stays_as_it_is(body: bytes) -> None:
    assert with_event_id(1, body) == body


def test_a_null_id_is_replaced_and_numbers_stay_exact() -> None:
    event = json.loads(with_event_id(1, b'{"event_id": null, "x": 0.1}'))
    assert (len(event["event_id"]), event["x"]) == (36, 0.1)
    assert b"12345678901234567890.123" in with_event_id(1, b'{"x": 12345678901234567890.123}')
    assert with_event_id(7, b'{"x": 1}') == with_event_id(7, b'{"x": 1}')


def test_batches_keep_to_both_limits_and_lose_nothing() -> None:
    lines = [Line(number, b"x" * size) for number, size in enumerate([5, 5, 5, 90, 5, 200, 5], 1)]
    made = list(batches(lines, 3, 100))
    assert [line for batch in made for line in batch.lines] == lines
    assert [batch.last_number for batch in made] == [3, 5, 6, 7]


def test_halves_are_the_whole() -> None:
    batch = Batch([Line(1, b"a"), Line(4, b"b"), Line(5, b"c")], 8)
    first, second = batch.halves()
    assert (first.lines + second.lines, first.last_number, second.last_number) == (
        batch.lines,
        1,
        8,
    )


@pytest.mark.parametrize(
    ("ratio", "expected"),
    [
        (None, "1,500 events, 2 rejected, 750 events/s"),
        (0.5, "[############------------]  50%  1,500 events, 2 rejected, 750 events/s"),
        (1.5, "[########################] 100%  1,500 events, 2 rejected, 750 events/s"),
    ],
)
def test_progress_is_one_line(ratio: float | None, expected: str) -> None:
    assert progress_text(1500, 2, ratio, 2.0) == expected
