"""Pure: what the platform has to say about a check or a run, as the JSON of a webhook.

    kind              check_failed, check_resolved or run_failed
    idempotency_key   the same in every attempt to deliver this message; also sent as a header
    severity          error or warn
    occurred_at       RFC 3339, UTC
    url               the page of the Dagster UI to look at
    run_id            the run behind it; null for what a sensor found
    description       what it means
    asset, check      null for runs
    job               null for checks
    counts            the figures of the check
    sample_ids        ids of some offending rows

Counts and ids only: a message leaves the house, so it carries no content of any event.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal
from urllib.parse import quote, urlencode

Kind = Literal["check_failed", "check_resolved", "run_failed"]


@dataclass(frozen=True)
class Evaluation:
    """One evaluation of a check, as the event log holds it.

    Attributes:
        storage_id: Its place in the event log, which only grows.
        asset: Asset key with slashes: raw/llm_events.
        timestamp: Seconds since 1970.
    """

    storage_id: int
    asset: str
    check: str
    is_passed: bool
    severity: str
    timestamp: float
    run_id: str | None = None
    description: str = ""
    counts: Mapping[str, float] = field(default_factory=dict)
    sample_ids: tuple[str, ...] = ()

    @property
    def check_key(self) -> str:
        """Name of the check that is unique on the platform."""
        return f"{self.asset}:{self.check}"


@dataclass(frozen=True)
class RunFailure:
    """The end of a run that failed."""

    storage_id: int
    job: str
    run_id: str
    timestamp: float
    description: str


@dataclass(frozen=True)
class Message:
    """What is sent; the module says what each field means."""

    kind: Kind
    idempotency_key: str
    severity: str
    occurred_at: str
    url: str
    run_id: str | None
    description: str
    asset: str | None = None
    check: str | None = None
    job: str | None = None
    counts: Mapping[str, float] = field(default_factory=dict)
    sample_ids: tuple[str, ...] = ()

    def payload(self) -> dict[str, Any]:
        """The body of the request."""
        return asdict(self)


def check_message(evaluation: Evaluation, dagster_url: str) -> Message:
    """A check that has begun to fail, or that passes again."""
    kind: Kind = "check_resolved" if evaluation.is_passed else "check_failed"
    view = urlencode({"view": "checks", "checkDetail": evaluation.check})
    return Message(
        kind=kind,
        idempotency_key=f"{kind}/{evaluation.check_key}/{evaluation.storage_id}",
        severity=evaluation.severity,
        occurred_at=_rfc3339(evaluation.timestamp),
        url=f"{dagster_url.rstrip('/')}/assets/{quote(evaluation.asset)}?{view}",
        run_id=evaluation.run_id,
        description=evaluation.description,
        asset=evaluation.asset,
        check=evaluation.check,
        counts=evaluation.counts,
        sample_ids=evaluation.sample_ids,
    )


def run_message(failure: RunFailure, dagster_url: str) -> Message:
    """A run that failed."""
    return Message(
        kind="run_failed",
        idempotency_key=f"run_failed/{failure.run_id}",
        severity="error",
        occurred_at=_rfc3339(failure.timestamp),
        url=f"{dagster_url.rstrip('/')}/runs/{failure.run_id}",
        run_id=failure.run_id,
        description=failure.description,
        job=failure.job,
    )


def _rfc3339(timestamp: float) -> str:
    return datetime.fromtimestamp(timestamp, UTC).isoformat(timespec="milliseconds")
