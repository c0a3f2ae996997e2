"""`make bench-sdk`: recorded calls through the SDK, and what the SDK costs a program."""

from __future__ import annotations

import warnings
from collections import Counter

import llmscope
from benchmarks.machine import machine
from benchmarks.overhead import print_overhead
from tests.cassettes import Capture, differences, explanation, recordings
from tests.replaying import replay


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


def main() -> None:
    """Print everything."""
    warnings.simplefilter("ignore")
    print(capture_table())
    print(f"\n{machine()}")
    print_overhead()


if __name__ == "__main__":
    main()
