"""Bodies that are no events at all: damaged, disguised, endless, or too much."""

import gzip
import json
import zlib
from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

import httpx
import pytest
import zstandard

from tests.api.door import (
    BATCH,
    INGEST,
    NDJSON,
    Door,
    event_text,
    ids,
    nested,
    problem_of,
    rejections,
)

GZIP = {"content-encoding": "gzip"}
ZSTD = {"content-encoding": "zstd"}
EVENT = event_text()
ARRAY = b"[" + EVENT + b"]"
MEBIBYTE = 1024 * 1024


def deep(opening: bytes, closing: bytes, depth: int = 100_000) -> bytes:
    """JSON nested further than any parser's stack."""
    return opening * depth + closing * depth


class Bad(NamedTuple):
    """A body, what it is answered, and a word of the answer that says what to mend."""

    title: str
    path: str
    body: bytes
    status: int
    problem: str
    says: str
    headers: Mapping[str, str | bytes] = MappingProxyType({})


def malformed(title: str, path: str, body: bytes, says: str, **headers: str) -> Bad:
    """A body that cannot be read."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Bad(title, path, body, 400, "malformed-body", says, named)


BAD_BODIES = [
    # no JSON
    malformed("empty", INGEST, b"", "object"),
    malformed("empty batch body", BATCH, b"", "array"),
    malformed("blanks", BATCH, b" \n\t ", "array"),
    malformed("cut short", INGEST, EVENT[:-1], "JSON"),
    malformed("cut short in a batch", BATCH, ARRAY[:-1], "JSON"),
    malformed("more behind it", INGEST, EVENT + b"}", "JSON"),
    malformed("two objects", INGEST, EVENT + EVENT, "JSON"),
    malformed("two arrays", BATCH, ARRAY + ARRAY, "JSON"),
    malformed("trailing comma", BATCH, b"[" + EVENT + b",]", "JSON"),
    malformed("single quotes", INGEST, EVENT.replace(b'"', b"'"), "JSON"),
    malformed("a comment", INGEST, b"{/* hello */" + EVENT[1:], "JSON"),
    malformed("a form", INGEST, b"provider_name=openai&request_model=gpt-4o", "object"),
    malformed("XML", BATCH, b"<events/>", "array"),
    malformed("Python's None", INGEST, event_text(user_id="None"), "JSON"),
    malformed("NaN", INGEST, event_text(duration_seconds="NaN"), "JSON"),
    malformed("Infinity", INGEST, event_text(duration_seconds="-Infinity"), "JSON"),
    malformed("leading zero", INGEST, event_text(usage_details='{"n": 01}'), "JSON"),
    malformed("a raw control character", INGEST, event_text(user_id='"a\x01b"'), "JSON"),
    malformed("a raw NUL", INGEST, event_text(user_id='"a\0b"'), "JSON"),
    malformed("an unknown escape", INGEST, event_text(user_id=r'"\x41"'), "JSON"),
    malformed("half an escape", INGEST, event_text(user_id=r'"\u12"'), "JSON"),
    # the wrong thing
    malformed("an array to the single route", INGEST, ARRAY, "/api/v1/events/ingest/batch"),
    malformed("an object to the batch route", BATCH, EVENT, "array"),
    malformed("a string", INGEST, b'"event"', "object"),
    malformed("a number", BATCH, b"42", "array"),
    malformed("null", BATCH, b"null", "array"),
    malformed("lines without their content type", BATCH, EVENT + b"\n" + EVENT, "array"),
    # not UTF-8
    malformed("a byte order mark", INGEST, b"\xef\xbb\xbf" + EVENT, "object"),
    malformed("UTF-16", INGEST, EVENT.decode().encode("utf-16"), "object"),
    malformed("UTF-32", BATCH, ARRAY.decode().encode("utf-32"), "array"),
    malformed("a binary", BATCH, bytes(range(256)), "array"),
    # deep
    malformed("deep arrays", BATCH, deep(b"[", b"]"), "deep"),
    malformed("deep arrays without an end", BATCH, b"[" * 1_000_000, "deep"),
    malformed("deep objects", INGEST, nested(100_000).encode(), "deep"),
    malformed("deep usage", INGEST, event_text(usage_details=nested(5000)), "deep"),
    malformed("deep messages", INGEST, event_text(input_messages=nested(5000)), "deep"),
    malformed("a deep unknown field", INGEST, event_text(metadata=nested(5000)), "deep"),
    # compression
    malformed("gzip that is none", BATCH, ARRAY, "gzip", **GZIP),
    malformed("gzip cut short", BATCH, gzip.compress(ARRAY)[:-9], "gzip", **GZIP),
    malformed("gzip with a wrong sum", BATCH, gzip.compress(ARRAY)[:-8] + bytes(8), "gzip", **GZIP),
    malformed("gzip with a tail", BATCH, gzip.compress(ARRAY) + b"tail", "gzip", **GZIP),
    malformed("gzip, empty", BATCH, b"", "", **GZIP),
    malformed("zlib called gzip", BATCH, zlib.compress(ARRAY), "gzip", **GZIP),
    malformed("zstd called gzip", BATCH, zstandard.compress(ARRAY), "gzip", **GZIP),
    malformed("gzip called nothing", BATCH, gzip.compress(ARRAY), "array"),
    malformed("gzip twice", BATCH, gzip.compress(gzip.compress(ARRAY)), "array", **GZIP),
    malformed("zstd that is none", BATCH, ARRAY, "zstd", **ZSTD),
    malformed("zstd cut short", BATCH, zstandard.compress(ARRAY)[:-3], "zstd", **ZSTD),
    malformed("zstd with a tail", BATCH, zstandard.compress(ARRAY) + b"tail", "zstd", **ZSTD),
    malformed(
        "zstd with a window of 1 GiB", BATCH, b"\x28\xb5\x2f\xfd\x00\xa0" + b"\x00" * 9,
        "zstd", **ZSTD,
    ),
    *(
        Bad(f"encoding {name}", BATCH, ARRAY, 415, "unsupported-encoding", "zstd",
            {"content-encoding": name.encode()})
        for name in ("br", "deflate", "gzip, zstd", "gzip gzip", "é")
    ),
    # too much
    Bad("1,001 events", BATCH, b"[" + b"{}," * 1000 + b"{}]", 413, "body-too-large", "1000"),
    Bad("1,001 lines", BATCH, b"{}\n" * 1001, 413, "body-too-large", "1000", NDJSON),
    Bad("6 MiB of blanks", BATCH, b"[" + b" " * 6 * MEBIBYTE, 413, "body-too-large", "5242880"),
    Bad("a gzip bomb", BATCH, gzip.compress(b" " * 200 * MEBIBYTE), 413, "body-too-large",
        "5242880", GZIP),
    Bad("a zstd bomb", BATCH, zstandard.compress(b" " * 200 * MEBIBYTE), 413, "body-too-large",
        "5242880", ZSTD),
    Bad("many small gzip members", BATCH, gzip.compress(b" " * MEBIBYTE) * 6, 413,
        "body-too-large", "5242880", GZIP),
    Bad("many small zstd frames", BATCH, zstandard.compress(b" " * MEBIBYTE) * 6, 413,
        "body-too-large", "5242880", ZSTD),
]  # fmt: skip


@pytest.mark.parametrize("case", BAD_BODIES, ids=lambda case: case.title)
def test_a_bad_body_is_refused_as_a_whole(http: httpx.Client, case: Bad) -> None:
    answer = http.post(case.path, content=case.body, headers=case.headers)
    assert (answer.status_code, problem_of(answer)) == (case.status, case.problem)
    assert case.says in answer.json()["detail"]


def test_bad_bodies_leave_nothing_behind(door: Door, http: httpx.Client) -> None:
    before = http.get("/api/v1/events/stats").json()["accepted_event_count"]
    for case in BAD_BODIES:
        http.post(case.path, content=case.body, headers=case.headers)
    assert http.get("/api/v1/events/stats").json()["accepted_event_count"] == before


# A sender's json.dumps writes a broken string as a lone surrogate; a proxy may cut a character.
BROKEN_TEXTS = {
    "a lone surrogate": event_text(user_id=r'"\ud800"'),
    "a reversed pair": event_text(user_id=r'"\udc00\ud800"'),
    "a surrogate in a tag": event_text(tags=r'{"\ud800": "v"}'),
    "a surrogate in the usage": event_text(usage_details=r'{"a": "\ud800"}'),
    "bytes that are no UTF-8": event_text(user_id='"x"').replace(b'"x"', b'"\xff"'),
    "a surrogate in UTF-8": event_text(user_id='"x"').replace(b'"x"', b'"\xed\xa0\x80"'),
    "an overlong NUL": event_text(user_id='"x"').replace(b'"x"', b'"\xc0\x80"'),
    "no UTF-8 in the usage": event_text(usage_details='{"a": "x"}').replace(b'"x"', b'"\xff"'),
    "no UTF-8 in a message": event_text(input_messages='["x"]').replace(b'"x"', b'"\xff"'),
    "usage deeper than a loader's stack": event_text(usage_details=nested(500)),
    "messages deeper than a loader's stack": event_text(output_messages=f"[{nested(500)}]"),
    "a number that no column holds": event_text(usage_details='{"a": 1e140000}'),
    "a number that no reader holds": event_text(usage_details='{"a": 1e5000}'),
    "a fraction that no column holds": event_text(usage_details='{"a": 1e-20000}'),
    "a scale that no decimal holds": event_text(usage_details='{"a": 1e-99999999999999999999}'),
    "nothing, at no end of scale": event_text(usage_details='{"a": 0e99999999999999999999}'),
    "nothing, at a scale that no column holds": event_text(usage_details='{"a": 0e-20000}'),
    "more digits than a column holds": event_text(input_messages=f"[1.{'0' * 16_384}]"),
}


@pytest.mark.parametrize("broken", BROKEN_TEXTS.values(), ids=BROKEN_TEXTS.keys())
@pytest.mark.parametrize("form", ["array", "lines"])
def test_an_event_of_broken_text_costs_its_neighbours_nothing(
    http: httpx.Client, broken: bytes, form: str
) -> None:
    events = [event_text(), broken, event_text()]
    body = b"\n".join(events) if form == "lines" else b"[" + b",".join(events) + b"]"
    answer = http.post(BATCH, content=body, headers=NDJSON if form == "lines" else {})
    assert answer.status_code == 202, answer.text
    assert [index for index, _ in rejections(answer)] == [1]
    assert len(ids(answer)) == 2


@pytest.mark.parametrize("broken", BROKEN_TEXTS.values(), ids=BROKEN_TEXTS.keys())
def test_an_event_of_broken_text_alone_is_refused(http: httpx.Client, broken: bytes) -> None:
    answer = http.post(INGEST, content=broken)
    assert (answer.status_code, problem_of(answer)) in [
        (400, "malformed-body"),
        (422, "rejected-events"),
    ]


LINES = {
    "blank lines are nothing": (b"\n\n" + EVENT + b"\n \r\n" + EVENT + b"\n\n", 2, []),
    "Windows line ends": (EVENT + b"\r\n" + EVENT + b"\r\n", 2, []),
    "no line end": (EVENT, 1, []),
    "a broken line": (EVENT + b"\n{oops\n" + EVENT, 2, [(1, "")]),
    "an array among lines": (EVENT + b"\n" + ARRAY, 1, [(1, "")]),
    "scalars among lines": (b'1\n"x"\nnull\n' + EVENT, 1, [(0, ""), (1, ""), (2, "")]),
    "one event over two lines": (EVENT.replace(b", ", b",\n", 1) + b"\n" + EVENT, 1,
                                 [(0, ""), (1, "")]),
    "two events on one line": (EVENT + EVENT + b"\n" + EVENT, 1, [(0, "")]),
}  # fmt: skip


@pytest.mark.parametrize(("body", "accepted", "rejected"), LINES.values(), ids=LINES.keys())
def test_lines_are_judged_one_by_one(
    http: httpx.Client, body: bytes, accepted: int, rejected: list[tuple[int, str]]
) -> None:
    answer = http.post(BATCH, content=body, headers=NDJSON)
    assert answer.status_code == 202
    assert (len(ids(answer)), rejections(answer)) == (accepted, rejected)


def test_an_array_judges_each_element(http: httpx.Client) -> None:
    answer = http.post(BATCH, content=b'[1, "x", null, [], {}, ' + EVENT + b"]")
    assert answer.status_code == 202
    assert rejections(answer) == [(0, ""), (1, ""), (2, ""), (3, ""), (4, "provider_name")]


@pytest.mark.parametrize(("body", "headers"), [(b"[]", {}), (b" [ ] ", {}), (b"", NDJSON)])
def test_an_empty_batch_is_no_error(
    http: httpx.Client, body: bytes, headers: dict[str, str]
) -> None:
    answer = http.post(BATCH, content=body, headers=headers)
    assert answer.status_code == 202
    assert answer.json() == {"accepted": [], "rejected": []}


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (gzip.compress(ARRAY, mtime=0), GZIP),
        (
            gzip.compress(ARRAY[:20], mtime=0) + gzip.compress(ARRAY[20:], mtime=0),
            {"content-encoding": "X-GZIP"},
        ),
        (zstandard.compress(ARRAY), ZSTD),
        (zstandard.compress(ARRAY[:20]) + zstandard.compress(ARRAY[20:]), ZSTD),
        (ARRAY, {"content-encoding": "identity"}),
        (ARRAY, {"content-encoding": ""}),
        (ARRAY, {"content-type": "text/plain"}),
        (ARRAY, {"content-type": "application/json; charset=utf-8"}),
        (ARRAY, {"content-type": "application/x-www-form-urlencoded"}),
        (EVENT, {"content-type": "Application/X-NDJSON; charset=utf-8"}),
        (EVENT, {"content-type": "application/jsonl"}),
    ],
)
def test_the_same_event_in_another_dress_is_accepted(
    http: httpx.Client, body: bytes, headers: dict[str, str]
) -> None:
    answer = http.post(BATCH, content=body, headers=headers)
    assert (answer.status_code, ids(answer)) == (202, [json.loads(EVENT)["event_id"]])


def test_a_body_of_exactly_the_limit_is_accepted(http: httpx.Client) -> None:
    body = ARRAY[:-1] + b" " * (5 * MEBIBYTE - len(ARRAY)) + b"]"
    assert http.post(BATCH, content=body).status_code == 202
    assert http.post(BATCH, content=body + b" ").status_code == 413
