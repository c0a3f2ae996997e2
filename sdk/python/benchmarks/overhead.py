"""What the SDK costs a program: time of each call, and memory of events that wait."""

from __future__ import annotations

import gc
import os
import statistics
import threading
import time
from pathlib import Path
from typing import Any, NamedTuple

import openai

import llmscope
from tests.providers import SAID, Parts, Provider, http_of, openai_client

ROUNDS = 30
CALLS_PER_ROUND = 50
QUEUED_EVENTS = 10_000
WARMING_CALLS = 500
# Events end in the redaction, on the sender's thread: as if each were delivered.
DELIVERED: dict[str, Any] = {"api_key": "k", "spool_directory": "off", "redact": lambda _: None}


class WholeEvents(Parts):
    """A stream that comes an event at a time, as the tokens are made."""

    def __init__(self, body: bytes, breaks: BaseException | None) -> None:
        super().__init__(body, breaks)
        self.parts = [event + b"\n\n" for event in body.split(b"\n\n") if event]


class Added(NamedTuple):
    """Processor time of the program's thread, in microseconds.

    Attributes:
        median: What recording adds to a call: the median over pairs of rounds.
        plain: The call without it.
    """

    median: float
    plain: float


def added_to_a_call(is_stream: bool) -> Added:
    """Rounds with and without the SDK take turns: the noise of the machine meets both."""
    provider = Provider(http_of(openai))
    provider.parts = WholeEvents
    plain_client, client = openai_client(provider), openai_client(provider)
    llmscope.init(**DELIVERED)
    # `instrument` in each round would also measure how the interpreter's caches fill anew.
    llmscope.wrap(client)
    pairs = [
        (_round(plain_client, is_stream), _round(client, is_stream)) for _ in range(ROUNDS + 1)
    ][1:]
    llmscope.shutdown(0)
    median = statistics.median(with_sdk - plain for plain, with_sdk in pairs)
    return Added(median * 1e6, statistics.median(plain for plain, _ in pairs) * 1e6)


def _round(client: Any, is_stream: bool) -> float:
    started = time.thread_time()
    for _ in range(CALLS_PER_ROUND):
        _call(client, is_stream)
    return (time.thread_time() - started) / CALLS_PER_ROUND


def _call(client: Any, is_stream: bool = False) -> None:
    result = client.chat.completions.create(model="m", messages=SAID, stream=is_stream)
    if is_stream:
        list(result)


def queued_bytes() -> int:
    """What the process grows by while 10,000 calls of a client wait in the queue."""
    blocked, is_over = threading.Event(), threading.Event()

    def redact(_event: dict[str, Any]) -> None:
        blocked.set()
        is_over.wait()

    provider = Provider(http_of(openai))
    plain_client, client = openai_client(provider), openai_client(provider)
    llmscope.init(**{**DELIVERED, "redact": redact, "flush_at": 1})
    llmscope.wrap(client)
    _call(client)
    blocked.wait()
    for _ in range(WARMING_CALLS):
        _call(plain_client)
    before = _resident_bytes(provider)
    for _ in range(QUEUED_EVENTS):
        _call(client)
    used = _resident_bytes(provider) - before
    if llmscope.losses():
        raise RuntimeError(f"not all of them wait: {llmscope.losses()}")
    is_over.set()
    llmscope.shutdown()
    return used


def _resident_bytes(provider: Provider) -> int:
    # What the stand-in remembers is no part of it.
    provider.requests.clear()
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def print_overhead() -> None:
    """The table."""
    print("| what | figure |")
    print("|---|---|")
    for name, is_stream in (("call", False), ("stream of 4 chunks", True)):
        added = added_to_a_call(is_stream)
        print(
            f"| median time that recording adds to a {name} of {added.plain:.0f} us |"
            f" {added.median:.0f} us |"
        )
    size = queued_bytes()
    print(
        f"| memory of {QUEUED_EVENTS:,} queued events |"
        f" {size / 2**20:.1f} MiB, {size / QUEUED_EVENTS:.0f} bytes each |"
    )
