"""Runs the other tools in an environment of their own, made from `requirements/bench.txt`."""

import json
import os
import subprocess
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Final

from benchmarks.cost.calls import Call
from deploy.local.bootstrap import REQUIREMENTS
from tests.environments import side_environment

LOCK: Final = REQUIREMENTS / "bench.txt"
OTHERS: Final = ("litellm", "tokencost")

Costs = dict[str, dict[str, Decimal | None]]  # call id -> tool -> USD


def price_with_others(calls: Sequence[Call]) -> Costs:
    """What each tool says, by call."""
    wanted = [
        {
            "id": call.call_id, "provider": call.provider, "model": call.model,
            "counts": call.counts, "service_tier": call.service_tier,
        }
        for call in calls
    ]  # fmt: skip
    done = subprocess.run(
        [side_environment("bench"), Path(__file__).with_name("others.py")],
        input=json.dumps(wanted),
        # The table that litellm carries, and none that it fetches.
        env={**os.environ, "LITELLM_LOCAL_MODEL_COST_MAP": "True"},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        check=True,
    )
    found: Costs = json.loads(done.stdout, parse_float=Decimal, parse_int=Decimal)
    return found


def versions() -> str:
    """Of the tools, as they are locked."""
    pins = [line.split()[0] for line in LOCK.read_text().splitlines() if "==" in line[:60]]
    return ", ".join(pin for pin in pins if pin.partition("==")[0] in OTHERS)
