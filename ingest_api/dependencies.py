"""What routes ask for, by type."""

from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Depends, Request, Security
from fastapi.security import APIKeyHeader, HTTPBearer
from psycopg_pool import AsyncConnectionPool

from ingest_api.analytics.answering import Analytics
from ingest_api.auth import ApiKey, KeyRing, Scope, presented_key
from ingest_api.errors import BadParameterError
from ingest_api.estimates import CostEstimates
from ingest_api.limits import Limiter
from ingest_api.live.feed import LiveFeed
from ingest_api.live.tokens import Tokens
from ingest_api.metrics import Metrics
from ingest_api.settings import Settings
from ingest_api.stream import AsyncClient, EventStreamWriter

# They document the two ways to present a key; `presented_key` reads it.
BEARER = HTTPBearer(
    scheme_name="bearer", auto_error=False, description="`Authorization: Bearer llms_...`"
)
KEY_HEADER = APIKeyHeader(
    name="X-API-Key", scheme_name="api_key", auto_error=False, description="`X-API-Key: llms_...`"
)


@dataclass(frozen=True)
class Services:
    """What one API process holds open."""

    settings: Settings
    client: AsyncClient
    pool: AsyncConnectionPool[Any]
    keys: KeyRing
    writer: EventStreamWriter
    limiter: Limiter
    metrics: Metrics
    estimates: CostEstimates
    analytics: Analytics
    feed: LiveFeed
    tokens: Tokens
    ingest_tokens: Tokens


def get_services(request: Request) -> Services:
    """The services that the lifespan opened."""
    services: Services = request.app.state.services
    return services


ServicesDep = Annotated[Services, Depends(get_services)]


class RequireKey:
    """Dependency that lets only keys with `scope` pass."""

    def __init__(self, scope: Scope) -> None:
        self.scope = scope

    async def __call__(
        self,
        request: Request,
        services: ServicesDep,
        _bearer: Annotated[object, Security(BEARER)],
        _key_header: Annotated[object, Security(KEY_HEADER)],
    ) -> ApiKey:
        """The key of this request.

        Raises:
            BadParameterError: the query has a parameter that the route does not know.
            Problem: as in `KeyRing.find`.
        """
        presented = presented_key(dict(request.scope["headers"]))
        key = await services.keys.find(presented, self.scope)
        refuse_unknown_parameters(request)
        return key


def refuse_unknown_parameters(request: Request) -> None:
    """Refuse a misspelt filter instead of ignoring it."""
    path = request.app.openapi()["paths"].get(request.scope["route"].path, {})
    parameters = path.get(request.method.lower(), {}).get("parameters", [])
    known = {parameter["name"] for parameter in parameters if parameter["in"] == "query"}
    if unknown := sorted(set(request.query_params) - known):
        words = f"is none of {', '.join(sorted(known))}" if known else "the path has no parameters"
        found = [{"field": name, "reason": words} for name in unknown]
        raise BadParameterError(f"{', '.join(unknown)}: {words}", extra={"errors": found})


IngestKeyDep = Annotated[ApiKey, Depends(RequireKey("ingest"))]
ReadKeyDep = Annotated[ApiKey, Depends(RequireKey("read"))]
AdminKeyDep = Annotated[ApiKey, Depends(RequireKey("admin"))]
