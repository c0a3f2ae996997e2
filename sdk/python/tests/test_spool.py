"""An outage is waited out on disk, and the disk's own troubles in memory."""

import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from llmscope import HeldError, ReportedError
from tests.conftest import Make
from tests.door import Door
from tests.senders import ENVIRONMENT, numbers, record_many
from tests.storm import wait_for


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
        env=ENVIRONMENT, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        text=True,
    )  # fmt: skip
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stdout.readline() == "['spool_unusable']\n"
    door.start_again()
    told, _ = process.communicate("go on\n", timeout=20)
    assert told == "True ['spool_unusable'] {}\n"
    assert numbers(door) == list(range(100))


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
    # Two at once: each has segments of its own.
    processes = [
        subprocess.Popen([*command, first], env=ENVIRONMENT, stdout=subprocess.PIPE)
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


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 512 KiB, where root may mount one."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("no file system can be mounted here")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(disk: Path) -> Path:
    ballast = disk / "ballast"
    with ballast.open("wb", buffering=0) as file:
        try:
            while file.write(bytes(4096)):
                pass
        except OSError:
            return ballast


def test_a_full_disk_degrades_to_memory_with_one_report(
    door: Door, make: Make, reports: list[ReportedError], disk: Path
) -> None:
    fill(disk)
    door.stop()
    client = make(spool_directory=str(disk / "spool"))
    record_many(client, 50)
    wait_for(lambda: reports, "the full disk is told", 10)
    record_many(client, 50, 50)
    door.start_again()
    assert client.flush(10)
    assert [(type(error), error.reason) for error in reports] == [(HeldError, "spool_unusable")]
    assert numbers(door) == list(range(100))
    assert client.losses.counts() == {}


def test_a_disk_that_fills_while_the_spool_is_sent_costs_nothing(
    door: Door, make: Make, reports: list[ReportedError], disk: Path
) -> None:
    door.stop()
    client = make(spool_directory=str(disk))
    record_many(client, 1500)
    wait_for(lambda: not len(client._transport._queue), "all is on disk", 10)
    client.shutdown(0.1)
    fill(disk)
    door.start_again()
    # The first batch is taken, the second is not: what is left cannot be written anew.
    door.behaviours = iter([202, 503, 503])
    again = make(spool_directory=str(disk), max_batch_bytes=20_000)
    assert again.flush(10)
    assert numbers(door) == list(range(1500))
    assert [error.reason for error in reports] == ["spool_unusable"]
    assert not [*disk.rglob("*.ndjson"), *disk.rglob("*.new")]


READ_ONLY = """
import sys, llmscope
reports = []
llmscope.init(api_key="k", url=sys.argv[1], flush_interval_seconds=0.02, on_error=reports.append)
for n in range(100):
    llmscope.record(provider_name="acme", request_model="m1", tags={"n": n})
print(llmscope.flush(0.5), flush=True)
sys.stdin.readline()
print(llmscope.flush(20), [error.reason for error in reports], llmscope.losses(), flush=True)
"""


def test_a_read_only_home_degrades_to_memory_with_one_report(door: Door, disk: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    door.stop()
    process = subprocess.Popen(
        [sys.executable, "-c", READ_ONLY, door.url], env={**ENVIRONMENT, "HOME": str(disk)},
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stdout.readline() == "False\n"
    door.start_again()
    told, _ = process.communicate("go on\n", timeout=30)
    assert told == "True ['spool_unusable'] {}\n"
    assert numbers(door) == list(range(100))
