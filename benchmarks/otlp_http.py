"""Spans a second of one API process, from the socket to the disk: the key and Redis included."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import httpx

from tests.running import RunningPlatform, run_platform

ROUNDS: Final = 4
REQUESTS: Final = 10
WARM_UP: Final = 3
TICKS_PER_SECOND: Final = os.sysconf("SC_CLK_TCK")


@contextmanager
def receiving_api() -> Iterator[RunningPlatform]:
    """An API process with its Redis and PostgreSQL, as `make up` starts them."""
    with (
        tempfile.TemporaryDirectory() as home,
        run_platform(Path(home), only=["postgres", "redis", "api"]) as platform,
    ):
        yield platform


def measure(platform: RunningPlatform, body: bytes, media: str, span_count: int) -> float:
    """Processor time of the API for one span, in seconds.

    The same request again and again, as exporters send: not compressed, one after the other. Of
    the rounds the cheapest, because the machine may be busy with other things.
    """
    headers = {
        "authorization": f"Bearer {platform.api_key}",
        "content-type": media,
    }
    pid = platform.pid("api")
    if pid is None:
        raise RuntimeError("the API does not run")
    with httpx.Client(base_url=platform.api_url, headers=headers, timeout=60) as client:
        for _ in range(WARM_UP):
            client.post("/v1/traces", content=body).raise_for_status()
        rounds = [_round(client, body, pid) for _ in range(ROUNDS)]
    return min(rounds) / (REQUESTS * span_count)


def _round(client: httpx.Client, body: bytes, pid: int) -> float:
    start = _processor_seconds(pid)
    for _ in range(REQUESTS):
        client.post("/v1/traces", content=body).raise_for_status()
    return _processor_seconds(pid) - start


def _processor_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS_PER_SECOND
