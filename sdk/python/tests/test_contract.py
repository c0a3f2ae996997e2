"""This SDK does what `sdk/contract` says."""

import json
from pathlib import Path
from typing import Any

import pytest

from llmscope import OptionError
from llmscope import _events as events
from llmscope._options import MAX_BATCH_EVENTS, resolve
from llmscope._providers import catalog
from llmscope._providers.apis import answer_fields, api_of, provider_at
from llmscope._providers.events import EventCutter
from llmscope._providers.hosts import HOST_ENDINGS
from llmscope._transport.verdicts import Answer, judge

CONTRACT = Path(__file__).resolve().parents[2] / "contract"
SCHEMA = json.loads((CONTRACT / "event.schema.json").read_text())["properties"]
NOT_COMPARED = {"usage_details"}
# By the names that the cases have for client libraries.
APIS = {
    "openai": catalog.OPENAI_APIS, "anthropic": catalog.ANTHROPIC_APIS,
    "groq": catalog.OPENAI_APIS, "google": catalog.GOOGLE_APIS, "mistral": catalog.MISTRAL_APIS,
    "cohere": catalog.COHERE_APIS, "huggingface": catalog.HUGGING_FACE_APIS,
    "ai21": catalog.AI21_APIS, "bedrock": catalog.BEDROCK_APIS,
}  # fmt: skip


def cases(name: str) -> list[Any]:
    found = json.loads((CONTRACT / "cases" / f"{name}.json").read_text())
    return [pytest.param(case, id=case["name"]) for case in found]


@pytest.mark.parametrize("case", cases("answers"))
def test_an_answer_yields_the_fields_of_the_case(case: dict[str, Any]) -> None:
    api = api_of(APIS[case["client"]], case["api"])
    assert api is not None
    if "response" in case:
        response, is_final = case["response"], True
    else:
        reader = api.stream()
        cutter = EventCutter()
        for name, data in case["stream"]:
            text = data if isinstance(data, str) else json.dumps(data)
            for event in cutter.feed(f"event: {name}\r\ndata: {text}\r\n\r\n".encode()):
                if event.data.startswith(b"{"):
                    reader.add(event.name, json.loads(event.data))
        response, is_final = reader.response, reader.is_final
    fields = answer_fields(api, response, is_final, has_content=False)
    told = {name: value for name, value in fields.items() if value is not None}
    assert {name: told[name] for name in told.keys() - NOT_COMPARED} == case["event"]
    if "response" in case and "usage" in case["response"]:
        assert told["usage_details"] == case["response"]["usage"]


@pytest.mark.parametrize("case", cases("retries"))
def test_an_answer_has_the_verdict_of_the_case(case: dict[str, Any]) -> None:
    told, ids = case["answer"], case.get("events", ["a", "b", "c"])
    body = told.get("body", "")
    text = body if isinstance(body, str) else json.dumps(body)
    retry_after = told.get("headers", {}).get("Retry-After")
    answer = Answer(told.get("status"), text.encode(), retry_after, told.get("failure", ""))
    verdict = judge(answer, ids, case.get("now", 0))
    expect = case["expect"]
    assert list(verdict.again) == expect.get("again", [])
    assert sorted(verdict.dropped) == expect.get("dropped", [])
    assert verdict.is_split == expect.get("is_split", False)
    assert verdict.retry_after_seconds == expect.get("retry_after_seconds")
    if verdict.again:
        assert verdict.is_limited == expect.get("is_limited", False)


@pytest.mark.parametrize("case", cases("options"))
def test_an_option_comes_from_where_the_case_says(case: dict[str, Any]) -> None:
    if "error" in case:
        with pytest.raises(OptionError) as caught:
            resolve(case["arguments"], case["environment"])
        assert caught.value.option == case["error"]
        return
    options = resolve(case["arguments"], case["environment"])
    assert {name: getattr(options, name) for name in case["expect"]} == case["expect"]


def test_every_field_is_one_of_the_contract() -> None:
    assert set(SCHEMA) == events.FIELDS


def test_every_limit_of_a_text_is_that_of_the_contract() -> None:
    limits = {}
    for name, field in SCHEMA.items():
        for kind in field.get("anyOf", [field]):
            if kind.get("type") == "string" and "maxLength" in kind:
                limits[name] = kind["maxLength"]
    assert limits == events.MAX_CHARACTERS


def test_every_limit_of_tags_and_lists_is_that_of_the_contract() -> None:
    (tags,) = (kind for kind in SCHEMA["tags"]["anyOf"] if kind["type"] == "object")
    assert tags["maxProperties"] == events.MAX_TAGS
    assert tags["propertyNames"]["maxLength"] == events.MAX_TAG_KEY_CHARACTERS
    assert tags["additionalProperties"]["maxLength"] == events.MAX_TAG_VALUE_CHARACTERS
    (reasons,) = (k for k in SCHEMA["response_finish_reasons"]["anyOf"] if k["type"] == "array")
    assert reasons["maxItems"] == events.MAX_FINISH_REASONS
    assert reasons["items"]["maxLength"] == events.MAX_LABEL_CHARACTERS


def test_the_addresses_of_providers_are_those_of_the_contract() -> None:
    told = json.loads((CONTRACT / "providers.json").read_text())["host_endings"]
    assert [list(pair) for pair in HOST_ENDINGS] == told


@pytest.mark.parametrize(
    ("address", "provider"),
    [
        ("https://api.openai.com/v1/", "openai"),
        ("https://acme.openai.azure.com/openai/deployments/x/", "azure.ai.openai"),
        ("https://openrouter.ai/api/v1", "openrouter"),
        ("https://us-central1-aiplatform.googleapis.com/v1/", "gcp.vertex_ai"),
        ("http://localhost:8000/v1", "openai"),
    ],
)
def test_the_address_tells_the_provider(address: str, provider: str) -> None:
    assert provider_at(address, "openai") == provider


def test_a_batch_is_no_larger_than_the_server_takes() -> None:
    page = (CONTRACT.parents[1] / "docs" / "events.md").read_text()
    assert f"| {MAX_BATCH_EVENTS:,} events, 5 MiB |" in page
