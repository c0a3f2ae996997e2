"""Bodies are bounded, decoded, and refused early."""

import gzip

import pytest
import zstandard

from ingest_api.body import decode_body
from ingest_api.errors import BodyTooLargeError, MalformedBodyError, UnsupportedEncodingError

TEXT = b"[]" * 500


@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        ("identity", TEXT),
        ("", TEXT),
        ("gzip", gzip.compress(TEXT, mtime=0)),
        ("gzip", gzip.compress(TEXT[:100], mtime=0) + gzip.compress(TEXT[100:], mtime=0)),
        ("zstd", zstandard.compress(TEXT)),
        ("zstd", zstandard.compress(TEXT[:100]) + zstandard.compress(TEXT[100:])),
    ],
)
def test_every_supported_encoding_gives_the_text(encoding: str, body: bytes) -> None:
    assert decode_body(body, encoding, 1000) == TEXT


@pytest.mark.parametrize("compress", [gzip.compress, zstandard.compress])
def test_a_decompression_bomb_is_refused(compress: object) -> None:
    bomb = compress(b"\0" * 50_000_000)  # type: ignore[operator]
    encoding = "gzip" if compress is gzip.compress else "zstd"
    with pytest.raises(BodyTooLargeError):
        decode_body(bomb, encoding, 1_000_000)


@pytest.mark.parametrize("encoding", ["gzip", "zstd"])
@pytest.mark.parametrize("damage", [b"not compressed", "cut"])
def test_damaged_bodies_are_malformed(encoding: str, damage: bytes | str) -> None:
    whole = gzip.compress(TEXT) if encoding == "gzip" else zstandard.compress(TEXT)
    body = whole[:-6] if damage == "cut" else damage
    assert isinstance(body, bytes)
    with pytest.raises(MalformedBodyError):
        decode_body(body, encoding, 10_000)


def test_unknown_encodings_are_named() -> None:
    with pytest.raises(UnsupportedEncodingError, match="zstd"):
        decode_body(TEXT, "br", 1000)
