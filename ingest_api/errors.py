"""Every error a client can get, as RFC 9457 problem details.

Problem
├── MalformedBodyError        400  the body is no JSON, or not in the encoding that it claims
├── UnauthorizedError         401  no key, or one that is unknown, expired or revoked
├── ForbiddenError            403  the key lacks the scope
├── NotFoundError             404  no such path
├── MethodNotAllowedError     405  the path answers to another method
├── NotAcceptableError        406  the answer has a form that the client does not take
├── BodyTooLargeError         413  more bytes or events than one request may carry
├── UnsupportedEncodingError  415  a Content-Encoding other than gzip, zstd and identity
├── RejectedEventsError       422  not one event was acceptable
├── BadParameterError         422  a parameter of the query or the body is wrong
├── LimitExceededError        422  a question asks for more than one answer may hold
├── RateLimitedError          429  the key sends faster than it may
├── QuotaExceededError        429  the project has had its events of this day
├── InternalError             500  a fault of the server; the request id finds it in the log
├── UnavailableError          503  the event was not stored: send it again after `Retry-After`
└── QueryTimeoutError         504  a question took too long: ask for less
"""

from collections.abc import Mapping
from typing import Any

import msgspec
from starlette.responses import Response

PROBLEM_TYPE_PREFIX = "https://llmscope.dev/problems/"


class Problem(Exception):  # noqa: N818 - the name RFC 9457 gives it
    """An error with a status, a stable type and a way to mend it.

    Attributes:
        detail: What is wrong and what to do, in a sentence.
        extra: Further members of the answer, such as `errors`.
        headers: Headers of the answer, such as `Retry-After`.
        example: A `detail` for the documents.
    """

    status: int
    type: str
    title: str
    example: str

    def __init__(
        self,
        detail: str,
        *,
        extra: dict[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.extra = extra or {}
        self.headers = headers or {}

    def body(self, request_id: str) -> dict[str, Any]:
        """The members of the problem document."""
        return {
            "type": PROBLEM_TYPE_PREFIX + self.type,
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
            "request_id": request_id,
            **self.extra,
        }

    def response(self, request_id: str) -> Response:
        """The answer that carries the problem."""
        return Response(
            msgspec.json.encode(self.body(request_id)),
            status_code=self.status,
            media_type="application/problem+json",
            headers=self.headers,
        )


class MalformedBodyError(Problem):
    """The body is no JSON, or not in the encoding that it claims."""

    status, type, title = 400, "malformed-body", "The body cannot be read"
    example = "The body is not valid JSON: JSON is malformed: expected '}' (byte 41)"


class UnauthorizedError(Problem):
    """No key, or one that is unknown, expired or revoked."""

    status, type, title = 401, "unauthorized", "A valid API key is needed"
    example = "The API key is unknown, expired or revoked."

    def __init__(self, detail: str) -> None:
        super().__init__(detail, headers={"WWW-Authenticate": "Bearer"})


class ForbiddenError(Problem):
    """The key lacks the scope."""

    status, type, title = 403, "forbidden", "The key lacks a scope"
    example = "The API key lacks the scope `ingest`."


class NotFoundError(Problem):
    """No such path."""

    status, type, title = 404, "not-found", "There is nothing at this path"
    example = "See /docs for the paths and their methods."


class MethodNotAllowedError(Problem):
    """The path answers to another method."""

    status, type, title = 405, "method-not-allowed", "The path answers to another method"
    example = "This path answers to POST."


class NotAcceptableError(Problem):
    """The answer has a form that the client does not take."""

    status, type, title = 406, "not-acceptable", "The answer has another form"
    example = "Send `Accept: text/event-stream`, or connect as a WebSocket."


class BodyTooLargeError(Problem):
    """More bytes or events than one request may carry."""

    status, type, title = 413, "body-too-large", "The request is too large"
    example = "The request has 1200 events and may have 1000: send several requests."


class UnsupportedEncodingError(Problem):
    """A Content-Encoding that is not understood."""

    status, type, title = 415, "unsupported-encoding", "The content encoding is not supported"
    example = "Send the body as gzip, zstd or identity."

    def __init__(self, detail: str) -> None:
        super().__init__(detail, headers={"Accept-Encoding": "gzip, zstd, identity"})


class RejectedEventsError(Problem):
    """Not one event was acceptable."""

    status, type, title = 422, "rejected-events", "No event was accepted"
    example = "No event was accepted: mend each as `rejected` says."


class BadParameterError(Problem):
    """A parameter of the query or the body is wrong."""

    status, type, title = 422, "bad-parameter", "A parameter is wrong"
    example = "limit: Input should be less than or equal to 500"


class LimitExceededError(Problem):
    """A question asks for more than one answer may hold; `limit` names which."""

    status, type, title = 422, "limit-exceeded", "The question asks for too much"
    example = (
        "max_points: the question asks for 23,760 of at most 10,000: "
        "ask for a coarser interval, a shorter period, or a smaller `limit`."
    )


class RateLimitedError(Problem):
    """The key sends faster than it may."""

    status, type, title = 429, "rate-limited", "The key sends too fast"
    example = "The key may send 100 events per second: send again after `Retry-After` seconds."


class QuotaExceededError(Problem):
    """The project has had its events of this day."""

    status, type, title = 429, "quota-exceeded", "The project's daily quota is used up"
    example = "The project may send 100000 events per UTC day: send again tomorrow."


class InternalError(Problem):
    """A fault of the server; the request id finds it in the log."""

    status, type, title = 500, "internal-error", "The server failed"
    example = "Report `request_id` to the operator; send the events again with the same ids."


class UnavailableError(Problem):
    """Redis or the database is away or full; an event was not stored."""

    status, type, title = 503, "unavailable", "Not available: try again later"
    example = "The event buffer: 200000 entries wait to be loaded"

    def __init__(self, detail: str, retry_after_seconds: int = 2) -> None:
        super().__init__(detail, headers={"Retry-After": str(retry_after_seconds)})


class QueryTimeoutError(Problem):
    """A question took longer than LLMSCOPE_QUERY_TIMEOUT_SECONDS."""

    status, type, title = 504, "query-timeout", "The question took too long"
    example = "The question took longer than 10 s: shorten the period, or group by less."


PROBLEMS: tuple[type[Problem], ...] = (
    MalformedBodyError,
    UnauthorizedError,
    ForbiddenError,
    NotFoundError,
    MethodNotAllowedError,
    NotAcceptableError,
    BodyTooLargeError,
    UnsupportedEncodingError,
    RejectedEventsError,
    BadParameterError,
    LimitExceededError,
    RateLimitedError,
    QuotaExceededError,
    InternalError,
    UnavailableError,
    QueryTimeoutError,
)
