"""What a client may get wrong when it looks at dead letters, replays or discards them."""

import gzip
import json

import httpx
import pytest

from tests.api.door import problem_of

LETTERS = "/api/v1/dead-letters"
REPLAY = "/api/v1/dead-letters/replay"
DISCARD = "/api/v1/dead-letters/discard"
BIGGEST_ID = 2**63 - 1

BAD_PARAMETERS = [
    ("limit", "0"),
    ("limit", "501"),
    ("limit", "many"),
    ("cursor", "0"),
    ("cursor", "-1"),
    ("cursor", str(BIGGEST_ID + 1)),
    ("cursor", "bm8gY3Vyc29y"),
    ("state", "closed"),
    ("reason", "\0"),
    ("reason", "x" * 201),
    ("rejected_after", "yesterday"),
    ("rejected_after", "2026-11-23T10:00:00"),
    ("rejected_before", "0.5"),
    ("rejected_before", "1763892000"),
    ("rejected_before", "9999-99-99T00:00:00Z"),
]


@pytest.mark.parametrize(("name", "value"), BAD_PARAMETERS)
def test_a_bad_parameter_of_the_list_is_named(http: httpx.Client, name: str, value: str) -> None:
    answer = http.get(LETTERS, params={name: value})
    assert (answer.status_code, problem_of(answer)) == (422, "bad-parameter")
    assert answer.json()["detail"].startswith(f"{name}: ")


UNREADABLE = {
    "nothing": b"",
    "cut short": b'{"ids": [1',
    "no JSON": b"ids=1",
    "no UTF-8": b'{"ids": [1], "\xff": 1}',
    "a lone surrogate": rb'{"\ud800": 1}',
}


@pytest.mark.parametrize("path", [REPLAY, DISCARD])
@pytest.mark.parametrize("body", UNREADABLE.values(), ids=UNREADABLE.keys())
def test_a_body_that_is_no_json_is_malformed(http: httpx.Client, path: str, body: bytes) -> None:
    answer = http.post(path, content=body)
    assert (answer.status_code, problem_of(answer)) == (400, "malformed-body")


BAD_IDS = [
    (b"[1]", "object"),
    (b"17", "object"),
    (b"{}", "ids"),
    (b'{"ids": []}', "ids"),
    (b'{"ids": 17}', "ids"),
    (b'{"ids": null}', "ids"),
    (b'{"ids": [0]}', "ids"),
    (b'{"ids": [-1]}', "ids"),
    (b'{"ids": [1.5]}', "ids"),
    (b'{"ids": ["17"]}', "ids"),
    (b'{"ids": [true]}', "ids"),
    (b'{"ids": [9223372036854775808]}', "ids"),
    (b'{"ids": [1e3]}', "ids"),
    (json.dumps({"ids": [1] * 1001}).encode(), "ids"),
    (b'{"ids": [1], "all": true}', "all"),
]


@pytest.mark.parametrize("path", [REPLAY, DISCARD])
@pytest.mark.parametrize(("body", "named"), BAD_IDS)
def test_bad_ids_are_refused(http: httpx.Client, path: str, body: bytes, named: str) -> None:
    answer = http.post(path, content=body)
    assert (answer.status_code, problem_of(answer)) == (422, "bad-parameter")
    assert named in answer.json()["detail"]


BAD_CORRECTIONS = [
    b'{"ids": [1], "events": []}',
    b'{"ids": [1], "events": null}',
    b'{"ids": [1], "events": {"one": {}}}',
    b'{"ids": [1], "events": {"1": []}}',
    b'{"ids": [1], "events": {"1": null}}',
    b'{"ids": [1], "events": {"1": "x"}}',
    b'{"ids": [1], "events": {"2": {}}}',
    b'{"ids": [1], "events": {"-1": {}}}',
]


def test_a_deep_body_is_refused(http: httpx.Client) -> None:
    for body in (b"[" * 100_000, b'{"ids": [1], "events": {"1": ' + b'{"a": ' * 100_000):
        assert http.post(REPLAY, content=body).status_code in (400, 422)


@pytest.mark.parametrize("body", BAD_CORRECTIONS)
def test_bad_corrections_are_refused_and_not_dropped(http: httpx.Client, body: bytes) -> None:
    answer = http.post(REPLAY, content=body)
    assert (answer.status_code, problem_of(answer)) == (422, "bad-parameter")
    assert "events" in answer.json()["detail"]


@pytest.mark.parametrize("path", [REPLAY, DISCARD])
def test_bodies_are_bounded_and_encoded_like_those_of_events(http: httpx.Client, path: str) -> None:
    huge = http.post(path, content=b'{"ids": [' + b" " * 6 * 1024 * 1024)
    assert (huge.status_code, problem_of(huge)) == (413, "body-too-large")
    strange = http.post(path, content=b"{}", headers={"content-encoding": "br"})
    assert (strange.status_code, problem_of(strange)) == (415, "unsupported-encoding")
    ids = {"content": gzip.compress(b'{"ids": [17]}'), "headers": {"content-encoding": "gzip"}}
    assert http.post(path, **ids).status_code == 200


@pytest.mark.parametrize("path", [REPLAY, DISCARD])
def test_an_id_that_is_none_is_told_and_no_error(http: httpx.Client, path: str) -> None:
    answer = http.post(path, json={"ids": [BIGGEST_ID]})
    assert answer.status_code == 200
    (result,) = answer.json()["results"]
    assert (result["dead_letter_id"], result["outcome"]) == (BIGGEST_ID, "not_found")
