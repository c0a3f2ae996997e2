"""What one transaction is to write, made while Postgres still works on the one before."""

from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final, Generic, Self, TypeVar

from ingest_api.stream import RawEntry
from orchestration.loading.copy_text import content_lines, event_lines
from orchestration.loading.event_rows import Letter, read_entries

# So much JSON is turned into lines at once: 600 events, which with all that is made of them fit the
# processor's cache. With 20,000 at once an event takes twice the time.
CHUNK_BYTES: Final = 256 * 1024

T = TypeVar("T")


@dataclass(frozen=True)
class Commit:
    """Entries, and what they come to if the database takes all of it.

    Attributes:
        events: Lines for `raw.llm_events`.
        contents: Lines for `raw.llm_event_contents`.
        letters: For what is not even readable.
        is_text_valid: False where verbatim JSON of an event is not UTF-8: then there are no lines.
    """

    entries: Sequence[RawEntry]
    event_count: int
    events: Sequence[bytes]
    contents: Sequence[bytes]
    letters: Sequence[Letter]
    is_text_valid: bool = True


def prepare(entries: Sequence[RawEntry]) -> Commit:
    """Pure: entries, decoded and written as lines, chunk by chunk."""
    events, contents, letters, event_count = list[bytes](), list[bytes](), list[Letter](), 0
    for chunk in chunks(entries):
        batch, unreadable = read_entries(chunk)
        letters += unreadable
        if not batch:
            continue
        event_count += len(batch)
        try:
            events.append(event_lines(batch))
            contents.append(content_lines(batch))
        except UnicodeError:
            return Commit(entries, 0, (), (), (), is_text_valid=False)
    return Commit(entries, event_count, events, list(filter(None, contents)), letters)


def chunks(entries: Sequence[RawEntry]) -> Iterator[Sequence[RawEntry]]:
    """Neighbouring entries of together about `CHUNK_BYTES`, one at least."""
    start, size = 0, 0
    for index, entry in enumerate(entries):
        if size >= CHUNK_BYTES:
            yield entries[start:index]
            start, size = index, 0
        size += entry.byte_count
    if start < len(entries):
        yield entries[start:]


class Ahead(Generic[T]):
    """Hands out items one by one and makes the next in a thread, from when it is told to.

    The time to tell it is when the caller begins to wait for Postgres and leaves the interpreter
    to the thread: two threads that both work on Python hold each other up for 5 ms at a time.
    """

    def __init__(self, items: Iterator[T]) -> None:
        self._items = items
        self._maker = ThreadPoolExecutor(1)
        self._following: Future[T | None] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Waits for the item that is being made."""
        self._maker.shutdown()

    def start(self) -> None:
        """Begin to make the next item."""
        if self._following is None:
            self._following = self._maker.submit(next, self._items, None)

    def take(self) -> T | None:
        """The next item, None behind the last one. Raises what making it raised."""
        self.start()
        following, self._following = self._following, None
        return following.result() if following else None
