"""Calls of OpenAI's and Anthropic's clients under one instrumentation, in a process of its own.

Runs in the environment of `requirements/instrumentations.txt`, where nothing of ours is, and is set
up as a user would: by the standard variables of OpenTelemetry and of the two clients.
"""

import asyncio
import sys
from collections.abc import Callable

import anthropic
import openai
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

QUESTION = [{"role": "user", "content": "How many?"}]
MAX_TOKENS = 100


def export_spans() -> None:
    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(provider)


def use_opentelemetry() -> None:
    from opentelemetry.instrumentation.genai.anthropic import AnthropicInstrumentor
    from opentelemetry.instrumentation.genai.openai import OpenAIInstrumentor

    export_spans()
    OpenAIInstrumentor().instrument()
    AnthropicInstrumentor().instrument()


def use_openinference() -> None:
    from openinference.instrumentation.anthropic import AnthropicInstrumentor
    from openinference.instrumentation.openai import OpenAIInstrumentor

    export_spans()
    OpenAIInstrumentor().instrument()
    AnthropicInstrumentor().instrument()


def use_openllmetry() -> None:
    from opentelemetry.instrumentation.anthropic import AnthropicInstrumentor
    from opentelemetry.instrumentation.openai import OpenAIInstrumentor

    export_spans()
    OpenAIInstrumentor().instrument()
    AnthropicInstrumentor().instrument()


def use_logfire() -> None:
    import logfire

    logfire.configure(send_to_logfire=False, console=False, inspect_arguments=False)
    logfire.instrument_openai()
    logfire.instrument_anthropic()


INSTRUMENTATIONS = {
    "logfire": use_logfire,
    "openinference": use_openinference,
    "openllmetry": use_openllmetry,
    "opentelemetry": use_opentelemetry,
}


def openai_chat() -> None:
    client = openai.OpenAI()
    client.chat.completions.create(model="gpt-4o-mini", messages=QUESTION)


def openai_chat_stream() -> None:
    client = openai.OpenAI()
    chunks = client.chat.completions.create(
        model="gpt-4o", messages=QUESTION, stream=True, stream_options={"include_usage": True}
    )
    for _ in chunks:
        pass


def openai_chat_async() -> None:
    async def ask() -> None:
        async with openai.AsyncOpenAI() as client:
            await client.chat.completions.create(model="gpt-4.1", messages=QUESTION)

    asyncio.run(ask())


def openai_chat_stream_async() -> None:
    async def ask() -> None:
        async with openai.AsyncOpenAI() as client:
            chunks = await client.chat.completions.create(
                model="gpt-4.1-mini",
                messages=QUESTION,
                stream=True,
                stream_options={"include_usage": True},
            )
            async for _ in chunks:
                pass

    asyncio.run(ask())


def openai_responses() -> None:
    openai.OpenAI().responses.create(model="gpt-5", input="How many?")


def openai_embeddings() -> None:
    openai.OpenAI().embeddings.create(model="text-embedding-3-small", input=["one", "two"])


def openai_rate_limited() -> None:
    client = openai.OpenAI(max_retries=0)
    client.chat.completions.create(model="status-429", messages=QUESTION)


def openai_broken() -> None:
    client = openai.OpenAI(max_retries=0)
    client.chat.completions.create(model="status-500", messages=QUESTION)


def anthropic_messages() -> None:
    anthropic.Anthropic().messages.create(
        model="claude-sonnet-4-5", messages=QUESTION, max_tokens=MAX_TOKENS
    )


def anthropic_stream() -> None:
    events = anthropic.Anthropic().messages.create(
        model="claude-haiku-4-5", messages=QUESTION, max_tokens=MAX_TOKENS, stream=True
    )
    for _ in events:
        pass


def anthropic_stream_context() -> None:
    client = anthropic.Anthropic()
    with client.messages.stream(
        model="claude-opus-4-5", messages=QUESTION, max_tokens=MAX_TOKENS
    ) as stream:
        stream.get_final_message()


def anthropic_async() -> None:
    async def ask() -> None:
        async with anthropic.AsyncAnthropic() as client:
            await client.messages.create(
                model="claude-opus-4-1", messages=QUESTION, max_tokens=MAX_TOKENS
            )

    asyncio.run(ask())


def anthropic_overloaded() -> None:
    client = anthropic.Anthropic(max_retries=0)
    client.messages.create(model="status-529", messages=QUESTION, max_tokens=MAX_TOKENS)


OPENAI_CALLS: tuple[Callable[[], None], ...] = (
    openai_chat, openai_chat_stream, openai_chat_async, openai_chat_stream_async,
    openai_responses, openai_embeddings, openai_rate_limited, openai_broken,
)  # fmt: skip
ANTHROPIC_CALLS: tuple[Callable[[], None], ...] = (
    anthropic_messages, anthropic_stream, anthropic_stream_context, anthropic_async,
    anthropic_overloaded,
)  # fmt: skip


def main(name: str) -> None:
    INSTRUMENTATIONS[name]()
    for call in (*OPENAI_CALLS, *ANTHROPIC_CALLS):
        try:
            call()
        except (openai.APIStatusError, anthropic.APIStatusError):
            continue
    provider = trace.get_tracer_provider()
    provider.force_flush()
    provider.shutdown()


if __name__ == "__main__":
    main(sys.argv[1])
