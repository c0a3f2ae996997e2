"""Entries put straight into the stream, past the checks of the API."""

import asyncio
import itertools
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import msgspec
import redis.asyncio
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from ingest_api.stream import EventStreamWriter, Source, StreamError
from tests.running import RunningPlatform
from tests.traffic import Traffic

SOURCE: Final = """
select tenant_id, project_id, api_key_id
from app.api_keys join app.projects using (project_id) order by api_keys.created_at limit 1
"""
MARKER: Final = re.compile(rb"poison-[0-9a-f]{12}-\d+")


def refused_by_postgres(traffic: Traffic, marker: str) -> bytes:
    """A well-formed event with a character that Postgres does not store."""
    event = {**traffic.event(0), "event_id": str(traffic.event_id(0))}
    return msgspec.json.encode([{**event, "user_id": f"\x00 {marker}"}])


def against_the_contract(traffic: Traffic, marker: str) -> bytes:
    """An event whose tokens are no number."""
    return msgspec.json.encode(
        [{**traffic.event(0), "input_tokens": "many", "response_id": marker}]
    )


def unreadable(_traffic: Traffic, marker: str) -> bytes:
    """No JSON at all."""
    return f"[{marker}]".encode()


KINDS: Final[tuple[Callable[[Traffic, str], bytes], ...]] = (
    refused_by_postgres,
    against_the_contract,
    unreadable,
)


@dataclass
class Poisoner:
    """Writes one poison entry after the other.

    Attributes:
        written: Markers whose entry is in the stream.
        uncertain: Markers whose write was not answered.
    """

    traffic: Traffic
    written: set[str] = field(default_factory=set)
    uncertain: set[str] = field(default_factory=set)

    async def run(self, platform: RunningPlatform, interval_seconds: float) -> None:
        """Write an entry every so often, until cancelled."""
        ((tenant_id, project_id, api_key_id),) = platform.query(SOURCE)
        source = Source(tenant_id, project_id, api_key_id)
        # A repeated write would be a second entry with the same marker.
        client = redis.asyncio.Redis.from_url(platform.redis_url, retry=Retry(NoBackoff(), 0))
        writer = EventStreamWriter(client=client, max_entries=1_000_000)
        async with client:
            for number in itertools.count():
                await self._write(writer, source, number)
                await asyncio.sleep(interval_seconds)

    async def _write(self, writer: EventStreamWriter, source: Source, number: int) -> None:
        marker = f"poison-{self.traffic.name}-{number}"
        self.uncertain.add(marker)
        try:
            await writer.append(source, KINDS[number % len(KINDS)](self.traffic, marker), 1)
        except StreamError:
            return
        self.uncertain.remove(marker)
        self.written.add(marker)
