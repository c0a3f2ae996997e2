"""No event is lost on the way, and none unnoticed."""

import json
import os
import random
import signal
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from llmscope import HeldError, LossError, ReportedError
from llmscope._client import Client
from tests.conftest import EVENT, Make
from tests.door import Door

SOURCE = str(Path(__file__).resolve().parents[1] / "src")


def record_many(client: Client, count: int, first: int = 0) -> None:
    for number in range(first, first + count):
        client.record({**EVENT, "tags": {"n": str(number)}})


def numbers(door: Door) -> list[int]:
    return sorted(int(event["tags"]["n"]) for event in door.events.values())


def run_script(script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", script, *arguments],
        env={**os.environ, "PYTHONPATH": SOURCE}, capture_output=True, text=True, timeout=50,
        check=False,
    )  # fmt: skip


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


def test_an_outage_is_waited_out_on_disk_and_survived_by_a_restart(
    door: Door, make: Make, tmp_path: Path
) -> None:
    door.stop()
    client = make()
    record_many(client, 300)
    assert not client.flush(0.3)
    client.shutdown(0.1)
    assert list((tmp_path / "spool").rglob("*.ndjson"))
    assert client.losses.counts() == {}
    door.start_again()
    again = make()
    assert again.flush(10)
    assert [int(door.events[i]["tags"]["n"]) for i in door.order] == list(range(300))
    assert not list((tmp_path / "spool").rglob("*.ndjson"))


def test_what_waits_on_disk_is_for_its_owner_alone(door: Door, make: Make, tmp_path: Path) -> None:
    door.stop()
    client = make()
    record_many(client, 1)
    client.flush(0.2)
    client.shutdown(0.1)
    (segment,) = (tmp_path / "spool").rglob("*.ndjson")
    assert stat.S_IMODE(segment.stat().st_mode) == 0o600
    assert stat.S_IMODE(segment.parent.stat().st_mode) == 0o700
    door.start_again()


def test_a_line_that_was_not_finished_is_skipped(door: Door, make: Make, tmp_path: Path) -> None:
    door.stop()
    client = make()
    record_many(client, 5)
    client.flush(0.2)
    client.shutdown(0.1)
    (segment,) = (tmp_path / "spool").rglob("*.ndjson")
    with segment.open("ab") as file:
        file.write(b'\x00\x00\n{"event_id": "cut')
    door.start_again()
    again = make()
    assert again.flush(10)
    assert numbers(door) == list(range(5))
    assert again.losses.counts() == {"spool_damaged": 1}


def test_a_full_spool_loses_and_says_so_once(
    door: Door, make: Make, reports: list[ReportedError]
) -> None:
    door.stop()
    client = make(max_spool_bytes=65536, flush_at=10)
    record_many(client, 1000)
    time.sleep(0.5)
    client.shutdown(0.1)
    lost = client.losses.counts()["spool_full"]
    assert [error.reason for error in reports] == ["spool_full"]
    door.start_again()
    assert make().flush(10)
    assert len(door.events) == 1000 - lost > 100


def test_a_spool_that_cannot_be_written_degrades_to_memory_with_one_report(
    door: Door, make: Make, reports: list[ReportedError], tmp_path: Path
) -> None:
    (tmp_path / "home").write_text("a file where the folder should be, as good as a read-only home")
    door.stop()
    client = make(spool_directory=str(tmp_path / "home" / "spool"))
    record_many(client, 50)
    time.sleep(0.3)
    record_many(client, 50, 50)
    time.sleep(0.3)
    assert [(type(error), error.reason) for error in reports] == [(HeldError, "spool_unusable")]
    door.start_again()
    assert client.flush(10)
    assert numbers(door) == list(range(100))


FULL_DISK = """
import resource, sys, time, llmscope
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
reports = []
llmscope.init(api_key="k", url=sys.argv[1], spool_directory=sys.argv[2],
              flush_interval_seconds=0.02, on_error=reports.append)
for n in range(100):
    llmscope.record(provider_name="acme", request_model="m1", tags={"n": n})
while not reports:
    time.sleep(0.01)
print([error.reason for error in reports], flush=True)
sys.stdin.readline()
print(llmscope.flush(10), [error.reason for error in reports], llmscope.losses(), flush=True)
"""


def test_a_disk_without_room_degrades_to_memory_with_one_report(door: Door, tmp_path: Path) -> None:
    door.stop()
    process = subprocess.Popen(
        [sys.executable, "-c", FULL_DISK, door.url, str(tmp_path)],
        env={**os.environ, "PYTHONPATH": SOURCE}, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        text=True,
    )  # fmt: skip
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stdout.readline() == "['spool_unusable']\n"
    door.start_again()
    told, _ = process.communicate("go on\n", timeout=20)
    assert told == "True ['spool_unusable'] {}\n"
    assert numbers(door) == list(range(100))


def test_an_unknown_key_is_told_once_and_its_events_wait(
    door: Door, make: Make, reports: list[ReportedError]
) -> None:
    door.behaviours = iter([401] * 5)
    client = make()
    record_many(client, 20)
    assert client.flush(10)
    assert numbers(door) == list(range(20))
    assert [error.reason for error in reports] == ["unauthorized"]


DYING = """
import sys, time
from llmscope._client import Client
from llmscope._options import resolve
url, spool, first = sys.argv[1:]
client = Client(resolve({"api_key": "k", "url": url, "spool_directory": spool,
                         "flush_interval_seconds": 0.01, "max_queue_size": 100000}, {}))
for n in range(int(first), int(first) + 2000):
    client.record({"provider_name": "acme", "request_model": "m1", "tags": {"n": str(n)}})
while client._transport._sender._held or len(client._transport._queue):
    time.sleep(0.01)
print("spooled", flush=True)
time.sleep(60)
"""


def test_what_was_spooled_before_a_sigkill_arrives_after_the_restart(
    door: Door, make: Make, tmp_path: Path
) -> None:
    door.stop()
    command = [sys.executable, "-c", DYING, door.url, str(tmp_path / "spool")]
    environment = {**os.environ, "PYTHONPATH": SOURCE}
    # Two at once: each has segments of its own.
    processes = [
        subprocess.Popen([*command, first], env=environment, stdout=subprocess.PIPE)
        for first in ("0", "2000")
    ]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == b"spooled\n"
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
    door.start_again()
    client = make(api_key="k")
    assert client.flush(20)
    assert numbers(door) == list(range(4000))


ENDING = """
import sys, llmscope
llmscope.init(api_key="k", url=sys.argv[1], spool_directory=sys.argv[2],
              flush_interval_seconds=60, shutdown_timeout_seconds=float(sys.argv[3]))
for n in range(250):
    llmscope.record(provider_name="acme", request_model="m1", tags={"n": n})
"""


def test_the_end_of_the_process_sends_what_waits(door: Door, tmp_path: Path) -> None:
    done = run_script(ENDING, door.url, str(tmp_path), "5")
    assert (done.returncode, done.stderr) == (0, "")
    assert numbers(door) == list(range(250))


def test_the_end_of_the_process_waits_no_longer_than_its_deadline(
    door: Door, make: Make, tmp_path: Path
) -> None:
    silent = Door()
    silent.lock.acquire()
    started = time.monotonic()
    done = run_script(ENDING, silent.url, str(tmp_path), "0.5")
    assert (done.returncode, done.stderr) == (0, "")
    assert time.monotonic() - started < 8
    silent.lock.release()
    silent.stop()
    (segment,) = tmp_path.rglob("*.ndjson")
    assert segment.read_bytes().count(b"\n") == 250


FORKING = """
import multiprocessing, os, sys, llmscope
llmscope.init(api_key="k", url=sys.argv[1], spool_directory=sys.argv[2],
              flush_interval_seconds=60, flush_at=1000)
def work(first):
    for n in range(first, first + 100):
        llmscope.record(provider_name="acme", request_model="m1", tags={"n": n})
work(0)
context = multiprocessing.get_context("fork")
children = [context.Process(target=work, args=(first,)) for first in (100, 200)]
for child in children: child.start()
for child in children: child.join()
pid = os.fork()
if pid == 0:
    work(300)
    llmscope.shutdown()
    os._exit(0)
os.waitpid(pid, 0)
work(400)
"""


def test_each_fork_sends_its_own_events_and_nothing_twice(door: Door, tmp_path: Path) -> None:
    done = run_script(FORKING, door.url, str(tmp_path))
    assert (done.returncode, done.stderr) == (0, "")
    assert numbers(door) == list(range(500))
    assert sum(door.bodies) == 500


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
