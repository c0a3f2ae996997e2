"""One table: what each fact of a call is called in each dialect, newest name first.

What a dialect means by a name, where that differs, is in `dialects.py` and `usage.py`.
"""

from collections.abc import Callable
from typing import Any, Final, TypeAlias

# Text, numbers, booleans, and lists and maps of them, by name.
Attributes: TypeAlias = dict[str, Any]
Names: TypeAlias = tuple[str, ...]
KeepKey: TypeAlias = Callable[[str], bool]

TABLE: Final[dict[str, Names]] = {
    "operation_name": (
        "gen_ai.operation.name",
        "llm.request.type",
        "gen_ai.request.type",
    ),
    "request_model": (
        "gen_ai.request.model",
        "llm.request.model",
        "ai.model.id",
        "langfuse.observation.model.name",
    ),
    "response_model": (
        "gen_ai.response.model",
        "llm.response.model",
        "ai.response.model",
    ),
    # OpenInference names the answer's model where there is one, else the one that was asked for.
    "openinference_model": (
        "llm.model_name",
        "embedding.model_name",
        "reranker.model_name",
    ),
    # JSON objects that hold `model` and `stream` as they were asked for.
    "parameters": (
        "llm.invocation_parameters",
        "embedding.invocation_parameters",
        "request_data",
    ),
    # Host or URL of what answered.
    "address": (
        "server.address",
        "gen_ai.openai.api_base",
        "llm.openai.api_base",
    ),
    "input_tokens": (
        "gen_ai.usage.input_tokens",
        "gen_ai.usage.prompt_tokens",
        "llm.token_count.prompt",
        "ai.usage.inputTokens",
        "ai.usage.promptTokens",
        "ai.usage.tokens",
        "llm.usage.prompt_tokens",
    ),
    "output_tokens": (
        "gen_ai.usage.output_tokens",
        "gen_ai.usage.completion_tokens",
        "llm.token_count.completion",
        "ai.usage.outputTokens",
        "ai.usage.completionTokens",
        "llm.usage.completion_tokens",
    ),
    "total_tokens": (
        "gen_ai.usage.total_tokens",
        "llm.usage.total_tokens",
        "llm.token_count.total",
        "ai.usage.totalTokens",
        "gen_ai.client.token.usage",
    ),
    "cache_read_input_tokens": (
        "gen_ai.usage.cache_read.input_tokens",
        "gen_ai.usage.cache_read_input_tokens",
        "gen_ai.usage.details.cache_read_tokens",
        "gen_ai.usage.details.cache_read_input_tokens",
        "gen_ai.usage.details.cached_tokens",
        "gen_ai.usage.input_cached_tokens",
        "llm.token_count.prompt_details.cache_read",
        "ai.usage.inputTokenDetails.cacheReadTokens",
        "ai.usage.cachedInputTokens",
        "llm.usage.cache_read_input_tokens",
    ),
    "cache_write_input_tokens": (
        "gen_ai.usage.cache_write.input_tokens",
        "gen_ai.usage.cache_creation.input_tokens",
        "gen_ai.usage.cache_write_input_tokens",
        "gen_ai.usage.cache_creation_input_tokens",
        "gen_ai.usage.details.cache_write_tokens",
        "gen_ai.usage.details.cache_creation_input_tokens",
        "gen_ai.usage.input_cache_creation",
        "llm.token_count.prompt_details.cache_write",
        "ai.usage.inputTokenDetails.cacheWriteTokens",
        "llm.usage.cache_creation_input_tokens",
    ),
    "cache_write_1h_input_tokens": ("anthropic.usage.cache_creation.ephemeral_1h_input_tokens",),
    "reasoning_output_tokens": (
        "gen_ai.usage.reasoning.output_tokens",
        "gen_ai.usage.reasoning_tokens",
        "gen_ai.usage.details.reasoning_tokens",
        "llm.token_count.completion_details.reasoning",
        "ai.usage.outputTokenDetails.reasoningTokens",
        "ai.usage.reasoningTokens",
        "llm.usage.reasoning_tokens",
    ),
    "input_audio_tokens": (
        "gen_ai.usage.details.input_audio_tokens",
        "llm.token_count.prompt_details.audio",
    ),
    "output_audio_tokens": (
        "gen_ai.usage.details.output_audio_tokens",
        "llm.token_count.completion_details.audio",
    ),
    "response_id": (
        "gen_ai.response.id",
        "llm.response.id",
        "ai.response.id",
    ),
    "response_finish_reasons": (
        "gen_ai.response.finish_reasons",
        "llm.finish_reason",
        "llm.response.finish_reason",
        "ai.response.finishReason",
        "gen_ai.completion.0.finish_reason",
        "anthropic.message.stop_reason",
    ),
    "is_stream": (
        "gen_ai.request.stream",
        "gen_ai.is_streaming",
        "llm.is_streaming",
        "gen_ai.request.is_stream",
        "gen_ai.request.streaming",
    ),
    "first_chunk_seconds": (
        "gen_ai.response.time_to_first_chunk",
        "gen_ai.server.time_to_first_token",
    ),
    "first_chunk_milliseconds": ("ai.response.msToFirstChunk",),
    "error_type": ("error.type",),
    "http_status_code": (
        "http.response.status_code",
        "http.status_code",
    ),
    "conversation_id": (
        "gen_ai.conversation.id",
        "session.id",
        "langfuse.session.id",
        "traceloop.association.properties.session_id",
        "traceloop.association.properties.thread_id",
        "traceloop.association.properties.conversation_id",
        "traceloop.association.properties.chat_id",
        "ai.telemetry.metadata.sessionId",
        "ai.telemetry.metadata.conversationId",
        "langsmith.metadata.session_id",
        "langsmith.metadata.thread_id",
    ),
    "user_id": (
        "user.id",
        "enduser.id",
        "langfuse.user.id",
        "gen_ai.user.id",
        "gen_ai.request.user",
        "llm.user",
        "traceloop.association.properties.user_id",
        "ai.telemetry.metadata.userId",
        "langsmith.metadata.user_id",
    ),
    "service_name": (
        "service.name",
        "gen_ai.application_name",
    ),
    "environment": (
        "deployment.environment.name",
        "deployment.environment",
        "langfuse.environment",
        "gen_ai.environment",
    ),
}

# Facts for which the first name is not always the best one.
PROVIDER: Final[Names] = (
    "gen_ai.provider.name", "gen_ai.system", "llm.provider", "llm.system", "ai.model.provider",
    "traceloop.association.properties.ls_provider", "langsmith.metadata.ls_provider", "llm.vendor",
)  # fmt: skip
SERVICE_TIER: Final[Names] = (
    "gen_ai.openai.response.service_tier", "openai.response.service_tier",
    "gen_ai.response.service_tier", "gen_ai.openai.request.service_tier",
    "openai.request.service_tier", "gen_ai.request.service_tier", "anthropic.response.service_tier",
)  # fmt: skip

# What kind of span it is, and what else one dialect alone has: see `dialects.py`.
OPENINFERENCE_KIND: Final = "openinference.span.kind"
VERCEL_OPERATION: Final = "ai.operationId"
VERCEL_OPERATION_AND_FUNCTION: Final = "operation.name"
TRACELOOP_KIND: Final = "traceloop.span.kind"
LANGSMITH_KIND: Final = "langsmith.span.kind"
LANGFUSE_KIND: Final = "langfuse.observation.type"
LOGFIRE_SPAN_TYPE: Final = "logfire.span_type"
LOGFIRE_RESPONSE: Final = "response_data"
LOGFIRE_STREAM_SECONDS: Final = "duration"
OPENLIT_CHAT_COMPLETIONS_ONLY: Final = "gen_ai.request.seed"
KINDS: Final[Names] = (
    OPENINFERENCE_KIND, VERCEL_OPERATION, VERCEL_OPERATION_AND_FUNCTION, TRACELOOP_KIND,
    LANGSMITH_KIND, LANGFUSE_KIND, LOGFIRE_SPAN_TYPE, LOGFIRE_RESPONSE, LOGFIRE_STREAM_SECONDS,
    OPENLIT_CHAT_COMPLETIONS_ONLY,
)  # fmt: skip

# JSON: the provider's usage object (Logfire), by provider what it said besides (Vercel), and counts
# by Langfuse's names.
RAW_USAGE: Final = "gen_ai.usage.raw"
PROVIDER_METADATA: Final = "ai.response.providerMetadata"
LANGFUSE_USAGE: Final = "langfuse.observation.usage_details"

# Events of a span.
FIRST_CHUNK_MOMENTS: Final[Names] = (
    "First Token Stream Event", "gen_ai.content.completion.chunk", "llm.content.completion.chunk",
    "ai.stream.firstChunk",
)  # fmt: skip
EXCEPTION_MOMENT: Final = "exception"
EXCEPTION_TYPE: Final = "exception.type"
EXCEPTION_MESSAGE: Final = "exception.message"
EXCEPTION_STACK: Final = "exception.stacktrace"

COUNTS: Final = frozenset(
    name for fact, names in TABLE.items() if fact.endswith("_tokens") for name in names
)
_FACT_AND_RANK: Final = {
    name: (fact, rank) for fact, names in TABLE.items() for rank, name in enumerate(names)
}
KNOWN: Final = frozenset(
    {
        *_FACT_AND_RANK, *PROVIDER, *SERVICE_TIER, *KINDS, RAW_USAGE, PROVIDER_METADATA,
        LANGFUSE_USAGE, EXCEPTION_TYPE, EXCEPTION_MESSAGE, EXCEPTION_STACK,
    }
)  # fmt: skip

# What `decode` keeps: everything but content, or everything.
is_known: Final[KeepKey] = KNOWN.__contains__


def keep_all(_key: str) -> bool:
    """For projects that store prompts and completions."""
    return True


def facts_of(attributes: Attributes) -> Attributes:
    """What `attributes` say, by the keys of `TABLE`; empty texts say nothing.

    One pass over a dozen attributes takes 3 us; a look for each of 90 names took 20 us.
    """
    facts: Attributes = {}
    ranks: dict[str, int] = {}
    for name, value in attributes.items():
        slot = _FACT_AND_RANK.get(name)
        if slot is None or value is None or value == "":
            continue
        fact, rank = slot
        if fact not in ranks or rank < ranks[fact]:
            facts[fact], ranks[fact] = value, rank
    return facts


def text_of(facts: Attributes, name: str) -> str | None:
    """The value of that name where it is a text with something in it."""
    value = facts.get(name)
    return value if isinstance(value, str) and value else None
