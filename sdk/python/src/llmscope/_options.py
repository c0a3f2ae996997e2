"""The options of `init`: argument, then environment, then default."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Callable, Optional, Union
from urllib.parse import urlsplit

from llmscope._errors import OptionError, ReportedError

Event = dict[str, Any]
# An event, or what makes it.
Draft = Union[Event, Callable[[], Event]]
Redact = Callable[[Event], Optional[Event]]
OnError = Callable[[ReportedError], None]

# What the server takes in one request.
MAX_BATCH_EVENTS = 1_000
MAX_BATCH_BYTES = 5 * 2**20
WHEN_FULL = ("drop_newest", "drop_oldest")
_WORDS = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}


def _option(default: Any, about: str, unit: str = "", lowest: float = 0, highest: float = 0) -> Any:
    metadata = {"about": about, "unit": unit, "lowest": lowest, "highest": highest}
    return field(default=default, metadata=metadata)


@dataclass(frozen=True)
class Options:
    """What `init` takes. README.md holds the table; a test compares the two."""

    api_key: str = _option("", "Key with the scope `ingest`. Required.")
    url: str = _option("http://127.0.0.1:8400", "Address of LLMScope.", "URL")
    environment: str = _option("", "Deployment environment of each event, such as `production`.")
    service_name: str = _option("", "The application that makes the calls.")
    is_enabled: bool = _option(True, "Whether anything is recorded at all.")
    flush_at: int = _option(
        100, "A batch is sent once so many events wait.", "events", 1, MAX_BATCH_EVENTS
    )
    flush_interval_seconds: float = _option(
        0.5, "The longest that an event waits for its batch.", "seconds", 0.01, 3600
    )
    max_batch_bytes: int = _option(
        2**20, "A batch holds at most so many bytes of JSON.", "bytes", 2**10, MAX_BATCH_BYTES
    )
    max_queue_size: int = _option(
        10_000, "Events held in memory; see `when_full`.", "events", 1, 10_000_000
    )
    when_full: str = _option(
        "drop_newest", "Which event is lost when the queue is full: `drop_newest`, `drop_oldest`."
    )
    max_retries: int = _option(
        5, "Retries of a batch that may be at fault itself. Outages are retried until they end.",
        "retries", 0, 100,
    )  # fmt: skip
    timeout_seconds: float = _option(
        10.0, "How long one request may wait for the server.", "seconds", 0.1, 600
    )
    shutdown_timeout_seconds: float = _option(
        5.0, "How long the end of the process may wait for the last events.", "seconds", 0, 600
    )
    spool_directory: str = _option(
        "~/.local/state/llmscope/spool", "Where events wait out an outage; `off` for memory only."
    )
    max_spool_bytes: int = _option(
        64 * 2**20, "The spool's size; further events are lost.", "bytes", 2**16, 2**40
    )
    capture_content: bool = _option(False, "Whether prompts and completions are recorded.")
    asks_for_stream_usage: bool = _option(
        True, "Whether OpenAI's streams are asked for `stream_options.include_usage`."
    )
    redact: Redact | None = _option(
        None, "Takes each event before it leaves the process; returns it, changed, or None."
    )
    on_error: OnError | None = _option(
        None, "Is told of each reason of loss or trouble, once. Default: a line in the log."
    )

    @property
    def spool_path(self) -> Path | None:
        """Where the spool lies, None where it is off."""
        if self.spool_directory.lower() in ("off", ""):
            return None
        return Path(self.spool_directory).expanduser()


def resolve(arguments: Mapping[str, Any], environment: Mapping[str, str] = os.environ) -> Options:
    """The options that hold; an argument of None counts as left out.

    Raises:
        OptionError: one cannot be used.
    """
    values: dict[str, Any] = {}
    for option in fields(Options):
        value = arguments.get(option.name)
        if value is None and option.default is not None:
            value = environment.get(variable_of(option.name))
        if value is not None and value != "":
            values[option.name] = _typed(option.name, value, option.default, option.metadata)
    options = Options(**values)
    _check(options)
    return options


def variable_of(option: str) -> str:
    """The environment variable of an option; functions have none."""
    return f"LLMSCOPE_{option.upper()}"


def _typed(name: str, value: Any, default: Any, limits: Mapping[str, Any]) -> Any:
    if default is None:
        if not callable(value):
            raise OptionError(name, "must be a function")
        return value
    if isinstance(default, bool):
        return _truth(name, value)
    if isinstance(default, str):
        return str(value).strip()
    return _number(name, value, type(default), limits)


def _truth(name: str, value: Any) -> bool:
    word = str(value).strip().lower()
    if word not in _WORDS:
        raise OptionError(name, f"must be true or false, is {value!r} ({variable_of(name)})")
    return _WORDS[word]


def _number(name: str, value: Any, kind: type, limits: Mapping[str, Any]) -> Any:
    lowest, highest = limits["lowest"], limits["highest"]
    try:
        number = kind(value)
    except (TypeError, ValueError):
        number = None
    if number is None or not lowest <= number <= highest:
        unit = limits["unit"]
        raise OptionError(
            name, f"must be {lowest:g} to {highest:g} {unit}, is {value!r} ({variable_of(name)})"
        )
    return number


def _check(options: Options) -> None:
    if options.when_full not in WHEN_FULL:
        raise OptionError("when_full", f"must be one of {', '.join(WHEN_FULL)}")
    url = urlsplit(options.url)
    if url.scheme not in ("http", "https") or not url.hostname:
        raise OptionError("url", f"must be an address like https://host, is {options.url!r}")
    if options.is_enabled and not options.api_key:
        raise OptionError(
            "api_key", "is missing: set LLMSCOPE_API_KEY, or LLMSCOPE_IS_ENABLED=false"
        )
