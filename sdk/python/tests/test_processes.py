"""Processes fork, freeze and end, and their events arrive all the same."""

import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

from llmscope import ReportedError
from tests.conftest import Make
from tests.door import Door
from tests.senders import ENVIRONMENT, numbers, record_many, run_script
from tests.storm import spooled_ids, wait_for

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


FORKING_IN_AN_OUTAGE = """
import multiprocessing, sys, llmscope
llmscope.init(api_key="k", url=sys.argv[1], spool_directory=sys.argv[2],
              flush_interval_seconds=60, shutdown_timeout_seconds=1)
def work(first):
    for n in range(first, first + 50):
        llmscope.record(provider_name="acme", request_model="m1", tags={"n": n})
work(0)
llmscope.flush(0.3)
child = multiprocessing.get_context("fork").Process(target=work, args=(50,))
child.start()
child.join()
"""


def test_a_fork_in_an_outage_stores_its_events_at_its_end(
    door: Door, make: Make, tmp_path: Path
) -> None:
    door.stop()
    done = run_script(FORKING_IN_AN_OUTAGE, door.url, str(tmp_path / "spool"))
    assert (done.returncode, done.stderr) == (0, "")
    door.start_again()
    assert make(api_key="k").flush(10)
    assert numbers(door) == list(range(100))


FORKING_AMID_AN_ANSWER = """
import os, sys, llmscope
llmscope.init(api_key="k", url=sys.argv[1], spool_directory="off", flush_interval_seconds=0.02)
llmscope.record(provider_name="acme", request_model="m1", tags={"n": 0})
sys.stdin.readline()
pid = os.fork()
llmscope.record(provider_name="acme", request_model="m1", tags={"n": 1 if pid else 2})
if pid == 0:
    llmscope.shutdown()
    os._exit(0)
os.waitpid(pid, 0)
print("the child has ended", flush=True)
"""


def test_a_fork_while_an_answer_is_read_does_not_hang(door: Door) -> None:
    door.behaviours = iter(["pause"])
    process = subprocess.Popen(
        [sys.executable, "-c", FORKING_AMID_AN_ANSWER, door.url], env=ENVIRONMENT, text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    assert door.is_paused.wait(20)
    assert process.stdin is not None
    process.stdin.write("fork\n")
    process.stdin.flush()
    wait_for(lambda: len(door.events) == 2, "the child has sent its own", 20)
    door.is_resumed.set()
    assert process.communicate(timeout=20)[0] == "the child has ended\n"
    assert numbers(door) == [0, 1, 2]


FREEZING = """
import sys, llmscope
llmscope.init(api_key="k", url=sys.argv[1], spool_directory="off", flush_interval_seconds=0.02,
              timeout_seconds=2)
for number, _ in enumerate(sys.stdin):
    llmscope.record(provider_name="acme", request_model="m1", tags={"n": number})
    print(llmscope.flush(0 if number == 1 else 20), flush=True)
"""


def test_a_process_that_is_frozen_amid_a_request_sends_on_when_it_goes_on(door: Door) -> None:
    """As a function is between two requests; meanwhile the server was another one."""
    process = subprocess.Popen(
        [sys.executable, "-c", FREEZING, door.url], env=ENVIRONMENT, text=True, bufsize=1,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write("first\n")
    assert process.stdout.readline() == "True\n"
    with door.lock:
        process.stdin.write("second\n")
        assert process.stdout.readline() == "False\n"
        wait_for(lambda: door.waiting_count, "a request is under way", 10)
        process.send_signal(signal.SIGSTOP)
        door.stop()
    door.start_again()
    process.send_signal(signal.SIGCONT)
    output, _ = process.communicate("third\n", timeout=40)
    assert output == "True\n"
    assert numbers(door) == [0, 1, 2]


LATE = """
import atexit, sys, llmscope
llmscope.init(api_key="k", url=sys.argv[1], spool_directory=sys.argv[2])
atexit.register(lambda: llmscope.record(provider_name="acme", request_model="m1", tags={"n": 0}))
"""


def test_a_first_event_at_the_very_end_is_sent_or_stored(door: Door, tmp_path: Path) -> None:
    # From Python 3.12 on no thread starts at that time.
    done = run_script(LATE, door.url, str(tmp_path))
    assert done.returncode == 0
    assert len(door.events) + len(spooled_ids(tmp_path)) == 1


def test_an_event_that_is_just_encoded_at_the_deadline_is_stored(
    door: Door, make: Make, tmp_path: Path
) -> None:
    def redact(event: dict[str, object]) -> dict[str, object]:
        time.sleep(0.01)
        return event

    client = make(redact=redact, flush_interval_seconds=60)
    record_many(client, 40)
    client.shutdown(0.05)
    assert len(door.events.keys() | spooled_ids(tmp_path)) == 40
    assert client.losses.counts() == {}


def test_without_a_disk_what_the_deadline_cuts_off_is_counted(
    door: Door, make: Make, reports: list[ReportedError]
) -> None:
    client = make(spool_directory="off", flush_interval_seconds=60)
    with door.lock:
        record_many(client, 40)
        started = time.monotonic()
        client.shutdown(0.2)
        assert time.monotonic() - started < 2
    assert client.losses.counts() == {"shutdown": 40}
    assert [error.reason for error in reports] == ["shutdown"]


def test_a_redaction_that_hangs_does_not_keep_the_process_from_ending(
    door: Door, make: Make
) -> None:
    is_over = threading.Event()

    def redact(event: dict[str, object]) -> dict[str, object]:
        is_over.wait()
        return event

    client = make(redact=redact, flush_at=1)
    record_many(client, 30)
    started = time.monotonic()
    client.shutdown(0.1)
    assert time.monotonic() - started < 8
    is_over.set()
    # The one that hangs is neither sent nor known to be lost.
    assert client.losses.counts() == {"shutdown": 29}


def test_a_slow_redaction_delays_the_end_by_seconds_alone(
    door: Door, make: Make, tmp_path: Path
) -> None:
    def redact(event: dict[str, object]) -> dict[str, object]:
        time.sleep(0.1)
        return event

    client = make(redact=redact, flush_at=1)
    record_many(client, 100)
    started = time.monotonic()
    client.shutdown(0.1)
    assert time.monotonic() - started < 8
    saved = len(door.events.keys() | spooled_ids(tmp_path))
    assert 10 < saved < 60
    assert client.losses.counts() == {"shutdown": 100 - saved}
