"""Events of the Python SDK are rows, each exactly once, however the way to the API is."""

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from deploy.local.environment import ROOT
from tests.environments import side_environment
from tests.running import RunningPlatform, wait_until
from tests.sdk.weather import BadWeather

EVENTS = 10_000
SERVICE = "storm"
# The public door alone, with every default but the size of the last wait.
SENDER = """
import json, sys, time, llmscope
reports = []
llmscope.init(service_name=sys.argv[2], on_error=lambda error: reports.append(str(error)))
for n in range(int(sys.argv[1])):
    llmscope.record(provider_name="openai", request_model="gpt-4o-mini", input_tokens=900,
                    output_tokens=80, tags={"n": n})
    if n % 100 == 99:
        time.sleep(0.02)
print(json.dumps([llmscope.flush(100), llmscope.losses(), reports]))
"""
ROWS = """
select count(*), count(distinct event_id), count(distinct tags ->> 'n')
from raw.llm_events where service_name = %s
"""


@pytest.fixture
def weather(platform: RunningPlatform) -> Iterator[BadWeather]:
    proxy = BadWeather(platform.api_url)
    yield proxy
    proxy.stop()


def arrived(platform: RunningPlatform) -> tuple[int, ...]:
    ((*counts,),) = platform.query(ROWS, SERVICE)
    return tuple(counts)


def is_ready(platform: RunningPlatform) -> bool:
    try:
        return httpx.get(f"{platform.api_url}/readyz", timeout=5).status_code == 200
    except httpx.TransportError:
        return False


@pytest.mark.timeout(200)
def test_every_event_is_one_row_through_failures_cuts_and_a_restart_of_the_api(
    platform: RunningPlatform, weather: BadWeather, tmp_path: Path
) -> None:
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "PYTHONPATH": str(ROOT / "sdk" / "python" / "src"),
        "LLMSCOPE_URL": weather.url,
        "LLMSCOPE_API_KEY": platform.api_key,
    }
    process = subprocess.Popen(
        [side_environment("sdk"), "-c", SENDER, str(EVENTS), SERVICE],
        env=environment, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    wait_until(lambda: arrived(platform)[0] > 0, "events arrive", 60)
    assert platform.kill("api")
    try:
        told, _ = process.communicate(timeout=150)
    finally:
        process.kill()
        wait_until(lambda: is_ready(platform), "the API is back", 60)
    assert json.loads(told) == [True, {}, []]
    wait_until(lambda: arrived(platform)[0] >= EVENTS, "everything is loaded", 30)
    assert arrived(platform) == (EVENTS, EVENTS, EVENTS)
    assert all(weather.counts[kind] for kind in ("503", "429", "cut", "half")), weather.counts
    assert not list(tmp_path.rglob("*.ndjson"))
