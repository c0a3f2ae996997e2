"""The two commands of the demo."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from typing import Final

import psycopg

from deploy.demo import removal
from deploy.demo.budgets import set_budgets
from deploy.demo.errors import DemoError
from deploy.demo.project import KEY_FILE, find_project, make_key, open_project, stored_key
from deploy.demo.sender import Sender, open_client, require_api
from deploy.demo.traffic import Traffic
from ingest_api.auth import RETRY_UNKNOWN_SECONDS
from ingest_api.events import Event
from ingest_api.settings import Settings
from ingest_api.stream import (
    REDIS_ERRORS,
    StreamError,
    StreamStats,
    connect,
    read_stats_blocking,
)

BATCH_EVENTS: Final = 500
BATCHES_PER_LINE: Final = 10
LIVE_INTERVAL_SECONDS: Final = 1.0


@dataclass(frozen=True)
class SendOptions:
    """What to send, and where to."""

    api_url: str
    days: int
    seed: int
    is_live: bool


def send(settings: Settings, options: SendOptions) -> None:
    """Send the history and, until Ctrl-C, a live trickle.

    Raises:
        DemoError: something that it needs is not there.
    """
    require_home(settings)
    require_api(options.api_url)
    with psycopg.connect(settings.database_url) as connection:
        project = open_project(connection)
        set_budgets(connection, project)
        key = stored_key(connection, project, settings.home)
        is_new = key is None
        key = key or make_key(connection, project, settings.home)
    if is_new:
        # The API looks for a key that it does not know, but not for each request.
        time.sleep(RETRY_UNKNOWN_SECONDS)
    with open_client(options.api_url, key) as client:
        sender, traffic = Sender(client), Traffic(options.seed, project.created_date)
        send_history(sender, traffic.history(datetime.now(UTC), options.days))
        if options.is_live:
            send_live(sender, traffic)


def send_history(sender: Sender, events: Iterable[Event]) -> None:
    """Send `events` in batches and show how far it is."""
    started, count = time.monotonic(), 0
    for number, batch in enumerate(in_batches(events), start=1):
        count += sender.send(batch)
        if number % BATCHES_PER_LINE == 0:
            print(f"  {batch[-1].started_at:%d %B}  {count:>7,} events", flush=True)
    print(f"The history is sent: {count:,} events in {time.monotonic() - started:.0f} s.")


def in_batches(events: Iterable[Event]) -> Iterator[list[Event]]:
    """`events` in lists of at most `BATCH_EVENTS`."""
    remaining = iter(events)
    while batch := list(islice(remaining, BATCH_EVENTS)):
        yield batch


def send_live(
    sender: Sender, traffic: Traffic, sleep: Callable[[float], None] = time.sleep
) -> None:
    """Send one event a second until Ctrl-C."""
    print("Sending one event a second; Ctrl-C stops it.", flush=True)
    count = 0
    try:
        while True:
            count += sender.send([traffic.live(datetime.now(UTC))])
            sleep(LIVE_INTERVAL_SECONDS)
    except KeyboardInterrupt:
        print(f"\nStopped after {count:,} live events. `make demo-remove` takes everything out.")


def remove(settings: Settings) -> None:
    """Delete everything that the demo has sent.

    Raises:
        DemoError: the project is not the demo's, or its events are still under way.
    """
    with psycopg.connect(settings.database_url, autocommit=True) as connection:
        project = find_project(connection)
        if project is None:
            print("There is no demo data.")
            return
        print("Closing the demo's key and waiting for its last events ...", flush=True)
        time.sleep(removal.close_door(connection, project))
        removal.wait_until_loaded(lambda: read_stats(settings))
        counts = removal.delete_rows(connection, project)
    (settings.home / KEY_FILE).unlink(missing_ok=True)
    for table, count in counts.items():
        print(f"  {table:<32} {count:>9,} rows")
    print("The demo is removed. Open report pages follow within minutes.")


def read_stats(settings: Settings) -> StreamStats:
    """State of the event stream.

    Raises:
        DemoError: Redis is away.
    """
    try:
        with connect(settings.redis_url, cluster=settings.redis_cluster) as client:
            return read_stats_blocking(client, settings.stream_shards)
    except (StreamError, *REDIS_ERRORS):
        raise DemoError("Redis does not answer: start LLMScope with `make up`.") from None


def require_home(settings: Settings) -> None:
    """Raise `DemoError` where LLMScope has never been started."""
    if not settings.home.is_dir():
        raise DemoError(
            f"{settings.home} does not exist: start LLMScope with `make up`, "
            "or set LLMSCOPE_HOME to its folder."
        )
