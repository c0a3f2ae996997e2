"""Which span is a model call.

Each dialect has one rule, and it looks at the span alone: the halves and layers of a call often
come in different requests. `docs/opentelemetry.md` says the rules in words.
"""

import re
from collections.abc import Callable
from typing import Final

from ingest_api.otlp import aliases
from ingest_api.otlp.aliases import text_of
from ingest_api.otlp.duplicates import is_client
from ingest_api.otlp.spans import Span

# A rule's verdict on a span that its dialect knows and that is no call.
NO_CALL: Final = ""
Rule = Callable[[Span], str | None]

CHAT: Final = "chat"
EMBEDDINGS: Final = "embeddings"
RERANK: Final = "rerank"

# gen_ai.operation.name, OpenLLMetry's llm.request.type and LiteLLM's call types. A name that is not
# here is no call of a model: invoke_agent, execute_tool, create_agent, chain ...
OPERATIONS: Final = {
    "acompletion": CHAT,
    "aembedding": EMBEDDINGS,
    "agenerate_content": "generate_content",
    "aimage_generation": "image_generation",
    "anthropic_messages": CHAT,
    "arerank": RERANK,
    "aresponses": CHAT,
    "aspeech": "text_to_speech",
    "atext_completion": "text_completion",
    "atranscription": "transcription",
    "chat": CHAT,
    "completion": CHAT,
    "embedding": EMBEDDINGS,
    "embeddings": EMBEDDINGS,
    "generate_content": "generate_content",
    "image": "image_generation",
    "image_generation": "image_generation",
    "moderation": "moderation",
    "rerank": RERANK,
    "response": CHAT,
    "responses": CHAT,
    "speech": "text_to_speech",
    "text_completion": "text_completion",
    "text_to_speech": "text_to_speech",
    "transcription": "transcription",
}
# OpenLLMetry's word for a legacy completion; LiteLLM's for a chat.
_TRACELOOP_COMPLETION: Final = "completion"
OPENINFERENCE_CALLS: Final = {"LLM": CHAT, "EMBEDDING": EMBEDDINGS, "RERANKER": RERANK}
VERCEL_CALLS: Final = {
    "doGenerate": CHAT,
    "doStream": CHAT,
    "doEmbed": EMBEDDINGS,
    "doRerank": RERANK,
    "doTranscribe": "transcription",
}
LANGSMITH_CALLS: Final = {"llm": CHAT, "embedding": EMBEDDINGS}
LANGFUSE_CALLS: Final = {"generation": CHAT, "embedding": EMBEDDINGS}

# BeeAI turns every event of a call into a span; the one of its start covers the whole call.
_BEEAI_SCOPE: Final = "openinference.instrumentation.beeai"
_BEEAI_LATER_EVENT: Final = re.compile(r"\.(?:error|finish|new_?token|newToken|success)-\d+$")
_OPENLIT_CLIENT: Final = re.compile(r"openlit/instrumentation/(\w+)/")
_PYTHON_FRAME: Final = re.compile(r'^\s*File "([^"]+)"', re.MULTILINE)


def operation_of(span: Span) -> str | None:
    """`gen_ai.operation.name` of the call that a span is, None where it is none."""
    for rule in RULES:
        verdict = rule(span)
        if verdict is not None:
            return verdict or None
    return None


def _client(span: Span) -> str | None:
    """A client library makes spans of everything it asks for, such as the counting of tokens."""
    return (_named(span) or NO_CALL) if is_client(span) else None


def _openinference(span: Span) -> str | None:
    kind = text_of(span.attributes, aliases.OPENINFERENCE_KIND)
    if kind is None:
        return None
    operation = OPENINFERENCE_CALLS.get(kind.upper(), NO_CALL)
    if span.scope_name == _BEEAI_SCOPE and _BEEAI_LATER_EVENT.search(span.name):
        return NO_CALL
    return (operation == CHAT and _named(span)) or operation


def _vercel(span: Span) -> str | None:
    operation = text_of(span.attributes, aliases.VERCEL_OPERATION)
    if operation is None:
        operation = text_of(span.attributes, aliases.VERCEL_OPERATION_AND_FUNCTION) or ""
    if not operation.startswith("ai."):
        return None
    return VERCEL_CALLS.get(operation.partition(" ")[0].rpartition(".")[2], NO_CALL)


def _traceloop(span: Span) -> str | None:
    """Only workflows, tasks, agents and tools have the kind; calls have `llm.request.type`."""
    return NO_CALL if aliases.TRACELOOP_KIND in span.attributes else None


def _langsmith(span: Span) -> str | None:
    kind = text_of(span.attributes, aliases.LANGSMITH_KIND)
    return None if kind is None else LANGSMITH_CALLS.get(kind, NO_CALL)


def _langfuse(span: Span) -> str | None:
    """`span` is what Langfuse calls whatever it does not know: the other rules decide."""
    kind = text_of(span.attributes, aliases.LANGFUSE_KIND)
    return None if kind in (None, "span") else LANGFUSE_CALLS.get(str(kind), NO_CALL)


def _logfire(span: Span) -> str | None:
    """A streamed call is two spans: its opening, which knows only the request, and a log at its
    end, which has the rest and is the call. A pending span announces one that is to come."""
    kind = span.attributes.get(aliases.LOGFIRE_SPAN_TYPE)
    if kind == "pending_span":
        return NO_CALL
    if kind != "span" or not span.scope_name.startswith("logfire.") or span.is_error:
        return None
    return None if _has_response(span) else NO_CALL


def _has_response(span: Span) -> bool:
    if aliases.LOGFIRE_RESPONSE in span.attributes:
        return True
    facts = ("input_tokens", "response_id", "response_finish_reasons")
    return any(fact in span.facts for fact in facts)


def _named_operation(span: Span) -> str | None:
    sent = text_of(span.facts, "operation_name")
    if sent is None or sent == "unknown":
        return None
    return _named(span) or NO_CALL


def _named(span: Span) -> str | None:
    sent = text_of(span.facts, "operation_name")
    if sent == _TRACELOOP_COMPLETION and span.scope_name.startswith("opentelemetry."):
        return "text_completion"
    return OPERATIONS.get(sent) if sent else None


def _openlit(span: Span) -> str | None:
    """A failed call carries its operation and model in its name alone: `chat gpt-4o`."""
    return OPERATIONS.get(span.name.partition(" ")[0]) if openlit_failed_model(span) else None


def _bare(span: Span) -> str | None:
    """No word on the kind of span: a call names its model, and its provider or its tokens."""
    facts = span.facts
    has_model = "request_model" in facts or "response_model" in facts
    has_tokens = "input_tokens" in facts or "output_tokens" in facts
    has_provider = any(name in span.attributes for name in aliases.PROVIDER)
    return CHAT if has_model and (has_tokens or has_provider) else None


RULES: Final[tuple[Rule, ...]] = (
    _client,
    _openinference,
    _vercel,
    _traceloop,
    _langsmith,
    _langfuse,
    _logfire,
    _named_operation,
    _openlit,
    _bare,
)


def is_openlit(span: Span) -> bool:
    """Whether OpenLIT made the span."""
    return span.scope_name.partition(".")[0] == "openlit"


def openlit_failed_model(span: Span) -> str | None:
    """The model in the name of a call that OpenLIT saw fail."""
    if not (span.is_error and is_openlit(span)):
        return None
    operation, _, model = span.name.partition(" ")
    return model if operation in OPERATIONS and model else None


def openlit_client(span: Span) -> str | None:
    """The provider whose client library failed below OpenLIT: nothing else on the span tells."""
    found = _OPENLIT_CLIENT.search(_stack(span)) if is_openlit(span) else None
    return found[1] if found else None


def is_own_failure(span: Span) -> bool:
    """Whether OpenLIT failed on an answer that the caller got: the error was raised in its code."""
    if not is_openlit(span):
        return False
    frames = _PYTHON_FRAME.findall(_stack(span))
    return bool(frames) and "/openlit/" in frames[-1].replace("\\", "/")


def _stack(span: Span) -> str:
    moment = span.moments.get(aliases.EXCEPTION_MOMENT)
    return str(moment.attributes.get(aliases.EXCEPTION_STACK) or "") if moment else ""
