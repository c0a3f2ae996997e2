"""`make bench-idle`: what the running platform of this clone uses while nothing arrives.

CPU is the time that all its processes and their ended children took, as a share of one core; memory
is the sum of their proportional set sizes (PSS), in which shared pages are counted once.
"""

import os
import platform
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

from deploy.local.environment import ROOT

SECONDS = 120.0
LARGEST = 6
TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


class Usage(NamedTuple):
    """One process: CPU seconds with those of its ended children, and memory in MB."""

    cpu_seconds: float
    memory_mb: float
    name: str


def process_tree(root: int) -> dict[int, str]:
    """Command lines of `root` and all below it, by pid."""
    listing = subprocess.run(
        ["ps", "-eo", "pid=,ppid=,args="], capture_output=True, text=True, check=True
    )
    children: dict[int, list[int]] = {}
    names: dict[int, str] = {}
    for line in listing.stdout.splitlines():
        number, parent, name = line.split(None, 2)
        children.setdefault(int(parent), []).append(int(number))
        names[int(number)] = name
    found: dict[int, str] = {}
    todo = [root]
    while todo:
        pid = todo.pop()
        found[pid] = names.get(pid, "")
        todo += children.get(pid, [])
    return found


def cpu_seconds(pid: int) -> float:
    """User and system time of a process and of its children that have ended."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return sum(map(int, fields[11:15])) / TICKS_PER_SECOND


def memory_mb(pid: int) -> float:
    """Proportional set size."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024


def measure(root: int) -> dict[int, Usage]:
    """Usage of every process of the platform."""
    found: dict[int, Usage] = {}
    for pid, name in process_tree(root).items():
        try:
            found[pid] = Usage(cpu_seconds(pid), memory_mb(pid), name)
        except (FileNotFoundError, ProcessLookupError):
            continue
    return found


def main() -> None:
    """Print the table."""
    home = Path(os.environ.get("LLMSCOPE_HOME", ROOT / ".llmscope"))
    lock = home / "run" / "runner.lock"
    if not lock.exists():
        sys.exit("LLMScope is not running in this clone: `make up` starts it.")
    root = int(lock.read_text())
    before = measure(root)
    print(f"Measuring for {SECONDS:.0f} s; send nothing meanwhile.")
    time.sleep(SECONDS)
    after = measure(root)
    used = {
        pid: 100 * (usage.cpu_seconds - (before[pid].cpu_seconds if pid in before else 0)) / SECONDS
        for pid, usage in after.items()
    }
    print(f"{platform.machine()}, {os.cpu_count()} cores, {platform.system()} {platform.release()}")
    total_mb = sum(usage.memory_mb for usage in after.values())
    print(f"{sum(used.values()):.1f} % of one core, {total_mb:.0f} MB; the largest:")
    for pid in sorted(used, key=lambda pid: -after[pid].memory_mb)[:LARGEST]:
        print(f"{used[pid]:6.2f} % {after[pid].memory_mb:6.0f} MB  {after[pid].name[-70:]}")


if __name__ == "__main__":
    main()
