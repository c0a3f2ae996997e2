"""Is the process alive, and can it take events?"""

from typing import Literal

import psycopg
from fastapi import APIRouter
from psycopg_pool import PoolTimeout
from pydantic import BaseModel
from starlette.responses import JSONResponse

from ingest_api.dependencies import Services, ServicesDep
from ingest_api.openapi import RETRY_AFTER_HEADER, json_answer
from ingest_api.stream import StreamError, StreamStats, find_durability_gaps, read_stats

router = APIRouter(tags=["health"])

State = Literal["ok", "warning", "failed"]
RETRY_AFTER_SECONDS = 2
POSTGRES_TIMEOUT_SECONDS = 2.0


class Alive(BaseModel):
    """The process answers."""

    status: Literal["ok"]


class Check(BaseModel):
    """One finding of the readiness check."""

    name: str
    state: State
    detail: str


class Readiness(BaseModel):
    """`failed` as a whole where one check failed; warnings do not stop traffic."""

    status: State
    checks: list[Check]


FULL = {
    "status": "failed",
    "checks": [
        {"name": "redis", "state": "ok", "detail": "answers"},
        {"name": "stream_entries", "state": "failed", "detail": "200000 of 200000 entries"},
    ],
}
READY_ANSWERS = {
    **json_answer(
        {"status": "ok", "checks": [{"name": "redis", "state": "ok", "detail": "answers"}]}
    ),
    503: {
        "model": Readiness,
        "description": "Events cannot be taken now.",
        "headers": {"Retry-After": RETRY_AFTER_HEADER},
        "content": {"application/json": {"example": FULL}},
    },
}


@router.get(
    "/healthz", summary="Whether the process answers", responses=json_answer({"status": "ok"})
)
async def healthz() -> Alive:
    """200 while the process answers, whatever the state of Redis and Postgres. Needs no key."""
    return Alive(status="ok")


@router.get(
    "/readyz",
    summary="Whether events can be taken",
    response_model=Readiness,
    responses=READY_ANSWERS,
)
async def readyz(services: ServicesDep) -> JSONResponse:
    """200 where events can be taken, 503 where not; says which part is at fault. Needs no key.

    A silent loader and an absent Postgres are warnings: events are safe in the stream until they
    are back.
    """
    checks = [
        *await _check_redis(services),
        _check_keys(services),
        await _check_postgres(services),
    ]
    states = {check.state for check in checks}
    status: State = "failed" if "failed" in states else "warning" if "warning" in states else "ok"
    body = Readiness(status=status, checks=checks).model_dump()
    if status == "failed":
        return JSONResponse(body, 503, headers={"Retry-After": str(RETRY_AFTER_SECONDS)})
    return JSONResponse(body)


async def _check_redis(services: Services) -> list[Check]:
    try:
        gaps = await find_durability_gaps(services.client)
        stream = await read_stats(services.client, services.settings.stream_shards)
    except StreamError as error:
        services.metrics.count_redis_error()
        return [Check(name="redis", state="failed", detail=str(error))]
    return [
        Check(name="redis", state="ok", detail="answers"),
        _check_durability(services, gaps),
        *_check_caps(services, stream),
        Check(
            name="loader",
            state="ok" if stream.is_loader_alive else "warning",
            detail="at work" if stream.is_loader_alive else "not heard of for a minute",
        ),
    ]


def _check_durability(services: Services, gaps: list[str]) -> Check:
    state: State = "failed" if services.settings.durability == "require" else "warning"
    return Check(
        name="redis_durable",
        state=state if gaps else "ok",
        detail="; ".join(gaps) or "fsync on each write",
    )


def _check_caps(services: Services, stream: StreamStats) -> list[Check]:
    """The caps above which the writer refuses events."""
    settings = services.settings
    max_entries = settings.max_stream_entries * settings.stream_shards
    max_bytes = settings.max_redis_memory_bytes
    return [
        Check(
            name="stream_entries",
            state="failed" if stream.lag_entry_count >= max_entries else "ok",
            detail=f"{stream.lag_entry_count} of {max_entries} entries",
        ),
        Check(
            name="redis_memory",
            state="failed" if stream.used_memory_bytes >= max_bytes else "ok",
            detail=f"{stream.used_memory_bytes} of {max_bytes} bytes",
        ),
    ]


def _check_keys(services: Services) -> Check:
    is_known = services.keys.is_known
    return Check(
        name="keys",
        state="ok" if is_known else "failed",
        detail="known" if is_known else "neither Postgres nor Redis has told them yet",
    )


async def _check_postgres(services: Services) -> Check:
    try:
        async with services.pool.connection(timeout=POSTGRES_TIMEOUT_SECONDS) as connection:
            await connection.execute("select 1")
    except (psycopg.Error, PoolTimeout) as error:
        words = f"{type(error).__name__}: events wait in the stream"
        return Check(name="postgres", state="warning", detail=words)
    return Check(name="postgres", state="ok", detail="answers")
