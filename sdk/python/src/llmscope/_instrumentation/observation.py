"""One call of a model by a client library, from its request to the end of its answer."""

from __future__ import annotations

import json
from typing import Any, Callable, Optional

from llmscope import _state
from llmscope._calls import Call
from llmscope._providers.apis import Api, answer_fields, message_in
from llmscope._providers.reading import Json, text_at

# Gives an answer when it is asked for: on the sender's thread.
Source = Callable[[], Optional[Json]]


class Observation:
    """Collects the event of a call; whoever sees its end calls `end`, more often does no harm."""

    def __init__(
        self,
        api: Api,
        provider_name: str,
        request: Any,
        is_stream: bool,
        request_model: str | None = None,
    ) -> None:
        self.api = api
        self._has_content = _captures_content()
        body: Json = request if isinstance(request, dict) else {}
        self._call = Call(
            provider_name=provider_name,
            operation_name=api.operation_name,
            request_model=request_model or text_at(body, "model"),
            is_stream=is_stream,
        )
        if self._has_content:
            self._call.set(input_messages=api.input_messages(body))

    def answer(self, response: Json | None, is_final: bool = True) -> None:
        """Take over what the provider answered."""
        self.answer_from(lambda: response, is_final)

    def answer_from(self, source: Source, is_final: bool = True) -> None:
        """Take over an answer that `source` makes of what nobody else can change."""
        if self._has_content:
            self._call.set(**answer_fields(self.api, source(), is_final, has_content=True))
        else:
            # Reading it takes longer than making the rest of the event: the sender has time.
            self._call.later(lambda: answer_fields(self.api, source(), is_final, False))

    def refuse(self, status: int, body: bytes) -> None:
        """The provider answered with a status that is a failure."""
        self._call.set(http_status_code=status, error_type=str(status))
        message = message_in(parsed(body) or {})
        self._call.set(error_message=message or body.decode("utf-8", "replace"))

    def status(self, code: int) -> None:
        """The HTTP status of the answer."""
        self._call.set(http_status_code=code)

    def first_chunk(self) -> None:
        """The first bytes of a stream are here."""
        self._call.note_first_chunk()

    def end(self, error: BaseException | None = None) -> None:
        """Record the call."""
        self._call.values.setdefault("usage_source", "missing")
        self._call.end(error)

    @property
    def has_content(self) -> bool:
        """Whether messages are recorded."""
        return self._has_content


def _captures_content() -> bool:
    client = _state.current()
    return client is not None and client.options.capture_content


def parsed(body: bytes | str) -> Json | None:
    """A JSON object, or None where it is none."""
    try:
        document = json.loads(body)
    except ValueError:
        return None
    return document if isinstance(document, dict) else None
