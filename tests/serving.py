"""Serves the API in the test's own process."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx

from ingest_api.app import create_app
from ingest_api.settings import Settings


@asynccontextmanager
async def serving(settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the API, which runs until the context ends."""
    app = create_app(settings)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client,
    ):
        yield client
