"""From a file of NDJSON to batches of events that can be sent twice."""

import gzip
import io
import os
import sys
import zlib
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from hashlib import sha256
from pathlib import Path
from typing import IO, Final, NamedTuple, cast
from uuid import UUID, uuid5

import msgspec
import zstandard

from cli.errors import CliError

# A line above what a request may carry (LLMSCOPE_MAX_BODY_BYTES, 5 MiB) is no event.
MAX_LINE_BYTES: Final = 5 * 1024 * 1024
GZIP_MAGIC: Final = b"\x1f\x8b"
ZSTD_MAGIC: Final = b"\x28\xb5\x2f\xfd"
# Names the ids that are derived here; any change would turn a resent file into new rows.
NAMESPACE: Final = UUID("5f0c8a52-4d0e-5b8e-9a35-3c3a7f1de9a4")
STDIN: Final = "-"

_OBJECT: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])
_JSON: Final = msgspec.json.Encoder()


class Line(NamedTuple):
    """One event as JSON, and the number of its line in the file, from 1."""

    number: int
    body: bytes


class Batch(NamedTuple):
    """Events of one request; with it all lines up to `last_number` are dealt with."""

    lines: list[Line]
    last_number: int

    @property
    def body(self) -> bytes:
        """The events as NDJSON."""
        return b"\n".join(line.body for line in self.lines)

    def halves(self) -> tuple["Batch", "Batch"]:
        """The batch as two; it must have two lines or more."""
        middle = len(self.lines) // 2
        first = self.lines[:middle]
        return Batch(first, first[-1].number), Batch(self.lines[middle:], self.last_number)


class Input(NamedTuple):
    """An open file.

    Attributes:
        stream: Its content, decompressed.
        raw: Its bytes as they lie on the disk, whose position tells the progress.
        byte_count: Size on the disk; None for standard input.
    """

    stream: IO[bytes]
    raw: IO[bytes]
    byte_count: int | None


@contextmanager
def open_input(name: str) -> Iterator[Input]:
    """A file, or standard input for `-`; gzip and zstd are known by their first bytes.

    Raises:
        CliError: it cannot be read.
    """
    if name == STDIN:
        standard_input = cast("io.BufferedReader", sys.stdin.buffer)
        yield Input(_decompressed(standard_input), standard_input, None)
        return
    with ExitStack() as stack:
        try:
            raw = stack.enter_context(Path(name).open("rb"))
        except OSError as error:
            raise CliError(f"{name} cannot be read: {error.strerror}.") from None
        yield Input(_decompressed(raw), raw, os.fstat(raw.fileno()).st_size)


def _decompressed(raw: io.BufferedReader) -> IO[bytes]:
    start = raw.peek(4)[:4]
    if start.startswith(GZIP_MAGIC):
        return cast("IO[bytes]", gzip.GzipFile(fileobj=raw))
    if start.startswith(ZSTD_MAGIC):
        reader = zstandard.ZstdDecompressor().stream_reader(raw, read_across_frames=True)
        return io.BufferedReader(reader)
    return raw


def read_lines(stream: IO[bytes], skip: int) -> Iterator[Line]:
    """The lines behind the first `skip` that are not blank, each event with an id.

    Raises:
        CliError: it is no NDJSON, or it cannot be read to its end.
    """
    number = 0
    try:
        while line := stream.readline(MAX_LINE_BYTES + 1):
            number += 1
            if len(line) > MAX_LINE_BYTES:
                raise CliError(f"Line {number} is longer than 5 MiB: send one event a line.")
            body = line.strip()
            if number == 1 and body.startswith(b"["):
                raise CliError("This is a JSON array: send one event a line (`jq -c '.[]'`).")
            if number > skip and body:
                yield Line(number, with_event_id(number, body))
    except (EOFError, OSError, zlib.error, zstandard.ZstdError) as error:
        raise CliError(f"The file cannot be read behind line {number}: {error}.") from None


def with_event_id(number: int, body: bytes) -> bytes:
    """Pure: the event with an id, which is derived from the line where the sender gave none.

    The same line at the same place of a file always gets the same id, so that a file that is sent
    again is the same rows. What is no JSON object stays as it is: the API says what is wrong.
    """
    try:
        fields = _OBJECT.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return body
    if bytes(fields.get("event_id", b"null")) != b"null":
        return body
    event_id = uuid5(NAMESPACE, f"{number} {sha256(body).hexdigest()}")
    return _JSON.encode(
        {"event_id": event_id, **{k: v for k, v in fields.items() if k != "event_id"}}
    )


def batches(lines: Iterable[Line], max_events: int, max_bytes: int) -> Iterator[Batch]:
    """Lines in their order, as few requests as the limits allow."""
    waiting: list[Line] = []
    size = 0
    for line in lines:
        if waiting and (len(waiting) == max_events or size + len(line.body) + 1 > max_bytes):
            yield Batch(waiting, waiting[-1].number)
            waiting, size = [], 0
        waiting.append(line)
        size += len(line.body) + 1
    if waiting:
        yield Batch(waiting, waiting[-1].number)
