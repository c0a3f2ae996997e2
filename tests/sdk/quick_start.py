"""Quick starts of READMEs, pasted as they are, against the whole platform.

A local server stands in for the provider of models, and nothing else is a stand-in.
"""

import json
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, NamedTuple
from uuid import uuid4

from deploy.local.environment import ROOT
from tests.environments import side_environment
from tests.exporters.provider import ProviderServer
from tests.node_packages import build_package
from tests.running import RunningPlatform, wait_until

PROGRAM_SECONDS: Final = 60.0
FEED_SECONDS: Final = 30.0


class Command(NamedTuple):
    """How a program is run, and what else its environment holds."""

    words: Sequence[str | Path]
    environment: Mapping[str, str]


class QuickStart(NamedTuple):
    """A block of code in a README.

    Attributes:
        sdk_name: What its event says of its sender.
        fence: The language of the block; the first such block is the quick start.
        file_name: Under which it is pasted, in an empty folder.
        command: Runs the file in that folder.
    """

    sdk_name: str
    readme: Path
    fence: str
    file_name: str
    command: Callable[[Path], Command]

    def code(self) -> str:
        """The block, as it is."""
        found = re.search(rf"^```{self.fence}\n(.*?)^```", self.readme.read_text(), re.M | re.S)
        assert found is not None, f"{self.readme} has no block of {self.fence}"
        return found[1]


def _python(file: Path) -> Command:
    source = ROOT / "sdk" / "python" / "src"
    return Command([side_environment("sdk"), file], {"PYTHONPATH": str(source)})


def _node(file: Path) -> Command:
    package = ROOT / "sdk" / "typescript"
    build_package(package)
    packages = file.parent / "node_modules"
    (packages / "@llmscope").mkdir(parents=True)
    (packages / "@llmscope" / "sdk").symlink_to(package)
    (packages / "openai").symlink_to(package / "node_modules" / "openai")
    return Command(["node", file], {})


QUICK_STARTS: Final = (
    QuickStart(
        "llmscope-python", ROOT / "sdk" / "python" / "README.md", "python", "app.py", _python
    ),
    QuickStart(
        "llmscope-typescript", ROOT / "sdk" / "typescript" / "README.md", "js", "app.mjs", _node
    ),
)


def paste(
    start: QuickStart, folder: Path, platform: RunningPlatform, provider: ProviderServer
) -> None:
    """Run the code, with the keys and addresses that its reader has in the environment.

    Raises:
        AssertionError: it failed, or said anything on its error stream.
    """
    file = folder / start.file_name
    file.write_text(start.code())
    command = start.command(file)
    kept = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
    environment = {
        **kept,
        "HOME": str(folder),
        "LLMSCOPE_URL": platform.api_url,
        "LLMSCOPE_API_KEY": platform.api_key,
        "OPENAI_BASE_URL": f"{provider.url}/v1",
        "OPENAI_API_KEY": "sk-quick-start",
        **command.environment,
    }
    done = subprocess.run(
        command.words, cwd=folder, env=environment, timeout=PROGRAM_SECONDS, check=False,
        capture_output=True, text=True,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, ""), done.stderr[-4000:]


class Tail:
    """What `llmscope tail --json` printed, and when."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.lines: list[tuple[datetime, dict[str, Any]]] = []
        self._process = process
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self.lines.append((datetime.now(UTC), json.loads(line)))

    def find(self, **fields: str | int | None) -> tuple[datetime, dict[str, Any]] | None:
        """The first event with these values, and when it was printed."""
        for printed_at, event in list(self.lines):
            if fields.items() <= event.items():
                return printed_at, event
        return None

    def stop(self) -> None:
        """End the command."""
        self._process.kill()
        self._process.wait()
        self._reader.join()


@contextmanager
def tailing(platform: RunningPlatform) -> Iterator[Tail]:
    """`llmscope tail`, from the moment that it shows what arrives."""
    environment = {
        **platform.environment,
        "LLMSCOPE_URL": platform.api_url,
        "LLMSCOPE_API_KEY": platform.api_key,
        "PYTHONUNBUFFERED": "1",
    }
    tail = Tail(
        subprocess.Popen(
            [sys.executable, "-m", "cli", "tail", "--json", "--lines", "0"],
            cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True,
        )
    )  # fmt: skip
    try:
        wait_until(lambda: _is_probe_shown(platform, tail), "the tail shows events", FEED_SECONDS)
        yield tail
    finally:
        tail.stop()


def _is_probe_shown(platform: RunningPlatform, tail: Tail) -> bool:
    probe = {
        "event_id": str(uuid4()), "provider_name": "probe", "request_model": "probe",
        "started_at": datetime.now(UTC).isoformat(),
    }  # fmt: skip
    with platform.client() as client:
        assert client.post("/api/v1/events/ingest/batch", json=[probe]).status_code == 202
    deadline = time.monotonic() + 1
    while time.monotonic() < deadline:
        if tail.find(event_id=probe["event_id"]):
            return True
        time.sleep(0.02)
    return False


def ended_at(event: dict[str, Any]) -> datetime:
    """When the provider's answer had come."""
    started_at = datetime.fromisoformat(event["started_at"])
    return started_at + timedelta(seconds=event["duration_seconds"])
