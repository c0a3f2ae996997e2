"""Calls that several layers of one process tell of, each with a span of its own: one stays."""

from collections.abc import Iterable
from typing import Final, NamedTuple
from uuid import UUID

from ingest_api.events import Event
from ingest_api.otlp.spans import Span

# Client libraries that make spans of their calls themselves, whatever instruments them besides.
CLIENT_SCOPES: Final = ("com.anthropic.sdk.",)
# What a layer above the client may know and the client does not.
CONTEXT_FIELDS: Final = (
    "user_id", "conversation_id", "environment", "service_name", "time_to_first_chunk_seconds",
    "is_stream",
)  # fmt: skip


class Call(NamedTuple):
    """A model call and the span that told of it."""

    span: Span
    event: Event


def is_client(span: Span) -> bool:
    """Whether the provider's own client library made the span."""
    return span.scope_name.startswith(CLIENT_SCOPES)


def without_duplicates(calls: list[Call]) -> list[Call]:
    """Each call once. Only layers whose spans come in one request can be told apart from calls."""
    return _without_twins(_without_wrappers(calls))


def _without_wrappers(calls: list[Call]) -> list[Call]:
    """A call that is the direct parent of a call of its kind is the same call, seen by a framework
    above the client. The lower one counts, unless only the upper one has tokens."""
    by_id = {(call.span.trace_id, call.span.span_id): call for call in calls}
    children: dict[UUID | None, list[Call]] = {}
    for call in calls:
        parent = by_id.get((call.span.trace_id, call.span.parent_span_id or ""))
        if parent and parent.event.operation_name == call.event.operation_name:
            children.setdefault(parent.event.event_id, []).append(call)
    if not children:
        return calls
    dropped: set[UUID | None] = set()
    for call in calls:
        below = children.get(call.event.event_id)
        if below and _has_tokens(call) and not any(_has_tokens(child) for child in below):
            dropped.update(child.event.event_id for child in below)
        elif below:
            dropped.add(call.event.event_id)
    return [call for call in calls if call.event.event_id not in dropped]


def _has_tokens(call: Call) -> bool:
    return call.event.input_tokens is not None or call.event.output_tokens is not None


def _without_twins(calls: list[Call]) -> list[Call]:
    """A client's own span and an instrumentation's that is no ancestor of it: the client's counts,
    because it has what the provider answered, and takes over what only the other one knows."""
    own = [call for call in calls if is_client(call.span)]
    if not own or len(own) == len(calls):
        return calls
    others = [call for call in calls if not is_client(call.span)]
    dropped: set[UUID | None] = set()
    for call in own:
        twin = _twin(call, (other for other in others if other.event.event_id not in dropped))
        if twin is not None:
            dropped.add(twin.event.event_id)
            _take_over(call.event, twin.event)
    return [call for call in calls if call.event.event_id not in dropped]


def _twin(call: Call, others: Iterable[Call]) -> Call | None:
    return next((other for other in others if _is_same(call, other)), None)


def _is_same(call: Call, other: Call) -> bool:
    """By the answer's id; where one has none, by all that two spans of one call have in common."""
    mine, yours = call.event, other.event
    if mine.provider_name != yours.provider_name or mine.operation_name != yours.operation_name:
        return False
    if mine.response_id and yours.response_id:
        return mine.response_id == yours.response_id
    return (
        call.span.resource == other.span.resource
        and _overlap(mine, yours)
        and not _models(mine).isdisjoint(_models(yours))
        and (mine.input_tokens, mine.output_tokens) == (yours.input_tokens, yours.output_tokens)
        and (mine.error_type is None) == (yours.error_type is None)
    )


def _overlap(one: Event, other: Event) -> bool:
    return one.started_at <= (other.ended_at or other.started_at) and other.started_at <= (
        one.ended_at or one.started_at
    )


def _models(event: Event) -> set[str]:
    return {model for model in (event.request_model, event.response_model) if model}


def _take_over(event: Event, other: Event) -> None:
    for name in CONTEXT_FIELDS:
        if getattr(event, name) is None:
            setattr(event, name, getattr(other, name))
    if not bytes(event.input_messages):
        event.input_messages, event.output_messages = other.input_messages, other.output_messages
