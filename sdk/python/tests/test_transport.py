"""No event is lost on the way, and none unnoticed."""

import json
import random
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from llmscope import LossError, ReportedError
from tests.conftest import EVENT, Make
from tests.door import Door
from tests.senders import numbers, record_many


def test_events_arrive_in_batches_over_one_connection(door: Door, make: Make) -> None:
    client = make(flush_at=50, flush_interval_seconds=5)
    record_many(client, 500)
    assert client.flush(10)
    assert numbers(door) == list(range(500))
    assert max(door.bodies) == 50
    assert door.connection_count == 1
    assert door.headers["authorization"] == "Bearer llms_test"
    assert door.headers["content-encoding"] == "gzip"


def test_an_event_waits_no_longer_than_the_interval(door: Door, make: Make) -> None:
    client = make(flush_at=1000, flush_interval_seconds=0.1)
    record_many(client, 3)
    door.wait_for(3, 5)


def test_a_batch_is_cut_at_its_bytes(door: Door, make: Make) -> None:
    client = make(max_batch_bytes=2000, flush_at=100, flush_interval_seconds=5)
    record_many(client, 100)
    assert client.flush(10)
    assert len(door.bodies) > 10
    assert numbers(door) == list(range(100))


def test_every_event_arrives_once_through_refusals_and_cuts(
    door: Door, make: Make, reports: list[ReportedError]
) -> None:
    chance = random.Random(7)
    door.behaviours = (chance.choice([202, 503, 429, 502, "cut", "half", 202]) for _ in range(400))
    client = make(flush_at=20, max_queue_size=50_000, max_retries=100)
    record_many(client, 4000)
    door.wait_for(2000)
    door.stop()
    record_many(client, 1000, 4000)
    time.sleep(0.2)
    door.start_again()
    assert client.flush(30)
    assert numbers(door) == list(range(5000))
    assert client.losses.counts() == {}
    assert [error for error in reports if isinstance(error, LossError)] == []


def test_only_what_is_rejected_is_lost(
    door: Door, make: Make, reports: list[ReportedError]
) -> None:
    door.rejects = lambda event: "no sevens" if "7" in event["tags"]["n"] else None
    client = make()
    record_many(client, 40)
    assert client.flush(10)
    assert numbers(door) == [n for n in range(40) if "7" not in str(n)]
    assert client.losses.counts() == {"rejected": 4}
    (error,) = reports
    assert "tags: no sevens" in str(error)


@pytest.mark.parametrize("status", [400, 413])
def test_a_batch_that_is_refused_as_a_whole_is_halved(door: Door, make: Make, status: int) -> None:
    door.behaviours = iter([status, status, 202, status])
    client = make(flush_at=8, flush_interval_seconds=5)
    record_many(client, 8)
    assert client.flush(10)
    # 8 -> 4 (refused) + 4; 4 -> 2 + 2 (refused) ...
    assert numbers(door) == list(range(8))


def test_a_batch_at_fault_is_given_up_and_the_next_one_arrives(door: Door, make: Make) -> None:
    door.behaviours = iter([500] * 3)
    client = make(flush_at=5, flush_interval_seconds=5, max_retries=2)
    record_many(client, 5)
    time.sleep(0.2)
    record_many(client, 5, 5)
    assert client.flush(10)
    assert numbers(door) == [5, 6, 7, 8, 9]
    assert client.losses.counts() == {"retries_exhausted": 5}


@pytest.mark.parametrize(
    ("policy", "kept"), [("drop_newest", range(10)), ("drop_oldest", range(10, 20))]
)
def test_a_full_queue_loses_by_its_policy_and_says_so_once(
    policy: str, kept: range, door: Door, make: Make, reports: list[ReportedError]
) -> None:
    door.stop()
    client = make(spool_directory="off", max_queue_size=10, when_full=policy)
    record_many(client, 1, 99)
    while not client._transport._sender._held:
        time.sleep(0.01)
    record_many(client, 20)
    assert client.losses.counts() == {"queue_full": 10}
    assert [error.reason for error in reports] == ["queue_full"]
    door.start_again()
    assert client.flush(10)
    assert numbers(door) == [*kept, 99]


def test_in_memory_an_outage_is_waited_out(door: Door, make: Make) -> None:
    door.stop()
    client = make(spool_directory="off")
    record_many(client, 300)
    assert not client.flush(0.2)
    door.start_again()
    assert client.flush(10)
    assert numbers(door) == list(range(300))


def test_an_unknown_key_is_told_once_and_its_events_wait(
    door: Door, make: Make, reports: list[ReportedError]
) -> None:
    door.behaviours = iter([401] * 5)
    client = make()
    record_many(client, 20)
    assert client.flush(10)
    assert numbers(door) == list(range(20))
    assert [error.reason for error in reports] == ["unauthorized"]


def test_threads_may_record_at_once(door: Door, make: Make) -> None:
    client = make(max_queue_size=100_000)
    threads = [threading.Thread(target=record_many, args=(client, 200, n * 200)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert client.flush(10)
    assert numbers(door) == list(range(1600))


def test_redaction_runs_before_anything_leaves_the_process(
    door: Door, make: Make, tmp_path: Path
) -> None:
    def redact(event: dict[str, Any]) -> Any:
        if event["tags"]["n"] == "3":
            return None
        return {**event, "user_id": "redacted", "event_id": "changed"}

    door.stop()
    client = make(redact=redact)
    for number in range(5):
        client.record({**EVENT, "user_id": "ann@example.org", "tags": {"n": str(number)}})
    client.flush(0.2)
    client.shutdown(0.1)
    (segment,) = (tmp_path / "spool").rglob("*.ndjson")
    assert b"ann@" not in segment.read_bytes()
    door.start_again()
    assert make().flush(10)
    assert numbers(door) == [0, 1, 2, 4]
    assert "changed" not in door.events
    assert client.losses.counts() == {}


def test_an_event_whose_redaction_fails_does_not_leave(
    door: Door, make: Make, reports: list[ReportedError]
) -> None:
    def redact(event: dict[str, Any]) -> Any:
        raise KeyError(event["tags"]["n"])

    client = make(redact=redact)
    record_many(client, 5)
    client.flush(10)
    assert not door.events
    assert client.losses.counts() == {"redaction_failed": 5}
    assert len(reports) == 1


def test_an_on_error_that_raises_harms_nobody(door: Door, make: Make) -> None:
    def fail(_error: ReportedError) -> None:
        raise RuntimeError

    door.rejects = lambda _event: "no"
    client = make(on_error=fail)
    record_many(client, 5)
    client.flush(10)
    assert client.losses.counts() == {"rejected": 5}


def test_what_is_no_event_is_counted_and_never_raised(door: Door, make: Make) -> None:
    client = make()
    client.record({"provider_name": "acme"})
    client.record({**EVENT, "prompt": "x"})
    client.record({**EVENT, "duration_seconds": float("nan"), "tags": {"n": "1"}})
    client.record({**EVENT, "tags": {"n": "2", "text": "half \ud83d a pair, and \0"}})
    client.record({**EVENT, "tags": {"n": "3"}, "usage_details": {"x": "y" * 20_000}})
    assert client.flush(10)
    assert client.losses.counts() == {"invalid": 2, "unencodable": 1}
    texts = {event["tags"]["n"]: event for event in door.events.values()}
    assert texts["2"]["tags"]["text"] == "half ? a pair, and "
    assert "usage_details" not in texts["3"]


def test_nothing_is_recorded_where_recording_is_off(door: Door, make: Make) -> None:
    client = make(is_enabled=False, api_key="")
    record_many(client, 5)
    client.flush(1)
    assert not door.events
    assert threading.active_count() < 20


def test_after_the_shutdown_events_are_lost_and_counted(door: Door, make: Make) -> None:
    client = make()
    record_many(client, 3)
    client.shutdown()
    record_many(client, 2)
    assert numbers(door) == [0, 1, 2]
    assert client.losses.counts() == {"shutdown": 2}


def test_ids_are_ordered_by_time(door: Door, make: Make) -> None:
    client = make()
    for _ in range(3):
        record_many(client, 1)
        time.sleep(0.003)
    client.flush(10)
    assert door.order == sorted(door.order)
    assert all(event_id[14] == "7" and event_id[19] in "89ab" for event_id in door.order)
    assert json.dumps(door.order)
