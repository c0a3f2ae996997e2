"""The live feed as the command line reads it: Server-Sent Events that outlive their connection."""

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import httpx
import msgspec
import typer

from cli.connection import problem_detail, unreachable
from cli.errors import ApiError, CliError

PATH: Final = "/api/v1/events/stream"
# A feed without even heartbeats is dead; they come every 15 s unless configured otherwise.
SILENCE_SECONDS: Final = 60.0
PAUSES_SECONDS: Final = (0.5, 1.0, 2.0, 5.0, 10.0)
TRANSIENT_STATUS: Final = frozenset({429, 500, 502, 503, 504})

Message = dict[str, Any]


def say(words: str) -> None:
    """Tell the user, beside the events."""
    typer.echo(words, err=True)


@dataclass
class Feed:
    """Messages of the live feed. Where the connection breaks, it is opened again behind the last.

    Attributes:
        last_id: Behind what the next connection goes on; empty for now.
    """

    client: httpx.Client
    filters: dict[str, str]
    last_id: str = ""
    sleep: Callable[[float], None] = time.sleep
    say: Callable[[str], None] = say
    _failure_count: int = field(default=0)

    def messages(self) -> Iterator[Message]:
        """Messages without end.

        Raises:
            CliError: nothing answers at the first attempt.
            ApiError: the API refuses, and will again.
        """
        is_first = True
        while True:
            try:
                for message in self._connect():
                    self._failure_count, is_first = 0, False
                    self.last_id = message.get("id", self.last_id)
                    yield message
            except httpx.TransportError:
                if is_first:
                    raise CliError(unreachable(self.client)) from None
            except ApiError as error:
                if is_first or error.status not in TRANSIENT_STATUS:
                    raise
            self._pause()

    def _connect(self) -> Iterator[Message]:
        headers = {"Accept": "text/event-stream"}
        if self.last_id:
            headers["Last-Event-ID"] = self.last_id
        timeout = httpx.Timeout(SILENCE_SECONDS)
        with self.client.stream(
            "GET", PATH, params=self.filters, headers=headers, timeout=timeout
        ) as answer:
            if not answer.is_success:
                answer.read()
                raise ApiError(answer.status_code, problem_detail(answer))
            yield from read_messages(answer.iter_lines())

    def _pause(self) -> None:
        if self._failure_count == 1:
            self.say("llmscope: the connection is lost; trying again ...")
        pause = PAUSES_SECONDS[min(self._failure_count, len(PAUSES_SECONDS) - 1)]
        self._failure_count += 1
        self.sleep(pause)


def read_messages(lines: Iterable[str]) -> Iterator[Message]:
    """Pure: the messages in the lines of Server-Sent Events, each of which has one line of data."""
    for line in lines:
        if line.startswith("data:"):
            message: Message = msgspec.json.decode(line[5:])
            yield message
