"""Bytes that were a good body once: what a broken sender, proxy or attacker makes of it."""

import gzip
from typing import Final

import zstandard
from hypothesis import strategies as st

EVENT: Final = (
    b'{"event_id":"01939b2e-7c9a-7d0e-9d55-0c2f1f2f6a10","provider_name":"openai",'
    b'"request_model":"gpt-4o","started_at":"2026-11-22T10:00:00.123456Z","duration_seconds":1.42,'
    b'"input_tokens":1200,"output_tokens":300,"cache_read_input_tokens":1024,"is_stream":true,'
    b'"usage_details":{"prompt_tokens":1200,"details":[{"cached":1.024e3},null,true,"\\u00e9"]},'
    b'"service_tier":"flex","response_finish_reasons":["stop","length"],"http_status_code":200,'
    b'"tags":{"team":"search","\\"k\\\\":"\xc3\xa9\xf0\x9f\x98\x80"},"reported_cost_usd":0.0001,'
    b'"input_messages":[{"role":"user","content":"hi\\n"}],"user_id":"user-42"}'
)
BATCH: Final = b"[" + b",".join([EVENT] * 3) + b"]"
LINES: Final = b"\n".join([EVENT] * 3)
# Small pieces that parsers trip over.
TOKENS: Final = (
    b"", b"\0", b"\x1f", b"\x7f", b"\xff", b"\xc0\x80", b"\xed\xa0\x80", b"\xef\xbb\xbf", b"\\",
    b'"', b"\\u0000", b"\\ud800", b"\\udc00\\ud800", b"{", b"}", b"[", b"]", b",", b":", b"\n",
    b"null", b"NaN", b"-Infinity", b"1e999", b"1e-999", b"-0", b"1E+400", b"9" * 400,
    b"0." + b"1" * 99, b"0e-20000", b"0e140000", b"1e-99999999999999999999", b"1e131000",
    b"[" * 2000, b'{"a":' * 2000, b"]" * 2000, b'"tags":{', b'"usage_details":', b"0000-00-00T00",
    b"9999-12-31T23:59:59-23:59", b"\\N", b"\\.", b"\t",
)  # fmt: skip

_positions = st.floats(0, 1, exclude_max=True)


@st.composite
def damaged(draw: st.DrawFn, body: bytes) -> bytes:
    """`body` after up to four of: a flipped bit, a cut, a gap, a repetition, a splice, a token."""
    for _ in range(draw(st.integers(1, 4))):
        start = int(draw(_positions) * len(body))
        length = draw(st.integers(1, 40))
        before, part, after = body[:start], body[start : start + length], body[start + length :]
        match draw(st.integers(0, 5)):
            case 0 if part:
                flipped = part[0] ^ (1 << draw(st.integers(0, 7)))
                body = before + bytes([flipped]) + part[1:] + after
            case 1:
                body = before
            case 2:
                body = before + after
            case 3:
                body = before + part * draw(st.integers(2, 50)) + after
            case 4:
                elsewhere = int(draw(_positions) * len(body))
                body = before + body[elsewhere : elsewhere + length] + after
            case _:
                body = before + draw(st.sampled_from(TOKENS)) + part + after
    return body


def damaged_bodies() -> st.SearchStrategy[bytes]:
    """Damaged events, arrays and lines, and a few bytes out of nowhere."""
    return st.one_of(damaged(EVENT), damaged(BATCH), damaged(LINES), st.binary(max_size=64))


def damaged_archives() -> st.SearchStrategy[bytes]:
    """Damaged gzip and zstd, of one and of several members."""
    gzipped, frames = gzip.compress(BATCH, mtime=0), zstandard.compress(BATCH)
    whole = [gzipped, gzipped * 2, frames, frames * 2, gzipped + frames]
    return st.one_of(*map(damaged, whole), *map(st.just, whole), st.binary(max_size=64))
