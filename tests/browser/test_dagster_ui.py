"""The Dagster UI shows the whole way, from the stream to the pages."""

import json
from pathlib import Path
from typing import Any

import httpx
from playwright.sync_api import Page

from tests.running import RunningPlatform, wait_until

ASSETS = """
{ assetNodes { assetKey { path } groupName description kinds dependencyKeys { path }
               owners { ... on TeamAssetOwner { team } } } }
"""
SENSORS = """
{ sensorsOrError(repositorySelector: {repositoryName: "__repository__",
                                      repositoryLocationName: "llmscope"})
  { ... on Sensors { results { name sensorState { status ticks(limit: 500) {
      status error { message } } } } } } }
"""
WAY = [
    "redis/events_stream", "raw/llm_events", "pricing/model_matches", "pricing/model_prices",
    "staging/stg_ingest__llm_calls", "intermediate/int_llm_calls_priced", "marts/fct_llm_calls",
    "marts/fct_usage_hourly", "marts/fct_usage_daily", "reports/rpt_usage_daily", "reports/site",
]  # fmt: skip


def ask(platform: RunningPlatform, query: str) -> Any:
    answer = httpx.post(f"{platform.dagster_url}/graphql", json={"query": query}, timeout=30)
    return answer.json()["data"]


def key(node: dict[str, Any]) -> str:
    return "/".join(node["path"])


def test_the_asset_graph_is_complete_and_described(platform: RunningPlatform) -> None:
    nodes = {key(node["assetKey"]): node for node in ask(platform, ASSETS)["assetNodes"]}
    assert set(WAY) <= set(nodes)
    lacking = [
        name
        for name, node in nodes.items()
        if not (node["groupName"] and node["description"] and node["owners"] and node["kinds"])
    ]
    assert lacking == []
    assert {node["groupName"] for node in nodes.values()} == {
        "ingest", "raw", "pricing", "staging", "intermediate", "marts", "reports", "alerting",
    }  # fmt: skip


def test_every_step_of_the_way_depends_on_the_one_before(platform: RunningPlatform) -> None:
    nodes = {key(node["assetKey"]): node for node in ask(platform, ASSETS)["assetNodes"]}
    reached, todo = set(), ["reports/site"]
    while todo:
        name = todo.pop()
        reached.add(name)
        todo += [key(d) for d in nodes[name]["dependencyKeys"] if key(d) not in reached]
    assert set(WAY) <= reached


def test_all_sensors_run_and_none_has_failed(platform: RunningPlatform) -> None:
    sensors = ask(platform, SENSORS)["sensorsOrError"]["results"]
    states = {s["name"]: s["sensorState"] for s in sensors}
    assert {state["status"] for state in states.values()} == {"RUNNING"}
    failures = {
        name: [tick["error"] for tick in state["ticks"] if tick["status"] == "FAILURE"]
        for name, state in states.items()
    }
    assert json.dumps({n: f for n, f in failures.items() if f}) == "{}"


def test_the_ui_opens_and_shows_the_groups(
    platform: RunningPlatform, page: Page, screenshots: Path
) -> None:
    page.goto(f"{platform.dagster_url}/asset-groups")
    page.get_by_text("marts", exact=True).first.wait_for(timeout=60_000)
    wait_until(lambda: page.get_by_text("reports", exact=True).count(), "the groups", 30)
    page.screenshot(path=screenshots / "dagster-assets.png")
