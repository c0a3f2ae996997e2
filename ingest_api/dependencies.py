"""What routes ask for, by type."""

from dataclasses import dataclass
from typing import Annotated, Any

import redis.asyncio
from fastapi import Depends, Request
from psycopg_pool import AsyncConnectionPool

from ingest_api.auth import ApiKey, KeyRing, Scope, presented_key
from ingest_api.settings import Settings
from ingest_api.stream import EventStreamWriter


@dataclass(frozen=True)
class Services:
    """What one API process holds open."""

    settings: Settings
    client: redis.asyncio.Redis
    pool: AsyncConnectionPool[Any]
    keys: KeyRing
    writer: EventStreamWriter


def get_services(request: Request) -> Services:
    """The services that the lifespan opened."""
    services: Services = request.app.state.services
    return services


ServicesDep = Annotated[Services, Depends(get_services)]


class RequireKey:
    """Dependency that lets only keys with `scope` pass."""

    def __init__(self, scope: Scope) -> None:
        self.scope = scope

    async def __call__(self, request: Request, services: ServicesDep) -> ApiKey:
        """The key of this request; errors as in `KeyRing.find`."""
        return await services.keys.find(presented_key(request.headers), self.scope)


IngestKeyDep = Annotated[ApiKey, Depends(RequireKey("ingest"))]
ReadKeyDep = Annotated[ApiKey, Depends(RequireKey("read"))]
