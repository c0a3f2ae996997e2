"""Numbered events, and programs that record them."""

import os
import subprocess
import sys
from pathlib import Path

from llmscope._client import Client
from tests.conftest import EVENT
from tests.door import Door

SOURCE = str(Path(__file__).resolve().parents[1] / "src")
ENVIRONMENT = {**os.environ, "PYTHONPATH": SOURCE}


def record_many(client: Client, count: int, first: int = 0) -> None:
    for number in range(first, first + count):
        client.record({**EVENT, "tags": {"n": str(number)}})


def numbers(door: Door) -> list[int]:
    return sorted(int(event["tags"]["n"]) for event in door.events.values())


def run_script(script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", script, *arguments],
        env=ENVIRONMENT, capture_output=True, text=True, timeout=50,
        check=False,
    )  # fmt: skip
