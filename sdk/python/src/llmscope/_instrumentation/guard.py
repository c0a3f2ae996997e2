"""An exception inside the SDK never reaches the application."""

from __future__ import annotations

from types import TracebackType

from llmscope import _state


class _Guard:
    """A class and no generator: it is entered twice in each call, and takes a quarter as long."""

    def __enter__(self) -> None:
        """Nothing to prepare."""

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool:
        if not isinstance(error, Exception):
            return False
        client = _state.current()
        if client is not None:
            client.losses.fail(error)
        return True


_GUARD = _Guard()


def guarded() -> _Guard:
    """Report what the block raises, once, instead of raising it."""
    return _GUARD
