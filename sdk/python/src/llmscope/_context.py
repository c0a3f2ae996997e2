"""What belongs to every call of a stretch of code: user, conversation, tags, environment.

Context variables: each asyncio task and each thread has its own. A new thread starts empty before
Python 3.14; run its work in `contextvars.copy_context()`, as `asyncio.to_thread` does.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from types import MappingProxyType
from typing import Any

_NONE: Mapping[str, Any] = MappingProxyType({})
_fields: ContextVar[Mapping[str, Any]] = ContextVar("llmscope_fields", default=_NONE)


@contextmanager
def context(
    *,
    user_id: str | None = None,
    conversation_id: str | None = None,
    environment: str | None = None,
    service_name: str | None = None,
    tags: Mapping[str, str] | None = None,
) -> Iterator[None]:
    """Put these on every event of the calls inside; inner contexts win, tags are joined.

    Also a decorator.
    """
    given = {
        "user_id": user_id,
        "conversation_id": conversation_id,
        "environment": environment,
        "service_name": service_name,
    }
    outer = _fields.get()
    inner = {**outer, **{name: value for name, value in given.items() if value is not None}}
    if tags:
        inner["tags"] = {**outer.get("tags", {}), **tags}
    token = _fields.set(inner)
    try:
        yield
    finally:
        _fields.reset(token)


def current_fields() -> Mapping[str, Any]:
    """The fields of the context that holds here."""
    return _fields.get()
