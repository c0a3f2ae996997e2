"""Events that wait out an outage on disk.

A folder of segments, one event a line, written by append and fsync. Whoever has a segment open
holds a lock on it, which ends with its process however that ends: so the segments without a lock
are those that somebody left, and any process may send them. A segment is unlinked once all of it
is settled; who dies before that sends it again, and an event sent twice is one row.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from enum import Enum
from pathlib import Path
from typing import Callable

from llmscope._events import new_event_id
from llmscope._transport.lines import Line, read_lines

try:
    import fcntl
except ImportError:  # Windows has no such locks, and no spool.
    fcntl = None  # type: ignore[assignment]

SUFFIX = ".ndjson"
# Read as a whole when it is sent.
SEGMENT_BYTES = 2**20
# Another process that looks for segments may lock a new one before its maker does.
CREATE_ATTEMPTS = 10
IS_SUPPORTED = fcntl is not None


class Stored(Enum):
    """What became of an append."""

    YES = "yes"
    FULL = "full"
    UNUSABLE = "unusable"


class Segment:
    """A file that this process has locked.

    Attributes:
        path: Its name begins with the time of its making.
    """

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path = path
        self._descriptor = descriptor

    def append(self, data: bytes) -> None:
        """Return once `data` is on disk.

        Raises:
            OSError: it is not; what was written of it is cut off again.
        """
        size = self.size()
        try:
            _write(self._descriptor, data)
            os.fsync(self._descriptor)
        except OSError:
            with suppress(OSError):
                os.ftruncate(self._descriptor, size)
            raise

    def size(self) -> int:
        """In bytes."""
        return os.fstat(self._descriptor).st_size

    def read(self) -> bytes:
        """All of it.

        Raises:
            OSError: the disk fails.
        """
        with open(os.dup(self._descriptor), "rb") as file:
            file.seek(0)
            return file.read()

    def replace(self, lines: Sequence[Line]) -> None:
        """Keep only `lines`, none of them lost whenever the process dies.

        Raises:
            OSError: the disk fails; the segment is as it was.
        """
        fresh = self.path.with_suffix(".new")
        if not lines:
            self.path.unlink()
            # Left by a process that died while it wrote one.
            _unlink(fresh)
            return
        try:
            _write_file(fresh, _data(lines))
            fresh.replace(self.path)
        except OSError:
            _unlink(fresh)
            raise

    def close(self) -> None:
        """End the lock; an empty file goes."""
        with suppress(OSError):
            if self.size() == 0:
                self.path.unlink()
        with suppress(OSError):
            os.close(self._descriptor)

    def abandon(self) -> None:
        """Forget the file without touching it."""
        with suppress(OSError):
            os.close(self._descriptor)


class Spool:
    """Not safe for threads; several processes may share a folder.

    Args:
        folder: Is made where it is missing; nobody else may read it.
        max_bytes: The size of all segments in it.
        damaged: Is told how many lines of a segment were no events.
    """

    def __init__(self, folder: Path, max_bytes: int, damaged: Callable[[int], None]) -> None:
        self.folder = folder
        self._max_bytes = max_bytes
        self._damaged = damaged
        self._segment: Segment | None = None
        self._read_segment: Segment | None = None
        self.failure = ""

    def append(self, lines: Sequence[Line]) -> Stored:
        """Store lines, all or none of them."""
        data = _data(lines)
        try:
            if self._size() + len(data) > self._max_bytes:
                return Stored.FULL
            segment = self._writable(len(data))
            segment.append(data)
        except OSError as error:
            self.failure = f"{type(error).__name__}: {error}"
            self.close()
            return Stored.UNUSABLE
        return Stored.YES

    def segments(self) -> Iterator[tuple[Segment, list[Line]]]:
        """Each segment that no living process writes, oldest first, and its lines.

        It is locked until the next one is asked for.
        """
        self.close()
        for path in self._paths():
            segment = _lock(path)
            if segment is None:
                continue
            self._read_segment = segment
            try:
                lines, damaged_count = read_lines(segment.read())
                if damaged_count:
                    self._damaged(damaged_count)
                yield segment, lines
            except OSError as error:
                self.failure = f"{type(error).__name__}: {error}"
            finally:
                segment.close()
                self._read_segment = None

    def is_empty(self) -> bool:
        """Whether nothing waits here, of this process or of others."""
        return self._segment is None and not self._paths()

    def close(self) -> None:
        """Let others, or `segments`, have what was appended."""
        if self._segment is not None:
            self._segment.close()
            self._segment = None

    def abandon(self) -> None:
        """In a fork: the parent keeps the lock as long as it lives, and no longer."""
        for segment in (self._segment, self._read_segment):
            if segment is not None:
                segment.abandon()
        self._segment = self._read_segment = None

    def _writable(self, size: int) -> Segment:
        if self._segment is not None and self._segment.size() + size > SEGMENT_BYTES:
            self.close()
        if self._segment is None:
            self._segment = self._create()
        return self._segment

    def _create(self) -> Segment:
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for _ in range(CREATE_ATTEMPTS):
            path = self.folder / f"{new_event_id()}{SUFFIX}"
            segment = _lock(path, os.O_CREAT | os.O_EXCL)
            if segment is not None:
                _sync_folder(self.folder)
                return segment
        raise OSError(f"other processes lock each new file in {self.folder}")

    def _paths(self) -> list[Path]:
        """A folder that is not there, or not readable, has none."""
        try:
            return sorted(path for path in self.folder.iterdir() if path.suffix == SUFFIX)
        except OSError:
            return []

    def _size(self) -> int:
        sizes = 0
        for path in self._paths():
            with suppress(FileNotFoundError):
                sizes += path.stat().st_size
        return sizes


def _lock(path: Path, flags: int = 0) -> Segment | None:
    """The segment at `path`, or None where another process has it or has just settled it."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_APPEND | flags, 0o600)
    except FileNotFoundError:
        return None
    except OSError:
        if flags:
            raise
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if _is_at(descriptor, path):
            return Segment(path, descriptor)
    except OSError:
        pass
    os.close(descriptor)
    return None


def _is_at(descriptor: int, path: Path) -> bool:
    """Whether nobody has settled the segment since it was opened."""
    return os.fstat(descriptor).st_ino == path.stat().st_ino


def _data(lines: Sequence[Line]) -> bytes:
    return b"".join(line.text + b"\n" for line in lines)


def _write(descriptor: int, data: bytes) -> None:
    """`os.write` may take only a part, on a disk that is nearly full."""
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def _write_file(path: Path, data: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        _write(descriptor, data)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _unlink(path: Path) -> None:
    with suppress(OSError):
        path.unlink()


def _sync_folder(folder: Path) -> None:
    """Without it a new file may be gone after a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
