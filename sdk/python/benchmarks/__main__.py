"""`make bench-sdk`: recorded calls through the SDK, and what the SDK costs a program."""

from __future__ import annotations

import statistics
import time
import tracemalloc
import warnings
from collections import Counter
from typing import Any

import openai

import llmscope
from benchmarks.machine import machine
from llmscope._client import Client
from llmscope._options import resolve
from llmscope._transport.queue import EventQueue
from tests.cassettes import Capture, differences, explanation, recordings
from tests.providers import SAID, Provider, http_of, openai_client
from tests.replaying import replay

ROUNDS = 30
CALLS_PER_ROUND = 50
QUEUED_EVENTS = 10_000
# Events end in the redaction, on the sender's thread: as if each were delivered.
DELIVERED: dict[str, Any] = {"api_key": "k", "spool_directory": "off", "redact": lambda _: None}


def capture_table() -> str:
    """Calls, and those captured as recorded, by provider; each difference by name."""
    replayed = [(recording, replay(recording)) for recording in recordings()]
    capture = Capture()
    llmscope.instrument()
    calls: Counter[str] = Counter()
    same: Counter[str] = Counter()
    changed: Counter[str] = Counter()
    notes = []
    for recording, plain in replayed:
        calls[recording.provider] += 1
        is_changed = replay(recording) != plain
        changed[recording.provider] += is_changed
        found = differences(recording, plain, capture.take())
        same[recording.provider] += not found
        if is_changed:
            notes.append(f"- {recording.id}: the program sees another answer")
        if found:
            why = explanation(recording) or "UNEXPLAINED"
            notes.append(f"- {recording.id}: {'; '.join(found)} ({why})")
    llmscope.uninstrument()
    llmscope.shutdown(1)
    rows = [(name, calls[name], same[name], changed[name]) for name in sorted(calls)]
    rows.append(("all", sum(calls.values()), sum(same.values()), sum(changed.values())))
    lines = [
        f"| {name} | {count:,} | {equal:,} | {equal / max(count, 1):.2%} | {other} |"
        for name, count, equal, other in rows
    ]
    head = "| provider | calls | captured as recorded | share | seen otherwise by the program |"
    return "\n".join([head, "|---|---|---|---|---|", *lines, "", *notes])


def added_microseconds(is_stream: bool) -> tuple[float, float]:
    """Processor time that recording adds to a call on the program's thread, and that of the call.

    The median of rounds with it minus that of rounds without, taken in turn: the noise of the
    machine meets both.
    """
    plain_client, client = (openai_client(Provider(http_of(openai))) for _ in range(2))
    llmscope.init(**DELIVERED)
    # `instrument` in each round would also measure how the interpreter's caches fill anew.
    llmscope.wrap(client)
    with_sdk, without = [], []
    for _ in range(ROUNDS):
        without.append(_round(plain_client, is_stream))
        with_sdk.append(_round(client, is_stream))
    llmscope.shutdown(0)
    plain = statistics.median(without)
    return (statistics.median(with_sdk) - plain) * 1e6, plain * 1e6


def _round(client: Any, is_stream: bool) -> float:
    started = time.thread_time()
    for _ in range(CALLS_PER_ROUND):
        result = client.chat.completions.create(model="m", messages=SAID, stream=is_stream)
        if is_stream:
            list(result)
    return (time.thread_time() - started) / CALLS_PER_ROUND


def queued_bytes() -> float:
    """Memory of one event that waits."""
    options = resolve(DELIVERED, {})
    client = Client(options)
    queue = EventQueue(QUEUED_EVENTS, options.flush_at, 3600, drops_oldest=False)
    tracemalloc.start()
    for number in range(QUEUED_EVENTS):
        values = {"provider_name": "openai", "request_model": "gpt-4o", "input_tokens": number}
        queue.put(client.event_of(values))
    used = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    client.shutdown(0)
    return used / QUEUED_EVENTS


def main() -> None:
    """Print everything."""
    warnings.simplefilter("ignore")
    print(capture_table())
    print(f"\n{machine()}")
    for name, is_stream in (("call", False), ("stream of 4 chunks", True)):
        added, plain = added_microseconds(is_stream)
        print(f"added to a {name} of {plain:.0f} us: {added:.0f} us")
    size = queued_bytes()
    print(f"memory of {QUEUED_EVENTS:,} queued events: {size * QUEUED_EVENTS / 2**20:.1f} MiB")


if __name__ == "__main__":
    main()
