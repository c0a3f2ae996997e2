"""Keys, parameters, methods, paths and HTTP itself: what a client may get wrong around a body."""

import base64
from uuid import uuid4

import httpx
import pytest

from ingest_api.auth import new_key
from tests.api.door import BATCH, INGEST, RECENT, STATS, Door, event_text, ids, problem_of

EVENT_ID = "01939b2e-7c9a-7d0e-9d55-0c2f1f2f6a10"

NO_KEY = {
    "no header": {},
    "an unknown key": {"authorization": f"Bearer {new_key()}"},
    "another scheme": {"authorization": "Basic bGxtc186"},
    "a scheme without a key": {"authorization": "Bearer"},
    "a tab for a space": {"authorization": "Bearer\tllms_x"},
    "a key that is no ASCII": {"authorization": "Bearer llms_é".encode()},
    "60 KiB of key": {"authorization": "Bearer " + "a" * 60_000},
    "an unknown X-API-Key": {"x-api-key": "llms_unknown"},
    "an empty X-API-Key": {"x-api-key": ""},
    "the key in the query": {},
}


@pytest.mark.parametrize("headers", NO_KEY.values(), ids=NO_KEY.keys())
@pytest.mark.parametrize(("method", "path"), [("POST", INGEST), ("POST", BATCH), ("GET", RECENT)])
def test_without_a_good_key_nothing_is_open(
    door: Door, method: str, path: str, headers: dict[str, str | bytes]
) -> None:
    query = {"api_key": door.api_key, "key": door.api_key}
    answer = httpx.request(
        method, door.api_url + path, params=query, headers=headers, content=event_text(),
        timeout=20,
    )  # fmt: skip
    assert (answer.status_code, problem_of(answer)) == (401, "unauthorized")
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert "llms_" in answer.json()["detail"] or "key" in answer.json()["detail"]


@pytest.mark.parametrize("which", ["expired", "revoked"])
def test_a_key_past_its_time_is_refused(door: Door, keys: dict[str, str], which: str) -> None:
    with door.client(keys[which]) as client:
        answer = client.post(INGEST, content=event_text())
    assert (answer.status_code, problem_of(answer)) == (401, "unauthorized")


@pytest.mark.parametrize(
    ("which", "method", "path", "lacking"),
    [
        ("read only", "POST", INGEST, "ingest"),
        ("read only", "POST", BATCH, "ingest"),
        ("nothing", "POST", INGEST, "ingest"),
        ("ingest only", "GET", RECENT, "read"),
        ("ingest only", "GET", STATS, "read"),
        ("nothing", "GET", RECENT, "read"),
        ("ingest only", "GET", "/api/v1/dead-letters", "read"),
        ("ingest only", "POST", "/api/v1/dead-letters/replay", "admin"),
        ("read only", "POST", "/api/v1/dead-letters/discard", "admin"),
    ],
)
def test_a_key_without_the_scope_is_told_which(
    door: Door, keys: dict[str, str], which: str, method: str, path: str, lacking: str
) -> None:
    with door.client(keys[which]) as client:
        answer = client.request(method, path, content=event_text())
    assert (answer.status_code, problem_of(answer)) == (403, "forbidden")
    assert f"`{lacking}`" in answer.json()["detail"]


def test_of_two_keys_the_authorization_header_counts(door: Door) -> None:
    good, bad = door.api_key, "llms_unknown"
    with door.client(good, **{"x-api-key": bad}) as client:
        assert client.get(STATS).status_code == 200
    with door.client(bad, **{"x-api-key": good}) as client:
        assert client.get(STATS).status_code == 401
    url = door.api_url + STATS
    assert httpx.get(url, headers={"x-api-key": good}).status_code == 200


def cursor(text: str) -> str:
    """A cursor in the form that the API gives out."""
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


BAD_PARAMETERS = [
    ("limit", "0"),
    ("limit", "-1"),
    ("limit", "501"),
    ("limit", "ten"),
    ("limit", ""),
    ("limit", "1.5"),
    ("limit", "9" * 5000),
    ("status", "ok"),
    ("status", "SUCCESS"),
    ("provider_name", "x" * 129),
    ("model", "x" * 257),
    ("user_id", "x" * 257),
    ("provider_name", "a\0b"),
    ("model", "\0"),
    ("user_id", "\0"),
    ("cursor", "!!!"),
    ("cursor", "a" * 201),
    ("cursor", "\0"),
    ("cursor", "é"),
    ("cursor", "bm8gY3Vyc29y"),
    ("cursor", cursor(f"2026-01-01T00:00:00 {EVENT_ID}")),
    ("cursor", cursor(f"2026-01-01T00:00:00+00:00 {EVENT_ID}x")),
    ("cursor", cursor(f"2026-13-01T00:00:00+00:00 {EVENT_ID}")),
    ("cursor", cursor("2026-01-01T00:00:00+00:00")),
    ("cursor", cursor(f"2026-01-01T00:00:00+00:00 {EVENT_ID} {EVENT_ID}")),
]


@pytest.mark.parametrize(("name", "value"), BAD_PARAMETERS)
def test_a_bad_parameter_is_named(http: httpx.Client, name: str, value: str) -> None:
    answer = http.get(RECENT, params={name: value})
    assert (answer.status_code, problem_of(answer)) == (422, "bad-parameter")
    assert answer.json()["detail"].startswith(f"{name}: ")


def test_a_misspelt_filter_is_refused_and_not_ignored(http: httpx.Client) -> None:
    answer = http.get(RECENT, params={"provider": "openai"})
    assert (answer.status_code, problem_of(answer)) == (422, "bad-parameter")
    assert answer.json()["detail"].startswith("provider: ")


@pytest.mark.parametrize(
    "text",
    [f"0001-01-01T00:00:00+23:59 {EVENT_ID}", f"9999-12-31T23:59:59.999999-23:59 {EVENT_ID}"],
)
def test_a_cursor_at_the_ends_of_time_is_no_fault(http: httpx.Client, text: str) -> None:
    assert http.get(RECENT, params={"cursor": cursor(text)}).status_code in (200, 422)


WRONG_METHODS = [
    ("GET", INGEST, "POST"),
    ("PUT", INGEST, "POST"),
    ("PATCH", BATCH, "POST"),
    ("DELETE", RECENT, "GET"),
    ("POST", STATS, "GET"),
    ("POST", "/healthz", "GET"),
    ("PUT", "/readyz", "GET"),
    ("POST", "/metrics", "GET"),
    ("GET", "/api/v1/dead-letters/replay", "POST"),
    ("TRACE", INGEST, "POST"),
]


@pytest.mark.parametrize(("method", "path", "allowed"), WRONG_METHODS)
def test_another_method_is_told_the_right_one(
    http: httpx.Client, method: str, path: str, allowed: str
) -> None:
    answer = http.request(method, path, content=event_text() if method != "TRACE" else None)
    assert (answer.status_code, problem_of(answer)) == (405, "method-not-allowed")
    assert allowed in answer.headers["allow"].split(", ")


UNKNOWN_PATHS = [
    "/",
    "/api",
    "/api/v1",
    "/api/v1/events",
    "/api/v2/events/ingest",
    "/api/v1/events/ingest/",
    "/api/v1/events/ingest/batch/",
    "/api/v1/events/recent/",
    "/api/v1//events/recent",
    "/API/V1/EVENTS/RECENT",
    "/api/v1/events/recent%00",
    "/api/v1/events/..%2f..%2fhealthz",
    "/%ff%fe",
    "/healthz/",
    "/.env",
]


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("path", UNKNOWN_PATHS)
def test_an_unknown_path_is_not_found(http: httpx.Client, path: str, method: str) -> None:
    answer = http.request(method, path)
    assert (answer.status_code, problem_of(answer)) == (404, "not-found")


def request(door: Door, *headers: str, body: bytes = b"", path: str = INGEST) -> bytes:
    """A request as bytes, with the seeded key."""
    lines = [
        f"POST {path} HTTP/1.1",
        "Host: test",
        f"Authorization: Bearer {door.api_key}",
    ]
    return "\r\n".join([*lines, *headers, "", ""]).encode() + body


CHUNKED = "Transfer-Encoding: chunked"
# The server refuses these before any application sees them; what matters is: at once, no 5xx.
BROKEN_HTTP = {
    "a negative length": (["Content-Length: -1"], b"{}"),
    "a length in words": (["Content-Length: two"], b"{}"),
    "a length beyond 64 bits": (["Content-Length: 99999999999999999999999"], b"{}"),
    "two lengths": (["Content-Length: 2", "Content-Length: 3"], b"{}"),
    "a length and chunks": (["Content-Length: 2", CHUNKED], b"2\r\n{}\r\n0\r\n\r\n"),
    "a chunk without a size": ([CHUNKED], b"zz\r\n{}\r\n0\r\n\r\n"),
    "a chunk beyond 64 bits": ([CHUNKED], b"fffffffffffffffff\r\n"),
    "a header with NUL": (["X-A: a\0b", "Content-Length: 2"], b"{}"),
    "a folded header": (["X-A: a\r\n b", "Content-Length: 2"], b"{}"),
}


@pytest.mark.parametrize(("headers", "body"), BROKEN_HTTP.values(), ids=BROKEN_HTTP.keys())
def test_broken_http_is_refused_at_once(door: Door, headers: list[str], body: bytes) -> None:
    assert door.exchange(request(door, *headers, body=body)).status == 400


@pytest.mark.parametrize(
    "garbage",
    [b"\x16\x03\x01\x02\x00\x01\x00", bytes(1000), b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
     b"GET /" + b"a" * 200_000 + b" HTTP/1.1\r\nHost: test\r\n\r\n",
     b"BREW /api/v1/events/ingest HTTP/1.1\r\nHost: test\r\n\r\n"],
    ids=["TLS", "zeros", "HTTP/2", "a path of 200 KB", "a made-up method"],
)  # fmt: skip
def test_what_is_no_request_is_refused_at_once(door: Door, garbage: bytes) -> None:
    assert door.exchange(garbage).status == 400


def test_an_absurd_length_is_refused_before_the_body_comes(door: Door) -> None:
    answer = door.exchange(request(door, "Content-Length: 99999999999", body=b"{"))
    assert answer.status == 413
    assert b"body-too-large" in answer.body


def test_chunks_beyond_the_limit_are_refused(door: Door) -> None:
    body = b"600000\r\n" + b" " * 0x600000 + b"\r\n0\r\n\r\n"
    assert door.exchange(request(door, CHUNKED, body=body)).status == 413


def test_tiny_chunks_are_one_body(door: Door) -> None:
    event = event_text()
    body = b"".join(b"1\r\n%c\r\n" % byte for byte in event) + b"0\r\n\r\n"
    assert door.exchange(request(door, CHUNKED, body=body)).status == 202


def test_a_client_that_leaves_halfway_leaves_the_api_well(door: Door, http: httpx.Client) -> None:
    for _ in range(20):
        with pytest.raises((TimeoutError, OSError)):
            door.exchange(request(door, "Content-Length: 100", body=b"{"), seconds=0.05)
    answer = http.post(INGEST, content=event_text(event_id=f'"{EVENT_ID}"'))
    assert (answer.status_code, ids(answer)) == (202, [EVENT_ID])


@pytest.mark.parametrize(
    ("sent", "is_kept"),
    [("abc-1.2_3", True), ("x" * 128, True), ("x" * 129, False), ("a b", False),
     ("<script>", False), ("é", False), ("", False)],
)  # fmt: skip
def test_only_a_sane_request_id_comes_back(http: httpx.Client, sent: str, is_kept: bool) -> None:
    answer = http.post(INGEST, content=b"", headers={"x-request-id": sent.encode()})
    assert answer.status_code == 400
    assert (answer.headers["x-request-id"] == sent) is is_kept
    assert answer.json()["request_id"] == answer.headers["x-request-id"]


def test_what_a_limit_refuses_is_told_when_to_come_back_and_is_not_stored(door: Door) -> None:
    key = door.make_key("ingest", "read", max_events_per_second=2, max_burst_events=2)
    door.wait_for_key(key)
    events = {str(name): event_text(event_id=f'"{name}"') for name in (uuid4() for _ in range(50))}
    with door.client(key) as client:
        answers = {name: client.post(INGEST, content=event) for name, event in events.items()}
    refused = [answer for answer in answers.values() if answer.status_code != 202]
    assert refused
    for answer in refused:
        assert (answer.status_code, problem_of(answer)) == (429, "rate-limited")
        assert int(answer.headers["retry-after"]) >= 1
        assert answer.headers["ratelimit-limit"] == "2"
        assert answer.headers["ratelimit-remaining"] == "0"
    door.load()
    accepted = {name for name, answer in answers.items() if answer.status_code == 202}
    assert set(door.rows(list(events))) == accepted


def test_more_events_at_once_than_the_limit_ever_allows_are_too_large(door: Door) -> None:
    key = door.make_key("ingest", "read", max_events_per_second=2, max_burst_events=2)
    door.wait_for_key(key)
    with door.client(key) as client:
        answer = client.post(BATCH, content=b"[" + b",".join([event_text()] * 3) + b"]")
    assert (answer.status_code, problem_of(answer)) == (413, "body-too-large")
