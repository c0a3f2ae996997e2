"""Every error a client can get, as RFC 9457 problem details.

Problem
├── MalformedBodyError        400  the body is no JSON, or not in the encoding that it claims
├── UnauthorizedError         401  no key, or one that is unknown, expired or revoked
├── ForbiddenError            403  the key lacks the scope
├── NotFoundError             404  no such path
├── MethodNotAllowedError     405  the path answers to another method
├── BodyTooLargeError         413  more bytes or events than one request may carry
├── UnsupportedEncodingError  415  a Content-Encoding other than gzip, zstd and identity
├── RejectedEventsError       422  not one event was acceptable
├── BadParameterError         422  a query parameter is wrong
└── UnavailableError          503  the event was not stored: send it again after `Retry-After`
"""

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
    """

    status: int
    type: str
    title: str

    def __init__(
        self,
        detail: str,
        *,
        extra: dict[str, Any] | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.extra = extra or {}
        self.headers = headers or {}

    def body(self) -> dict[str, Any]:
        """The members of the problem document."""
        return {
            "type": PROBLEM_TYPE_PREFIX + self.type,
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
            **self.extra,
        }

    def response(self) -> Response:
        """The answer that carries the problem."""
        return Response(
            msgspec.json.encode(self.body()),
            status_code=self.status,
            media_type="application/problem+json",
            headers=self.headers,
        )


class MalformedBodyError(Problem):
    """The body is no JSON, or not in the encoding that it claims."""

    status, type, title = 400, "malformed-body", "The body cannot be read"


class UnauthorizedError(Problem):
    """No key, or one that is unknown, expired or revoked."""

    status, type, title = 401, "unauthorized", "A valid API key is needed"

    def __init__(self, detail: str) -> None:
        super().__init__(detail, headers={"WWW-Authenticate": "Bearer"})


class ForbiddenError(Problem):
    """The key lacks the scope."""

    status, type, title = 403, "forbidden", "The key lacks a scope"


class NotFoundError(Problem):
    """No such path."""

    status, type, title = 404, "not-found", "There is nothing at this path"


class MethodNotAllowedError(Problem):
    """The path answers to another method."""

    status, type, title = 405, "method-not-allowed", "The path answers to another method"


class BodyTooLargeError(Problem):
    """More bytes or events than one request may carry."""

    status, type, title = 413, "body-too-large", "The request is too large"


class UnsupportedEncodingError(Problem):
    """A Content-Encoding that is not understood."""

    status, type, title = 415, "unsupported-encoding", "The content encoding is not supported"

    def __init__(self, detail: str) -> None:
        super().__init__(detail, headers={"Accept-Encoding": "gzip, zstd, identity"})


class RejectedEventsError(Problem):
    """Not one event was acceptable."""

    status, type, title = 422, "rejected-events", "No event was accepted"


class BadParameterError(Problem):
    """A query parameter is wrong."""

    status, type, title = 422, "bad-parameter", "A query parameter is wrong"


class UnavailableError(Problem):
    """The event was not stored."""

    status, type, title = 503, "unavailable", "Not stored: send it again later"

    def __init__(self, detail: str, retry_after_seconds: int = 2) -> None:
        super().__init__(detail, headers={"Retry-After": str(retry_after_seconds)})


PROBLEMS: tuple[type[Problem], ...] = (
    MalformedBodyError,
    UnauthorizedError,
    ForbiddenError,
    NotFoundError,
    MethodNotAllowedError,
    BodyTooLargeError,
    UnsupportedEncodingError,
    RejectedEventsError,
    BadParameterError,
    UnavailableError,
)
