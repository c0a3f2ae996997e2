"""What routes that read a body and ask the database share."""

from collections.abc import Callable
from typing import Final, TypeVar

import msgspec
import psycopg
from fastapi import Request
from starlette.concurrency import run_in_threadpool

from ingest_api import errors
from ingest_api.body import read_body
from ingest_api.dependencies import Services

CONNECT_SECONDS: Final = 2

Wanted = TypeVar("Wanted")
Found = TypeVar("Found")


async def read_struct(request: Request, services: Services, kind: type[Wanted]) -> Wanted:
    """The request's body as `kind`, bounded like any other.

    Raises:
        MalformedBodyError: it is no JSON.
        BadParameterError: it does not fit; the message names the field.
    """
    headers = dict(request.scope["headers"])
    body = await read_body(request.receive, headers, services.settings.max_body_bytes)
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.ValidationError as error:
        raise errors.BadParameterError(f"The body does not fit: {error}") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise errors.MalformedBodyError(f"The body is not valid JSON: {error}") from None


async def with_database(services: Services, work: Callable[[psycopg.Connection], Found]) -> Found:
    """What `work` gives, done beside the event loop on a connection of its own.

    Raises:
        UnavailableError: the database is away.
    """

    def run() -> Found:
        url = services.settings.database_url
        with psycopg.connect(url, connect_timeout=CONNECT_SECONDS, autocommit=True) as connection:
            return work(connection)

    try:
        return await run_in_threadpool(run)
    except psycopg.OperationalError as error:
        raise errors.UnavailableError("The database is away; ingestion goes on.") from error
