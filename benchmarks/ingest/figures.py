"""What the parts measure, as one table, and the machine that it holds for."""

import os
import platform
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Final, NamedTuple

CPU_INFO: Final = Path("/proc/cpuinfo")
MEMORY_INFO: Final = Path("/proc/meminfo")


class Figure(NamedTuple):
    """One line of the table.

    Attributes:
        target: What the figure should be, in words; empty where it is only for information.
        is_met: Whether it is; None without a target.
    """

    what: str
    value: str
    target: str = ""
    is_met: bool | None = None


def ratio(values: Sequence[float], bare_values: Sequence[float]) -> float:
    """The median ratio of rounds that took turns, so that a busy moment meets both sides."""
    return median(value / bare for value, bare in zip(values, bare_values, strict=True))


def at_least(what: str, value: float, target: float, form: str = ",.0f") -> Figure:
    """A figure that should not be below its target."""
    return Figure(what, f"{value:{form}}", f"at least {target:{form}}", value >= target)


def below(what: str, value: float, target: float, unit: str) -> Figure:
    """A figure that should be below its target."""
    return Figure(what, f"{value:.1f} {unit}", f"below {target:g} {unit}", value < target)


def markdown(figures: Sequence[Figure]) -> str:
    """The figures as a Markdown table."""
    verdicts = {True: "met", False: "missed", None: ""}
    lines = [f"| {f.what} | {f.value} | {f.target} | {verdicts[f.is_met]} |" for f in figures]
    return "\n".join(["| what | figure | target | |", "|---|---|---|---|", *lines])


def machine() -> str:
    """Processor, cores, memory and system, in a line."""
    names = [line for line in CPU_INFO.read_text().splitlines() if line.startswith("model name")]
    model = names[0].partition(":")[2].strip() if names else platform.machine()
    total_kb = int(MEMORY_INFO.read_text().split()[1])
    system = platform.freedesktop_os_release()["PRETTY_NAME"]
    return (
        f"{os.cpu_count()} cores of {model}, {total_kb / 1024**2:.0f} GB, {system}, "
        f"Python {platform.python_version()}"
    )
