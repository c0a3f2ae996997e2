"""Calls of providers that `instrument` does not know: `record`, `call` and `recorded`."""

from __future__ import annotations

import functools
import inspect
import time
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Callable, TypeVar, cast

from llmscope import _state
from llmscope._context import current_fields
from llmscope._events import timestamp

Function = TypeVar("Function", bound=Callable[..., Any])
Describe = Callable[[Any], Mapping[str, Any]]


def record(**fields: Any) -> None:
    """Record a call that has ended; `fields` are those of docs/events.md.

    Needed are `provider_name`, and `request_model` or `response_model`. Never raises: an event
    that cannot be one is counted as lost (`invalid`).
    """
    client = _state.current()
    if client is not None:
        client.record(fields)


class Call:
    """A call that goes on. As a context manager it ends with the block, failed if that raises.

    Attributes:
        values: Fields of its event so far.
    """

    def __init__(self, **values: Any) -> None:
        self.values = values
        # The context where it began: it may end in another one.
        self._fields = current_fields()
        self._started_at = time.time()
        self._started = time.perf_counter()
        self._is_ended = False
        self._later: Callable[[], Mapping[str, Any]] | None = None

    def set(self, **values: Any) -> None:
        """Add fields to the event, such as `input_tokens`."""
        self.values.update(values)

    def later(self, fields: Callable[[], Mapping[str, Any]]) -> None:
        """Add fields that are made on the sender's thread, of what nobody else can change."""
        self._later = fields

    def elapsed_seconds(self) -> float:
        """Since it began."""
        return time.perf_counter() - self._started

    def note_first_chunk(self) -> None:
        """The first part of a streamed answer has arrived; later ones change nothing."""
        self.values.setdefault("time_to_first_chunk_seconds", self.elapsed_seconds())

    def end(self, error: BaseException | None = None) -> None:
        """Record it, once."""
        if self._is_ended:
            return
        self._is_ended = True
        duration = self.elapsed_seconds()
        client = _state.current()
        if client is None:
            return
        started_at, later = self._started_at, self._later
        values = {"duration_seconds": duration, **failure_fields(error), **self.values}
        if later is None:
            client.record({"started_at": timestamp(started_at), **values}, self._fields)
            return
        client.record_later(
            lambda: {"started_at": timestamp(started_at), **values, **later()}, self._fields
        )

    def __enter__(self) -> Call:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.end(error)


def call(provider_name: str, request_model: str, operation_name: str = "chat") -> Call:
    """A context manager around a call: `with llmscope.call("acme", "m1") as call: ...`."""
    return Call(
        provider_name=provider_name, request_model=request_model, operation_name=operation_name
    )


def recorded(
    provider_name: str,
    request_model: str,
    operation_name: str = "chat",
    describe: Describe | None = None,
) -> Callable[[Function], Function]:
    """Record each call of a function, plain or async.

    Args:
        describe: Fields of the event from what the function returned.
    """
    start = functools.partial(call, provider_name, request_model, operation_name)

    def decorate(function: Function) -> Function:
        if inspect.iscoroutinefunction(function):

            @functools.wraps(function)
            async def awaited(*args: Any, **kwargs: Any) -> Any:
                with start() as going:
                    result = await function(*args, **kwargs)
                    _describe(going, describe, result)
                    return result

            return cast(Function, awaited)

        @functools.wraps(function)
        def called(*args: Any, **kwargs: Any) -> Any:
            with start() as going:
                result = function(*args, **kwargs)
                _describe(going, describe, result)
                return result

        return cast(Function, called)

    return decorate


def _describe(going: Call, describe: Describe | None, result: Any) -> None:
    client = _state.current()
    if describe is None or client is None:
        return
    try:
        going.set(**describe(result))
    except Exception as error:
        # The application's call succeeded, and goes on.
        client.losses.fail(error)


def failure_fields(error: BaseException | None) -> dict[str, Any]:
    """What an exception says of the failure: its status is the class, else its name."""
    if error is None:
        return {}
    status = _status_of(error)
    fields = {"error_type": _error_type(error), "error_message": str(error)}
    if status is not None:
        fields.update(error_type=str(status), http_status_code=cast(Any, status))
    return fields


def _status_of(error: BaseException) -> int | None:
    """The HTTP status, where libraries keep it in an error of theirs."""
    response = getattr(error, "response", None)
    # botocore's response is a dict, others' an object.
    about = response.get("ResponseMetadata", {}) if isinstance(response, dict) else {}
    told = (
        getattr(error, "status_code", None),
        getattr(error, "code", None),
        getattr(response, "status_code", None),
        about.get("HTTPStatusCode"),
    )
    return next((s for s in told if type(s) is int and 400 <= s <= 599), None)


def _error_type(error: BaseException) -> str:
    name = type(error).__name__
    if isinstance(error, TimeoutError) or "Timeout" in name:
        return "timeout"
    if name == "CancelledError" or isinstance(error, (GeneratorExit, KeyboardInterrupt)):
        return "cancelled"
    return name
