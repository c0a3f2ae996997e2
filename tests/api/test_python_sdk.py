"""What the Python SDK sends is what the ledger holds."""

import json
import os
import subprocess
import sys

import pytest

from deploy.local.environment import ROOT
from tests.api.door import Door

SDK = ROOT / "sdk" / "python" / "src"
ANSWERS = json.loads((ROOT / "sdk" / "contract" / "cases" / "answers.json").read_text())

SEND = """
import json, sys, llmscope
llmscope.init(flush_at=200, environment="production", capture_content=True)
with llmscope.context(user_id="ann", tags={"run": sys.argv[1]}):
    for number in range(1000):
        llmscope.record(provider_name="openai", request_model="gpt-4o", input_tokens=number,
                        tags={"number": number}, output_messages=[{"content": "\\0 \\ud83d"}])
    for event in json.load(sys.stdin):
        llmscope.record(**{"provider_name": "openai", "request_model": "gpt-4o", **event})
assert llmscope.flush(30)
print(json.dumps(llmscope.losses()))
"""
SELECT = """
select input_tokens, user_id, environment, sdk_name, tags
from raw.llm_events where tags ->> 'run' = %s
"""


@pytest.mark.timeout(180)
def test_every_event_of_the_python_sdk_is_one_row(door: Door) -> None:
    environment = {
        **os.environ, "PYTHONPATH": str(SDK), "LLMSCOPE_URL": door.api_url,
        "LLMSCOPE_API_KEY": door.api_key, "LLMSCOPE_SPOOL_DIRECTORY": "off",
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-c", SEND, "sdk-1"], env=environment, timeout=60, check=False,
        input=json.dumps([case["event"] for case in ANSWERS]), capture_output=True, text=True,
    )  # fmt: skip
    assert (done.returncode, done.stderr, done.stdout) == (0, "", "{}\n")
    door.load()
    rows = door.select(SELECT, "sdk-1")
    assert len(rows) == 1000 + len(ANSWERS)
    counted = sorted(row["input_tokens"] for row in rows if "number" in row["tags"])
    assert counted == list(range(1000))
    origins = {(row["user_id"], row["environment"], row["sdk_name"]) for row in rows}
    assert origins == {("ann", "production", "llmscope-python")}
