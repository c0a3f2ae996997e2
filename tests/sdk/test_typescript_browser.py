"""The TypeScript SDK in a browser, against the running platform."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import httpx
import pytest
from playwright.sync_api import BrowserContext, Page, Route

from deploy.local.chromium import chromium_executable
from deploy.local.environment import ROOT
from tests.browser.browsing import open_browser
from tests.running import RunningPlatform, wait_until
from tests.sdk.test_typescript_sdk import PACKAGE, built

__all__ = ["built"]
pytestmark = pytest.mark.timeout(300)

BATCH: Final = "/api/v1/events/ingest/batch"
TOKEN: Final = "/api/v1/events/ingest/token"
ARRIVES_WITHIN_SECONDS: Final = 30.0
START: Final = """async (options) => {
  const llmscope = await import("/sdk/index.browser.js");
  window.asked = 0;
  const getToken = async () => { window.asked += 1; return (await fetch("/page-token")).text(); };
  window.reports = [];
  const onError = (error) => window.reports.push(error.reason);
  const given = { url: location.origin, getToken, onError, flushIntervalSeconds: 0.05 };
  llmscope.init({ ...given, ...options });
  window.llmscope = llmscope;
}"""
RECORD: Final = """async ([user_id, count]) => {
  for (let number = 0; number < count; number += 1) {
    llmscope.record({ provider_name: "acme", request_model: "m1", user_id, input_tokens: number });
  }
  return llmscope.flush(%s);
}"""
RETRIES: Final = """async (cases) => {
  const { judge } = await import("/sdk/transport/verdicts.js");
  return cases.map(({ answer, events, now }) => {
    const { status = null, headers, body = "", failure = "" } = answer;
    const text = typeof body === "string" ? body : JSON.stringify(body);
    const retryAfter = headers?.["Retry-After"] ?? null;
    const ids = events ?? ["a", "b", "c"];
    const verdict = judge({ status, body: text, retryAfter, failure }, ids, now ?? 0);
    return { ...verdict, dropped: [...verdict.dropped.keys()] };
  });
}"""
OPTIONS: Final = """async (cases) => {
  const { resolve } = await import("/sdk/options.js");
  const camel = (name) => name.replace(/_([a-z])/g, (_all, letter) => letter.toUpperCase());
  const snake = (name) => name.replace(/[A-Z]/g, (letter) => "_" + letter.toLowerCase());
  const renamed = (fields, rename) =>
    Object.fromEntries(Object.entries(fields).map(([name, value]) => [rename(name), value]));
  return cases.map((one) => {
    try {
      return renamed(resolve(renamed(one.arguments, camel), one.environment), snake);
    } catch (error) {
      return { error: snake(error.option) };
    }
  });
}"""
ANSWERS: Final = """async (cases) => {
  const { answerFields, apiOf } = await import("/sdk/providers/apis.js");
  const { EventCutter } = await import("/sdk/providers/events.js");
  const catalog = await import("/sdk/providers/catalog.js");
  const apis = { openai: catalog.OPENAI_APIS, anthropic: catalog.ANTHROPIC_APIS };
  return cases.map((one) => {
    const api = apiOf(apis[one.client], one.api);
    const reader = new api.stream();
    const cutter = new EventCutter();
    for (const [name, data] of one.stream ?? []) {
      const text = typeof data === "string" ? data : JSON.stringify(data);
      const bytes = new TextEncoder().encode(`event: ${name}\\r\\ndata: ${text}\\r\\n\\r\\n`);
      for (const event of cutter.feed(bytes)) {
        if (event.data.startsWith("{")) reader.add(event.name, JSON.parse(event.data));
      }
    }
    return answerFields(api, one.response ?? reader.response, !one.stream || reader.isFinal, false);
  });
}"""


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BrowserContext]:
    with open_browser(chromium_executable(), tmp_path_factory.mktemp("profile")) as context:
        yield context


@pytest.fixture
def page(browser: BrowserContext, platform: RunningPlatform, built: None) -> Iterator[Page]:
    """A page of the API's own origin, with the build beside it and a server that has the key."""
    page = browser.new_page()

    def serve(route: Route) -> None:
        file = PACKAGE / "dist" / "esm" / route.request.url.split("/sdk/")[1]
        route.fulfill(body=file.read_text(), content_type="text/javascript")

    def give_token(route: Route) -> None:
        route.fulfill(body=new_token(platform))

    page.route("**/sdk/**", serve)
    page.route("**/page-token", give_token)
    page.route("**/page", lambda route: route.fulfill(body="<title>shop</title>"))
    page.goto(f"{platform.api_url}/page")
    yield page
    page.close()


def new_token(platform: RunningPlatform) -> str:
    headers = {"Authorization": f"Bearer {platform.api_key}"}
    answer = httpx.post(f"{platform.api_url}{TOKEN}", headers=headers)
    token: str = answer.raise_for_status().json()["token"]
    return token


def wait_for_rows(platform: RunningPlatform, user_id: str, count: int) -> None:
    statement = "select count(*) from raw.llm_events where user_id = %s"

    def all_are_there() -> bool:
        return platform.query(statement, user_id) == [(count,)]

    wait_until(all_are_there, f"{count} rows of {user_id}", ARRIVES_WITHIN_SECONDS)


def cases(name: str) -> list[dict[str, Any]]:
    file: Path = ROOT / "sdk" / "contract" / "cases" / f"{name}.json"
    found: list[dict[str, Any]] = json.loads(file.read_text())
    return found


def test_a_page_records_with_a_short_lived_token(page: Page, platform: RunningPlatform) -> None:
    user_id = f"page-{uuid4()}"
    page.evaluate(START, {})
    assert page.evaluate(RECORD % 10, [user_id, 250]) is True
    assert page.evaluate("[asked, reports, llmscope.losses()]") == [1, [], {}]
    wait_for_rows(platform, user_id, 250)


def test_what_waits_out_an_outage_survives_a_reload_of_the_page(
    page: Page, platform: RunningPlatform
) -> None:
    user_id = f"page-{uuid4()}"
    page.route(f"**{BATCH}", lambda route: route.abort())
    page.evaluate(START, {})
    assert page.evaluate(RECORD % 0.5, [user_id, 20]) is False
    page.reload()
    page.unroute(f"**{BATCH}")
    page.evaluate(START, {})
    assert page.evaluate("llmscope.flush(10)") is True
    wait_for_rows(platform, user_id, 20)
    assert page.evaluate("[reports, llmscope.losses()]") == [[], {}]


def test_without_a_database_events_wait_in_memory(page: Page, platform: RunningPlatform) -> None:
    user_id = f"page-{uuid4()}"
    page.route(f"**{BATCH}", lambda route: route.abort())
    page.evaluate(START, {"spoolDirectory": "off"})
    assert page.evaluate(RECORD % 0.5, [user_id, 20]) is False
    page.unroute(f"**{BATCH}")
    assert page.evaluate("llmscope.flush(10)") is True
    wait_for_rows(platform, user_id, 20)


def test_a_verdict_in_the_browser_is_that_of_the_contract(page: Page) -> None:
    retries = cases("retries")
    for case, verdict in zip(retries, page.evaluate(RETRIES, retries), strict=True):
        expect = case["expect"]
        assert verdict["again"] == expect.get("again", []), case["name"]
        assert verdict["dropped"] == expect.get("dropped", []), case["name"]
        assert verdict["isSplit"] == expect.get("is_split", False), case["name"]
        assert verdict["retryAfterSeconds"] == expect.get("retry_after_seconds"), case["name"]


def test_an_option_in_the_browser_is_that_of_the_contract(page: Page) -> None:
    options = cases("options")
    for case, resolved in zip(options, page.evaluate(OPTIONS, options), strict=True):
        expect = {"error": case["error"]} if "error" in case else case["expect"]
        assert {name: resolved[name] for name in expect} == expect, case["name"]


def test_an_answer_in_the_browser_is_that_of_the_contract(page: Page) -> None:
    answers = [case for case in cases("answers") if case["client"] in ("openai", "anthropic")]
    for case, fields in zip(answers, page.evaluate(ANSWERS, answers), strict=True):
        told = {name: value for name, value in fields.items() if value is not None}
        told.pop("usage_details", None)
        assert told == case["event"], case["name"]
