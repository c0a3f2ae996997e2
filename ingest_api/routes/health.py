"""Is the process alive, and can it take events?"""

from typing import Literal

from fastapi import APIRouter
from pydantic import BaseModel
from starlette.responses import JSONResponse

from ingest_api.dependencies import Services, ServicesDep
from ingest_api.stream import StreamError, find_durability_gaps, read_stats

router = APIRouter(tags=["health"])

State = Literal["ok", "warning", "failed"]


class Check(BaseModel):
    """One finding of the readiness check."""

    name: str
    state: State
    detail: str


class Readiness(BaseModel):
    """`failed` as a whole where one check failed; warnings do not stop traffic."""

    status: State
    checks: list[Check]


@router.get("/healthz")
async def healthz() -> dict[str, str]:
    """200 while the process answers."""
    return {"status": "ok"}


@router.get("/readyz", response_model=Readiness, responses={503: {"model": Readiness}})
async def readyz(services: ServicesDep) -> JSONResponse:
    """200 where events can be taken, 503 where not; says which part is at fault.

    A silent loader is a warning: events are safe in the stream until it is back.
    """
    checks = await _checks(services)
    states = {check.state for check in checks}
    status: State = "failed" if "failed" in states else "warning" if "warning" in states else "ok"
    answer = Readiness(status=status, checks=checks)
    return JSONResponse(answer.model_dump(), status_code=503 if status == "failed" else 200)


async def _checks(services: Services) -> list[Check]:
    settings = services.settings
    try:
        gaps = await find_durability_gaps(services.client)
        stream = await read_stats(services.client)
    except StreamError as error:
        return [Check(name="redis", state="failed", detail=str(error))]
    gap_state: State = "failed" if settings.durability == "require" else "warning"
    is_full = stream.entry_count >= settings.max_stream_entries
    return [
        Check(name="redis", state="ok", detail="answers"),
        Check(
            name="redis_durable",
            state=gap_state if gaps else "ok",
            detail="; ".join(gaps) or "fsync on each write",
        ),
        Check(
            name="stream",
            state="failed" if is_full else "ok",
            detail=f"{stream.entry_count} of {settings.max_stream_entries} entries",
        ),
        Check(
            name="loader",
            state="ok" if stream.is_loader_alive else "warning",
            detail="at work" if stream.is_loader_alive else "not heard of for a minute",
        ),
    ]
