"""Reading a request body: bounded while it arrives, bounded while it is decompressed."""

import zlib
from collections.abc import Mapping
from typing import Final

import zstandard
from starlette.types import Receive

from ingest_api.errors import BodyTooLargeError, MalformedBodyError, UnsupportedEncodingError

# zstd frames may demand a window of gigabytes; 8 MiB is what its own tools use by default.
MAX_ZSTD_WINDOW_BYTES: Final = 8 * 1024 * 1024
# Four bytes of zstd may stand for 128 KiB, so that a slice yields at most 32 MiB.
ZSTD_SLICE_BYTES: Final = 1024
_GZIP_WRAPPER: Final = 16 + zlib.MAX_WBITS


class ClientGoneError(Exception):
    """The client closed the connection before its body was complete: nobody waits for an answer."""


async def read_body(receive: Receive, headers: Mapping[bytes, bytes], max_bytes: int) -> bytes:
    """The decoded body, of at most `max_bytes`; as many bytes are allowed on the wire.

    Raises:
        BodyTooLargeError: more than `max_bytes`, found before the rest is read or decompressed.
        UnsupportedEncodingError: a Content-Encoding other than gzip, zstd and identity.
        MalformedBodyError: the bytes are not in the encoding that the header claims.
        ClientGoneError: the client closed the connection.
    """
    # The server has already refused a length that is no number.
    _check_size(int(headers.get(b"content-length", 0)), max_bytes)
    parts: list[bytes] = []
    size, is_complete = 0, False
    while not is_complete:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGoneError
        part = message.get("body", b"")
        size += len(part)
        _check_size(size, max_bytes)
        parts.append(part)
        is_complete = not message.get("more_body", False)
    body = parts[0] if len(parts) == 1 else b"".join(parts)
    encoding = headers.get(b"content-encoding", b"").decode("latin-1").strip().lower()
    return decode_body(body, encoding, max_bytes)


def decode_body(body: bytes, encoding: str, max_bytes: int) -> bytes:
    """Undo one Content-Encoding; errors as in `read_body`."""
    match encoding:
        case "" | "identity":
            return body
        case "gzip" | "x-gzip":
            decoded = _gunzip(body, max_bytes)
        case "zstd":
            decoded = _unzstd(body, max_bytes)
        case _:
            raise UnsupportedEncodingError("Send the body as gzip, zstd or identity.")
    _check_size(len(decoded), max_bytes)
    return decoded


def _gunzip(body: bytes, max_bytes: int) -> bytes:
    """One or more gzip members, as RFC 1952 allows; stops just above `max_bytes`."""
    decoded = bytearray()
    while body and len(decoded) <= max_bytes:
        member = zlib.decompressobj(wbits=_GZIP_WRAPPER)
        try:
            decoded += member.decompress(body, max_bytes + 1 - len(decoded))
        except zlib.error as error:
            raise MalformedBodyError(f"The body is not valid gzip: {error}") from None
        if not member.eof and len(decoded) <= max_bytes:
            raise MalformedBodyError("The body is not valid gzip: it ends too early.")
        body = member.unused_data
    return bytes(decoded)


def _unzstd(body: bytes, max_bytes: int) -> bytes:
    """One or more zstd frames, as RFC 8878 allows; stops soon above `max_bytes`."""
    decompressor = zstandard.ZstdDecompressor(max_window_size=MAX_ZSTD_WINDOW_BYTES)
    decoded = bytearray()
    frame = decompressor.decompressobj()
    start = 0
    while start < len(body) and len(decoded) <= max_bytes:
        part = body[start : start + ZSTD_SLICE_BYTES]
        start += len(part)
        try:
            decoded += frame.decompress(part)
        except zstandard.ZstdError as error:
            raise MalformedBodyError(f"The body is not valid zstd: {error}") from None
        if frame.eof:
            start -= len(frame.unused_data)
            frame = decompressor.decompressobj() if start < len(body) else frame
    if len(decoded) <= max_bytes and not frame.eof:
        raise MalformedBodyError("The body is not valid zstd: it ends too early.")
    return bytes(decoded)


def _check_size(size: int, max_bytes: int) -> None:
    if size > max_bytes:
        raise BodyTooLargeError(
            f"The body is larger than {max_bytes} bytes: send several requests."
        )
