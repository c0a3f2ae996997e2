"""Exactly once, through everything. `make test-sdk-transport` does it with ten times the events."""

from pathlib import Path

from tests.door import Door
from tests.storm import FAST_PACE, run_kill, run_storm

EVENTS = 10_000


def test_every_event_arrives_exactly_once_through_failures_cuts_and_restarts(
    door: Door, tmp_path: Path
) -> None:
    outcome = run_storm(door, tmp_path, EVENTS, FAST_PACE, 40)
    assert outcome.told == [True, {}, []]
    assert outcome.missing == []
    assert outcome.distinct == EVENTS
    # Answers were cut after the events had been stored, so some came twice.
    assert outcome.arrivals > EVENTS
    assert not list(tmp_path.rglob("*.ndjson"))


def test_what_was_on_disk_when_the_process_was_killed_arrives_after_the_restart(
    door: Door, tmp_path: Path
) -> None:
    outcome = run_kill(door, tmp_path, EVENTS, FAST_PACE, 40)
    assert outcome.told == [True, {}, []]
    assert outcome.distinct == outcome.count > EVENTS * 0.4
    assert not list(tmp_path.rglob("*.ndjson"))
