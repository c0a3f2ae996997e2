"""One POST to one receiver, over a connection that goes where the policy lets it, and in time."""

import ssl
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import httpcore

from ingest_api.notifying.networks import TargetError, TargetPolicy
from orchestration.alerting.outcomes import Outcome, http_outcome
from orchestration.alerting.requests import HttpRequest

# What of an answer is read: enough for a word that tells why.
MAX_ANSWER_BYTES: Final = 2048
MAX_ADDRESSES: Final = 3
# An address that does not answer leaves time for the next.
CONNECT_SECONDS: Final = 4.0
# The receiver may have got these before the connection was lost.
AMBIGUOUS: Final = (
    httpcore.ReadTimeout,
    httpcore.ReadError,
    httpcore.WriteTimeout,
    httpcore.WriteError,
    httpcore.RemoteProtocolError,
)
HTTP_ERRORS: Final = (
    httpcore.NetworkError,
    httpcore.TimeoutException,
    httpcore.ProtocolError,
    httpcore.UnsupportedProtocol,
)


@dataclass(frozen=True)
class Deadline:
    """The moment at which an attempt is over, however slowly the receiver drips."""

    at: float
    monotonic: Callable[[], float]

    def cap(self, timeout: float | None) -> float:
        """What is left of it, and no more than `timeout`; above 0."""
        left = max(self.at - self.monotonic(), 0.001)
        return left if timeout is None else min(timeout, left)


class GuardedBackend(httpcore.NetworkBackend):
    """Connects to addresses that the policy has judged, under the URL's own name."""

    def __init__(self, policy: TargetPolicy, deadline: Deadline, *, is_encrypted: bool) -> None:
        """Args:
        policy: Which addresses may be reached.
        deadline: Of all reads and writes together.
        is_encrypted: Whether TLS follows.
        """
        self._policy = policy
        self._deadline = deadline
        self._is_encrypted = is_encrypted
        self._inner = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,  # noqa: ARG002 - the pool sets none
        socket_options: Iterable[Any] | None = None,  # noqa: ARG002 - the pool sets none
    ) -> httpcore.NetworkStream:
        """A connection to the first address that answers.

        Raises:
            TargetError: no address of the host may be reached.
        """
        found = self._policy.addresses(host, port, is_encrypted=self._is_encrypted)
        limit = min(CONNECT_SECONDS, self._deadline.cap(timeout))
        return self._connect_first(found[:MAX_ADDRESSES], port, limit)

    def _connect_first(
        self, addresses: list[str], port: int, timeout: float
    ) -> httpcore.NetworkStream:
        *others, last = addresses
        for address in others:
            try:
                return self._connect(address, port, timeout)
            except (httpcore.ConnectError, httpcore.ConnectTimeout):
                continue
        return self._connect(last, port, timeout)

    def _connect(self, address: str, port: int, timeout: float) -> httpcore.NetworkStream:
        limit = self._deadline.cap(timeout)
        return TimedStream(self._inner.connect_tcp(address, port, limit), self._deadline)


class TimedStream(httpcore.NetworkStream):
    """A connection whose every wait ends with the deadline."""

    def __init__(self, inner: httpcore.NetworkStream, deadline: Deadline) -> None:
        """Args:
        inner: The connection.
        deadline: Of the attempt.
        """
        self._inner = inner
        self._deadline = deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Bytes as they come."""
        return self._inner.read(max_bytes, self._deadline.cap(timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Send all of them."""
        self._inner.write(buffer, self._deadline.cap(timeout))

    def close(self) -> None:
        """End the connection."""
        self._inner.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.NetworkStream:
        """The same connection, encrypted."""
        limit = self._deadline.cap(timeout)
        return TimedStream(
            self._inner.start_tls(ssl_context, server_hostname, limit), self._deadline
        )

    def get_extra_info(self, info: str) -> Any:
        """What the connection tells of itself."""
        return self._inner.get_extra_info(info)


def post(
    request: HttpRequest,
    policy: TargetPolicy,
    deadline: Deadline,
    now: datetime,
    tls: ssl.SSLContext,
) -> Outcome:
    """One attempt; whatever happens is an outcome. Redirects and proxies are not followed."""
    backend = GuardedBackend(
        policy, deadline, is_encrypted=request.url.lower().startswith("https:")
    )
    limits = dict.fromkeys(("connect", "read", "write", "pool"), deadline.cap(None))
    try:
        with (
            httpcore.ConnectionPool(ssl_context=tls, network_backend=backend) as pool,
            pool.stream(
                "POST",
                request.url,
                headers=list(request.headers.items()),
                content=request.body,
                extensions={"timeout": limits},
            ) as response,
        ):
            headers = {
                name.decode("latin-1").lower(): value.decode("latin-1")
                for name, value in response.headers
            }
            return http_outcome(response.status, headers, _start_of(response), now)
    except TargetError as error:
        return Outcome(str(error))
    except HTTP_ERRORS as error:
        return Outcome(error_words(error), may_have_arrived=isinstance(error, AMBIGUOUS))


def error_words(error: BaseException) -> str:
    """What went wrong on the way, without an address: ConnectError (CERTIFICATE_VERIFY_FAILED)."""
    cause = error if isinstance(error, ssl.SSLError) else error.__cause__ or error.__context__
    reason = f" ({cause.reason})" if isinstance(cause, ssl.SSLError) else ""
    return f"{type(error).__name__}{reason}"


def _start_of(response: httpcore.Response) -> bytes:
    """The first bytes of the body; the answer counts without them too."""
    body = b""
    try:
        for part in response.iter_stream():
            body += part
            if len(body) >= MAX_ANSWER_BYTES:
                break
    except HTTP_ERRORS:
        return b""
    return body
