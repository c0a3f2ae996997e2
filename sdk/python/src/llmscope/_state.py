"""The client that `init` made, for everything that records."""

from __future__ import annotations

import threading

from llmscope._client import Client
from llmscope._losses import LOGGER
from llmscope._options import OnError, Redact, resolve

_client: Client | None = None
_warned = threading.Event()


def init(
    *,
    api_key: str | None = None,
    url: str | None = None,
    environment: str | None = None,
    service_name: str | None = None,
    is_enabled: bool | None = None,
    flush_at: int | None = None,
    flush_interval_seconds: float | None = None,
    max_batch_bytes: int | None = None,
    max_queue_size: int | None = None,
    when_full: str | None = None,
    max_retries: int | None = None,
    timeout_seconds: float | None = None,
    shutdown_timeout_seconds: float | None = None,
    spool_directory: str | None = None,
    max_spool_bytes: int | None = None,
    capture_content: bool | None = None,
    asks_for_stream_usage: bool | None = None,
    redact: Redact | None = None,
    on_error: OnError | None = None,
) -> None:
    """Start recording, or start again with other options. See README.md for each of them.

    What is left out is read from the environment (`LLMSCOPE_API_KEY` ...), else has its default.

    Raises:
        OptionError: an option cannot be used; the message says why.
    """
    arguments = locals()
    global _client
    client = Client(resolve(arguments))
    previous, _client = _client, client
    if previous is not None:
        previous.shutdown()


def current() -> Client | None:
    """The client, None before `init` and where recording is off; says so once."""
    if _client is None and not _warned.is_set():
        _warned.set()
        LOGGER.warning("nothing is recorded before llmscope.init()")
    return _client if _client is not None and _client.options.is_enabled else None


def flush(timeout_seconds: float | None = None) -> bool:
    """Whether every event was delivered within the time, by default `timeout_seconds`.

    False tells of an outage, not of a loss: what was not sent waits on disk or in memory.
    """
    return _client is None or _client.flush(timeout_seconds)


def shutdown(timeout_seconds: float | None = None) -> None:
    """Send what waits within the time, by default `shutdown_timeout_seconds`; store the rest.

    Also happens at the end of the process. `init` starts anew.
    """
    global _client
    previous, _client = _client, None
    if previous is not None:
        previous.shutdown(timeout_seconds)


def losses() -> dict[str, int]:
    """Events lost in this process since `init`, by reason."""
    return {} if _client is None else _client.losses.counts()
