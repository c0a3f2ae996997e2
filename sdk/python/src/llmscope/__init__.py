"""Records every model call in your LLMScope ledger, and loses none on the way.

import llmscope

llmscope.init(api_key="llms_...")
llmscope.instrument()
"""

from llmscope._calls import Call, call, record, recorded
from llmscope._context import context
from llmscope._errors import (
    HeldError,
    InternalError,
    LLMScopeError,
    LossError,
    OptionError,
    ReportedError,
)
from llmscope._instrumentation import instrument, uninstrument, wrap
from llmscope._state import flush, init, losses, shutdown
from llmscope._version import __version__

__all__ = [
    "Call",
    "HeldError",
    "InternalError",
    "LLMScopeError",
    "LossError",
    "OptionError",
    "ReportedError",
    "__version__",
    "call",
    "context",
    "flush",
    "init",
    "instrument",
    "losses",
    "record",
    "recorded",
    "shutdown",
    "uninstrument",
    "wrap",
]
