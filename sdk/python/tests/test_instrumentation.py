"""Calls through the real client libraries are recorded, and their callers see no difference."""

import asyncio
import contextvars
import gc
import json
import threading
from collections.abc import Callable
from typing import Any

import anthropic
import httpx
import openai
import pytest
from pydantic import BaseModel

import llmscope
from tests.conftest import recorded
from tests.door import Door
from tests.providers import (
    CLAUDE_USAGE,
    SAID,
    USAGE,
    Provider,
    anthropic_client,
    async_anthropic_client,
    async_openai_client,
    http_of,
    openai_client,
)

COUNTED = {"input_tokens": 12, "output_tokens": 5, "cache_read_input_tokens": 4}
CLAUDE_COUNTED = {"input_tokens": 100, "output_tokens": 25, "cache_read_input_tokens": 90}


class Answer(BaseModel):
    answer: int


@pytest.fixture
def provider() -> Provider:
    return Provider(http_of(openai))


@pytest.fixture
def claude() -> Provider:
    return Provider(http_of(anthropic))


@pytest.fixture
def instrumented(recording: Door) -> Door:
    assert {"openai", "anthropic"} <= set(llmscope.instrument())
    return recording


def counts(event: dict[str, Any]) -> dict[str, int]:
    return {name: value for name, value in event.items() if name.endswith("_tokens")}


def read(stream: Any) -> list[dict[str, Any]]:
    return [chunk.to_dict() for chunk in stream]


def chat_calls(client: openai.OpenAI) -> dict[str, Callable[[], Any]]:
    """Every way to ask for a chat answer, and what the caller gets of it."""
    chat = client.chat.completions
    ask: dict[str, Any] = {"model": "gpt-4o", "messages": SAID}

    def streamed_raw() -> Any:
        return read(chat.with_raw_response.create(**ask, stream=True).parse())

    def streaming_response() -> Any:
        with chat.with_streaming_response.create(**ask) as response:
            return [response.status_code, response.parse().to_dict()]

    def streaming_lines() -> Any:
        with chat.with_streaming_response.create(**ask, stream=True) as response:
            return list(response.iter_lines())

    def helper() -> Any:
        with chat.stream(**ask) as stream:
            kinds = [event.type for event in stream]
            return [kinds, stream.get_final_completion().choices[0].to_dict()]

    return {
        "create": lambda: chat.create(**ask).to_dict(),
        "parse": lambda: chat.parse(**ask, response_format=Answer).choices[0].message.parsed,
        "raw": lambda: chat.with_raw_response.create(**ask).parse().to_dict(),
        "raw text": lambda: chat.with_raw_response.create(**ask).text,
        "stream": lambda: read(chat.create(**ask, stream=True)),
        "raw stream": streamed_raw,
        "streaming response": streaming_response,
        "streaming lines": streaming_lines,
        "helper": helper,
    }


CHAT_CALLS = list(chat_calls(openai.OpenAI(api_key="x")))


@pytest.mark.parametrize("way", CHAT_CALLS)
def test_each_way_of_asking_is_recorded_and_looks_the_same(
    way: str, provider: Provider, recording: Door
) -> None:
    client = openai_client(provider)
    plain = chat_calls(client)[way]()
    llmscope.instrument()
    assert chat_calls(client)[way]() == plain
    (event,) = recorded(recording)
    assert counts(event) == COUNTED
    assert event["usage_details"] == USAGE
    assert event["usage_source"] == "provider"
    assert event["provider_name"] == "openai"
    assert (event["request_model"], event["response_model"]) == ("gpt-4o", "gpt-4o-2024")
    assert event["response_finish_reasons"] == ["stop"]
    assert event["is_stream"] == bool(provider.requests[-1].get("stream"))
    assert event["http_status_code"] == 200
    assert "input_messages" not in event


def test_types_are_those_of_the_library(provider: Provider, instrumented: Door) -> None:
    client = openai_client(provider)
    assert type(client.chat.completions.create(model="m", messages=SAID)).__name__ == (
        "ChatCompletion"
    )
    stream = client.chat.completions.create(model="m", messages=SAID, stream=True)
    assert type(stream) is openai.Stream
    stream.close()


def test_usage_that_the_caller_asked_for_is_shown(provider: Provider, instrumented: Door) -> None:
    chat = openai_client(provider).chat.completions
    asked = {"include_usage": True}
    stream = chat.create(model="m", messages=SAID, stream=True, stream_options=asked)
    assert [chunk.usage is None for chunk in stream] == [True, True, True, False]
    refused = {"include_usage": False}
    stream = chat.create(model="m", messages=SAID, stream=True, stream_options=refused)
    assert len(list(stream)) == 3
    assert provider.requests[-1]["stream_options"] == refused
    first, second = recorded(instrumented)
    assert counts(first) == COUNTED
    assert (counts(second), second["usage_source"]) == ({}, "missing")


def test_asking_for_usage_can_be_switched_off(provider: Provider, door: Door) -> None:
    llmscope.init(api_key="k", url=door.url, spool_directory="off", asks_for_stream_usage=False)
    llmscope.instrument()
    list(openai_client(provider).chat.completions.create(model="m", messages=SAID, stream=True))
    assert "stream_options" not in provider.requests[-1]
    llmscope.uninstrument()
    llmscope.shutdown()


def test_an_abandoned_stream_is_recorded(
    provider: Provider, claude: Provider, instrumented: Door
) -> None:
    chat = openai_client(provider).chat.completions
    closed = chat.create(model="m", messages=SAID, stream=True)
    next(closed)
    closed.close()
    dropped = chat.create(model="m", messages=SAID, stream=True)
    del dropped
    gc.collect()
    messages = anthropic_client(claude).messages
    with messages.create(model="c", max_tokens=9, messages=SAID, stream=True) as left:
        next(left)
    first, second, third = recorded(instrumented)
    assert first["usage_source"] == second["usage_source"] == "missing"
    assert third["usage_source"] == "estimated"
    assert counts(third) == {
        "input_tokens": 100, "output_tokens": 1, "cache_read_input_tokens": 90,
    }  # fmt: skip
    assert all("error_type" not in event for event in (first, second, third))


def test_a_stream_that_breaks_is_recorded_and_raises_what_it_raised(
    provider: Provider, recording: Door
) -> None:
    client = openai_client(provider)
    provider.breaks = provider.http.ReadError("cut")

    def failure() -> tuple[type, str]:
        with pytest.raises((openai.OpenAIError, provider.http.HTTPError)) as caught:
            list(client.chat.completions.create(model="m", messages=SAID, stream=True))
        return type(caught.value), str(caught.value)

    plain = failure()
    llmscope.instrument()
    assert failure() == plain
    (event,) = recorded(recording)
    assert (event["error_type"], event["usage_source"]) == ("ReadError", "missing")


def test_a_refused_call_is_recorded_once_and_raises_what_it_raised(
    provider: Provider, instrumented: Door
) -> None:
    with pytest.raises(openai.NotFoundError) as caught:
        openai_client(provider).chat.completions.create(model="unknown", messages=SAID)
    assert caught.value.body == {"message": "No such model.", "type": "not_found", "code": "404"}
    (event,) = recorded(instrumented)
    assert (event["error_type"], event["http_status_code"]) == ("404", 404)
    assert "No such model." in event["error_message"]
    assert event["usage_source"] == "missing"


def test_a_connection_that_fails_is_recorded(instrumented: Door) -> None:
    client = openai.OpenAI(api_key="k", base_url="http://127.0.0.1:9/v1", max_retries=0)
    with pytest.raises(openai.APIConnectionError):
        client.embeddings.create(model="e", input="x")
    (event,) = recorded(instrumented)
    assert (event["error_type"], event["operation_name"]) == ("APIConnectionError", "embeddings")


def test_responses_completions_and_embeddings_are_recorded(
    provider: Provider, instrumented: Door
) -> None:
    client = openai_client(provider)
    client.responses.create(model="gpt-5", input="x")
    client.embeddings.create(model="embed", input="x")
    client.completions.create(model="davinci", prompt="x")
    client.models.with_raw_response  # noqa: B018 - listing models is no call of a model
    events = recorded(instrumented)
    assert [event["operation_name"] for event in events] == [
        "chat",
        "embeddings",
        "text_completion",
    ]
    assert [event["input_tokens"] for event in events] == [9, 8, 12]


async def test_the_asynchronous_client_is_recorded(provider: Provider, recording: Door) -> None:
    chat = async_openai_client(provider).chat.completions

    async def both() -> Any:
        whole = await chat.create(model="m", messages=SAID)
        stream = await chat.create(model="m", messages=SAID, stream=True)
        raw = await chat.with_raw_response.create(model="m", messages=SAID)
        chunks = [chunk.to_dict() async for chunk in stream]
        return [whole.to_dict(), chunks, raw.parse().to_dict()]

    plain = await both()
    llmscope.instrument()
    assert await both() == plain
    stream = await chat.create(model="m", messages=SAID, stream=True)
    await stream.__anext__()
    await stream.close()
    events = await asyncio.to_thread(recorded, recording)
    assert sorted(event["usage_source"] for event in events) == ["missing"] + ["provider"] * 3
    assert [counts(event) for event in events if event["usage_source"] == "provider"] == (
        [COUNTED] * 3
    )


async def test_a_cancelled_call_is_recorded(instrumented: Door) -> None:
    async def hang(_request: Any) -> Any:
        await asyncio.sleep(60)

    call = async_openai_client(hang).chat.completions.create(model="m", messages=SAID)
    task = asyncio.ensure_future(call)
    await asyncio.sleep(0.05)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    (event,) = await asyncio.to_thread(recorded, instrumented)
    assert event["error_type"] == "cancelled"


def test_messages_of_anthropic_are_recorded(claude: Provider, recording: Door) -> None:
    messages = anthropic_client(claude).messages
    ask: dict[str, Any] = {"model": "claude", "max_tokens": 9, "messages": SAID}

    def every_way() -> Any:
        whole = messages.create(**ask).to_dict()
        events = read(messages.create(**ask, stream=True))
        with messages.stream(**ask) as stream:
            text = "".join(stream.text_stream)
        raw = messages.with_raw_response.create(**ask).parse().to_dict()
        return [whole, events, text, stream.get_final_message().to_dict(), raw]

    plain = every_way()
    llmscope.instrument()
    assert every_way() == plain
    whole, streamed, helper, raw = recorded(recording)
    assert counts(whole) == counts(raw) == {**CLAUDE_COUNTED, "output_tokens": 1}
    assert counts(streamed) == counts(helper) == CLAUDE_COUNTED
    assert whole["usage_details"] == CLAUDE_USAGE
    assert all(event["provider_name"] == "anthropic" for event in (whole, streamed, helper, raw))
    assert streamed["time_to_first_chunk_seconds"] <= streamed["duration_seconds"]


async def test_asynchronous_messages_of_anthropic_are_recorded(
    claude: Provider, instrumented: Door
) -> None:
    messages = async_anthropic_client(claude).messages
    ask: dict[str, Any] = {"model": "claude", "max_tokens": 9, "messages": SAID}
    await messages.create(**ask)
    async with messages.stream(**ask) as stream:
        assert "".join([text async for text in stream.text_stream]) == "Hi"
    events = await asyncio.to_thread(recorded, instrumented)
    assert [event["output_tokens"] for event in events] == [1, 25]


def test_the_address_tells_who_answers(provider: Provider, instrumented: Door) -> None:
    http = http_of(openai)
    transport = http.Client(transport=http.MockTransport(provider))
    azure = openai.AzureOpenAI(
        api_key="k", api_version="2023-05-15", azure_endpoint="https://acme.openai.azure.com",
        http_client=transport, max_retries=0,
    )  # fmt: skip
    list(azure.chat.completions.create(model="mine", messages=SAID, stream=True))
    assert "stream_options" not in provider.requests[-1], "this version refuses it"
    router = openai_client(provider, base_url="https://openrouter.ai/api/v1")
    router.chat.completions.create(model="m", messages=SAID)
    events = recorded(instrumented)
    assert [event["provider_name"] for event in events] == ["azure.ai.openai", "openrouter"]


def test_uninstrument_restores_everything(provider: Provider, recording: Door) -> None:
    owners = (openai._base_client.SyncAPIClient, openai._base_client.AsyncAPIClient)
    before = [owner.__dict__["request"] for owner in owners]
    llmscope.instrument()
    llmscope.instrument()
    assert [owner.__dict__["request"] for owner in owners] != before
    llmscope.uninstrument()
    assert [owner.__dict__["request"] for owner in owners] == before
    openai_client(provider).chat.completions.create(model="m", messages=SAID)
    assert recorded(recording) == []


def test_wrap_records_one_client_and_its_copies(provider: Provider, recording: Door) -> None:
    client = openai_client(provider)
    assert llmscope.wrap(client) is client
    client.chat.completions.create(model="m", messages=SAID)
    client.with_options(timeout=3).chat.completions.create(model="m", messages=SAID)
    openai_client(provider).chat.completions.create(model="m", messages=SAID)
    assert len(recorded(recording)) == 2
    llmscope.instrument()
    client.chat.completions.create(model="m", messages=SAID)
    assert len(recorded(recording)) == 1


def test_what_is_no_known_client_is_refused() -> None:
    with pytest.raises(llmscope.OptionError, match="no client that llmscope knows"):
        llmscope.wrap(httpx)
    with pytest.raises(llmscope.OptionError, match="is none of openai"):
        llmscope.instrument(["cobol"])


def test_content_is_captured_only_where_that_is_wanted(
    provider: Provider, claude: Provider, door: Door
) -> None:
    llmscope.init(api_key="k", url=door.url, spool_directory="off", capture_content=True)
    llmscope.instrument()
    said = [dict(SAID[0])]
    chat = openai_client(provider).chat.completions
    chat.create(model="m", messages=said)
    said[0]["content"] = "changed later"
    list(chat.create(model="m", messages=SAID, stream=True))
    anthropic_client(claude).messages.create(model="c", max_tokens=1, system="Be", messages=SAID)
    whole, streamed, message = recorded(door)
    llmscope.uninstrument()
    llmscope.shutdown()
    assert whole["input_messages"] == SAID
    assert json.loads(whole["output_messages"][0]["content"]) == {"answer": 2}
    assert streamed["output_messages"][0]["content"] == 'He said: ,"usage":null'
    assert [said["role"] for said in message["input_messages"]] == ["system", "user"]
    assert message["output_messages"][0]["content"] == [{"type": "text", "text": "Hi"}]


async def test_the_context_of_each_task_is_its_own(provider: Provider, instrumented: Door) -> None:
    chat = async_openai_client(provider).chat.completions

    async def ask(user: str) -> None:
        with llmscope.context(user_id=user, tags={"team": user}):
            await asyncio.sleep(0.01)
            await chat.create(model=user, messages=SAID)

    with llmscope.context(conversation_id="talk", tags={"app": "x"}):
        await asyncio.gather(ask("ann"), ask("bob"))
    for event in await asyncio.to_thread(recorded, instrumented):
        assert event["user_id"] == event["request_model"]
        assert event["tags"] == {"app": "x", "team": event["user_id"]}
        assert event["conversation_id"] == "talk"


def test_the_context_of_each_thread_is_its_own(provider: Provider, instrumented: Door) -> None:
    chat = openai_client(provider).chat.completions

    @llmscope.context(user_id="ann")
    def ask() -> None:
        chat.create(model="m", messages=SAID)

    threads = [threading.Thread(target=ask)]
    with llmscope.context(user_id="bob"):
        carried = contextvars.copy_context()
        threads.append(
            threading.Thread(target=lambda: carried.run(chat.create, model="m", messages=SAID))
        )
        stream = chat.create(model="m", messages=SAID, stream=True)
    for thread in threads:
        thread.start()
        thread.join()
    list(stream)
    users = [event["user_id"] for event in recorded(instrumented)]
    assert sorted(users) == ["ann", "bob", "bob"], "a stream belongs to where it was asked for"


def test_nothing_changes_before_init_and_after_shutdown(provider: Provider) -> None:
    llmscope.shutdown()
    llmscope.instrument()
    chat = openai_client(provider).chat.completions
    assert len(list(chat.create(model="m", messages=SAID, stream=True))) == 3
    assert "stream_options" not in provider.requests[-1]
    llmscope.uninstrument()


def test_custom_calls_are_recorded(recording: Door) -> None:
    @llmscope.recorded("acme", "m1", describe=lambda answer: {"output_tokens": len(answer)})
    def ask(fails: bool = False) -> str:
        if fails:
            raise TimeoutError("too slow")
        return "four"

    assert ask() == "four"
    with pytest.raises(TimeoutError):
        ask(fails=True)
    with llmscope.call("acme", "m2", "embeddings") as call:
        call.set(input_tokens=7, usage_source="estimated")
    good, bad, block = recorded(recording)
    assert (good["output_tokens"], good["operation_name"]) == (4, "chat")
    assert (bad["error_type"], bad["error_message"]) == ("timeout", "too slow")
    assert (block["request_model"], block["input_tokens"]) == ("m2", 7)


async def test_a_coroutine_function_stays_one(recording: Door) -> None:
    @llmscope.recorded("acme", "m1", describe=lambda answer: {"nonsense": answer})
    async def ask() -> str:
        await asyncio.sleep(0.02)
        return "x"

    assert asyncio.iscoroutinefunction(ask)
    assert await ask() == "x"
    assert await asyncio.to_thread(recorded, recording) == []
    assert llmscope.losses() == {"invalid": 1}
