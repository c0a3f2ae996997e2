"""A server that takes events, and clients of it with a spool of their own."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import llmscope
from llmscope import ReportedError
from llmscope._client import Client
from llmscope._options import resolve
from llmscope._transport.backoff import Backoff
from tests.door import Door

FAST = Backoff(0.01, 0.05)
EVENT = {"provider_name": "acme", "request_model": "m1"}
Make = Callable[..., Client]


@pytest.fixture
def door() -> Iterator[Door]:
    opened = Door()
    yield opened
    opened.stop()


@pytest.fixture
def reports() -> list[ReportedError]:
    """What `on_error` was told."""
    return []


@pytest.fixture
def make(door: Door, tmp_path: Path, reports: list[ReportedError]) -> Iterator[Make]:
    """Makes clients that retry at once."""
    made: list[Client] = []

    def make_client(**options: Any) -> Client:
        given = {
            "api_key": "llms_test",
            "url": door.url,
            "spool_directory": str(tmp_path / "spool"),
            "flush_interval_seconds": 0.02,
            "on_error": reports.append,
            **options,
        }
        client = Client(resolve(given, {}), FAST)
        made.append(client)
        return client

    yield make_client
    for client in made:
        client.shutdown(1)


@pytest.fixture
def recording(door: Door) -> Iterator[Door]:
    """What `init` has started; `recorded` reads it."""
    llmscope.init(api_key="llms_test", url=door.url, spool_directory="off")
    yield door
    llmscope.uninstrument()
    llmscope.shutdown(1)


def recorded(door: Door) -> list[dict[str, Any]]:
    """The events so far, in the order they were made, and forget them."""
    assert llmscope.flush(10)
    found = [door.events[event_id] for event_id in door.order]
    door.events.clear()
    door.order.clear()
    return found
