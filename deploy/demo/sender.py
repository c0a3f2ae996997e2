"""Batches of events through the API's door, with the patience that it asks for."""

from __future__ import annotations

import gzip
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import httpx
import msgspec

from deploy.demo.errors import DemoError
from ingest_api.events import Event

BATCH_PATH: Final = "/api/v1/events/ingest/batch"
TIMEOUT_SECONDS: Final = 30.0
# Where the API names no time itself; together a minute, in which a restart is over.
RETRY_SECONDS: Final = (1.0, 2.0, 4.0, 8.0, 15.0, 30.0)
RETRYABLE_STATUS: Final = frozenset({408, 429, 502, 503, 504})
NOT_UP: Final = "The API does not answer at {}: start it with `make up`, or name it by --api-url."


class Answer(NamedTuple):
    """What one attempt came to.

    Attributes:
        accepted_count: Events that are durable now.
        problem: Why some are not, in the API's words; empty on success.
        is_retryable: Whether the same batch may be sent again.
        retry_after_seconds: How long the API asks to wait, None where it does not say.
    """

    accepted_count: int = 0
    problem: str = ""
    is_retryable: bool = False
    retry_after_seconds: float | None = None


@dataclass
class Sender:
    """Sends as one project. `client` carries the base URL and the key."""

    client: httpx.Client
    sleep: Callable[[float], None] = time.sleep

    def send(self, events: Sequence[Event]) -> int:
        """How many events were accepted. Waits and repeats where the API asks for it.

        Raises:
            DemoError: the API refuses the batch, or takes none for longer than `RETRY_SECONDS`.
        """
        body = gzip.compress(msgspec.json.encode(events))
        for seconds in (*RETRY_SECONDS, None):
            answer = self._attempt(body)
            if not answer.problem:
                return answer.accepted_count
            if not answer.is_retryable or seconds is None:
                raise DemoError(answer.problem)
            self.sleep(answer.retry_after_seconds or seconds)
        raise AssertionError("the last attempt returns or raises")

    def _attempt(self, body: bytes) -> Answer:
        headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
        try:
            response = self.client.post(BATCH_PATH, content=body, headers=headers)
        except httpx.TransportError:
            return Answer(problem=NOT_UP.format(self.client.base_url), is_retryable=True)
        return read_answer(response)


def require_api(api_url: str) -> None:
    """Raise `DemoError` where nothing answers: at once, not after retries."""
    try:
        httpx.get(f"{api_url}/healthz", timeout=TIMEOUT_SECONDS, trust_env=False).raise_for_status()
    except (httpx.HTTPError, httpx.InvalidURL):
        raise DemoError(NOT_UP.format(api_url)) from None


def open_client(api_url: str, key: str) -> httpx.Client:
    """A client with one kept-open connection. Proxies of the environment are not for loopback."""
    return httpx.Client(
        base_url=api_url,
        headers={"Authorization": f"Bearer {key}"},
        timeout=TIMEOUT_SECONDS,
        trust_env=False,
    )


def read_answer(response: httpx.Response) -> Answer:
    """One answer of the batch route, without raising."""
    if response.status_code != 202:
        return Answer(
            problem=f"The API answered {response.status_code}: {_detail(response)}",
            is_retryable=response.status_code in RETRYABLE_STATUS,
            retry_after_seconds=_retry_after(response),
        )
    content = response.json()
    rejected = content["rejected"]
    problem = (
        f"The API rejected {rejected[0]['field']}: {rejected[0]['reason']}" if rejected else ""
    )
    return Answer(len(content["accepted"]), problem)


def _detail(response: httpx.Response) -> str:
    try:
        return str(response.json()["detail"])
    except (ValueError, KeyError, TypeError):
        return response.reason_phrase


def _retry_after(response: httpx.Response) -> float | None:
    value = response.headers.get("retry-after", "")
    return float(value) if value.isdecimal() else None
