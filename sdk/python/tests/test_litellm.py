"""LiteLLM's calls are recorded once, by its callback."""

from __future__ import annotations

import os
import time
from typing import Any

import openai
import pytest

import llmscope
from llmscope._instrumentation.covering import is_installed
from tests.conftest import recorded
from tests.door import Door
from tests.providers import SAID, Provider, http_of, openai_client

if not is_installed("litellm"):
    pytest.skip("litellm is not installed here", allow_module_level=True)


@pytest.mark.timeout(150)  # importing it takes half a minute on a busy machine
def test_calls_of_litellm_are_recorded_once(recording: Door) -> None:
    # It would ask a server of its own for prices, and wait for it.
    os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
    llmscope.instrument()
    import litellm

    client = openai_client(Provider(http_of(openai)))
    ask: dict[str, Any] = {"messages": SAID, "client": client}
    litellm.completion(model="openai/gpt-4o", **ask)
    list(litellm.completion(model="openai/gpt-4o", stream=True, **ask))
    with pytest.raises(litellm.NotFoundError):
        litellm.completion(model="openai/unknown", **ask)
    events = _events(recording, 3)
    failed, whole, streamed = sorted(
        events, key=lambda e: (e["request_model"] == "gpt-4o", e["is_stream"])
    )
    for event in (whole, streamed):
        assert (event["input_tokens"], event["output_tokens"]) == (12, 5)
        assert (event["provider_name"], event["cache_read_input_tokens"]) == ("openai", 4)
        assert event["usage_source"] == "provider"
    assert (failed["error_type"], failed["usage_source"]) == ("404", "missing")
    client.chat.completions.create(model="gpt-4o", messages=SAID)
    assert len(_events(recording, 1)) == 1, "the client's own calls are its own"
    llmscope.uninstrument()
    assert [known for known in litellm.callbacks if "llmscope" in type(known).__module__] == []


def _events(door: Door, count: int) -> list[dict[str, Any]]:
    """LiteLLM calls back on a thread of its own."""
    events: list[dict[str, Any]] = []
    deadline = time.monotonic() + 10
    while len(events) < count and time.monotonic() < deadline:
        events += recorded(door)
    return events
