"""Every error of this package.

LLMScopeError
├── OptionError      `init` was given a value that cannot be used; the message says which and why
└── ReportedError    never raised: handed to `on_error`
    ├── LossError      events were lost, for the reason it names
    ├── HeldError      events cannot be sent for now and are kept
    └── InternalError  the SDK failed inside; the application's call was not touched
"""

from __future__ import annotations


class LLMScopeError(Exception):
    """The root: catches everything that this package raises."""


class OptionError(LLMScopeError, ValueError):
    """An option cannot be used.

    Attributes:
        option: Its name, as `init` takes it.
    """

    def __init__(self, option: str, reason: str) -> None:
        super().__init__(f"{option}: {reason}")
        self.option = option


class ReportedError(LLMScopeError):
    """What `on_error` is told; each reason once in the life of a process.

    Attributes:
        reason: One word of a fixed list, the key of `llmscope.losses()` for a loss.
        detail: What happened, in words.
    """

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


class LossError(ReportedError):
    """Events were lost.

    Attributes:
        count: How many, this first time; `llmscope.losses()` has the sum.
    """

    def __init__(self, reason: str, detail: str, count: int) -> None:
        super().__init__(reason, detail)
        self.count = count


class HeldError(ReportedError):
    """Events cannot be sent for now and are kept, on disk or in memory.

    Attributes:
        status: The HTTP status that the server answered, None where it did not.
    """

    def __init__(self, reason: str, detail: str, status: int | None = None) -> None:
        super().__init__(reason, detail)
        self.status = status


class InternalError(ReportedError):
    """The SDK failed inside. The application's call was not touched; its event may be missing."""
