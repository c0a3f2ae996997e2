"""API keys: how they are made, and how the API knows them without waiting for Postgres.

Every process holds all valid keys in memory, as hashes, and reads them anew every few seconds.
A copy lies in Redis, so that an API that starts while Postgres is away knows them too.
"""

import asyncio
import hashlib
import logging
import secrets
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from time import monotonic
from typing import Any, Final, Literal
from uuid import UUID

import msgspec
import psycopg
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from ingest_api.errors import ForbiddenError, UnauthorizedError, UnavailableError
from ingest_api.stream import REDIS_ERRORS, AsyncClient, Source

logger = logging.getLogger(__name__)

Scope = Literal["ingest", "read", "admin"]
ContentPolicy = Literal["none", "events", "all"]
KEY_PREFIX: Final = "llms_"
# A revoked key must stop working within 10 s.
REFRESH_SECONDS: Final = 5.0
# Postgres that has not answered by then is away.
READ_TIMEOUT_SECONDS: Final = 2.0
# An unknown key may be one that was made a moment ago; look again, but not for each guess.
RETRY_UNKNOWN_SECONDS: Final = 1.0
SNAPSHOT: Final = "llmscope:api_keys"

VALID_KEYS: Final = """
select k.api_key_id, k.project_id, p.tenant_id, k.scopes, k.expires_at, k.key_hash,
    k.max_events_per_second, k.max_burst_events, p.max_events_per_day, p.content_policy
from app.api_keys as k
join app.projects as p using (project_id)
where k.revoked_at is null and (k.expires_at is null or k.expires_at > now())
"""


class ApiKey(msgspec.Struct, frozen=True, dict=True):
    """What a key may do, and for which project. A limit that is None does not exist.

    Attributes:
        max_burst_events: Events that may come at once; None means one second's worth.
        max_events_per_day: Of the project, all of its keys together; a day begins at 00:00 UTC.
        content_policy: Which prompts and completions the project stores: none, those that events
            carry, or those of OpenTelemetry spans too.
    """

    api_key_id: UUID
    project_id: UUID
    tenant_id: UUID
    scopes: tuple[Scope, ...]
    expires_at: datetime | None
    key_hash: bytes
    max_events_per_second: int | None = None
    max_burst_events: int | None = None
    max_events_per_day: int | None = None
    content_policy: ContentPolicy = "events"

    @cached_property
    def is_limited(self) -> bool:
        """Whether anything limits what the key sends."""
        return self.max_events_per_second is not None or self.max_events_per_day is not None

    @cached_property
    def burst_events(self) -> int:
        """Events that may come at once; 0 where the key has no rate."""
        if self.max_events_per_second is None:
            return 0
        return self.max_burst_events or self.max_events_per_second

    @cached_property
    def source(self) -> Source:
        """Whose events the key sends."""
        return Source(self.tenant_id, self.project_id, self.api_key_id)

    @cached_property
    def keeps_content(self) -> bool:
        """Whether events keep the prompts and completions that they come with."""
        return self.content_policy != "none"

    def has_expired(self) -> bool:
        """Whether the key was good until now and is no longer."""
        return self.expires_at is not None and self.expires_at <= datetime.now(UTC)


def new_key() -> str:
    """A random key of 256 bits with a prefix that scanners for leaked secrets can recognise."""
    return KEY_PREFIX + secrets.token_urlsafe(32)


def hash_key(key: str) -> bytes:
    """SHA-256. The keys are random, so that neither salt nor slowness would add anything."""
    return hashlib.sha256(key.encode()).digest()


def presented_key(headers: Mapping[bytes, bytes]) -> str | None:
    """The key from `Authorization: Bearer` or `X-API-Key`, or None. Names are in lower case."""
    scheme, _, credentials = headers.get(b"authorization", b"").partition(b" ")
    if scheme.lower() != b"bearer" or not credentials.strip():
        credentials = headers.get(b"x-api-key", b"")
    return credentials.strip().decode("latin-1") or None


_SNAPSHOT_DECODER: Final = msgspec.msgpack.Decoder(list[ApiKey])


@dataclass
class KeyRing:
    """All valid keys, in memory, kept fresh by `run`."""

    pool: AsyncConnectionPool[Any]
    client: AsyncClient
    clock: Callable[[], float] = monotonic
    _keys: dict[bytes, ApiKey] | None = field(default=None)
    _by_id: dict[UUID, ApiKey] = field(default_factory=dict)
    _read_at: float = field(default=float("-inf"))

    async def find(self, presented: str | None, scope: Scope) -> ApiKey:
        """The key behind what a client presented.

        Raises:
            UnauthorizedError: no key, or one that is unknown, expired or revoked.
            ForbiddenError: the key lacks `scope`.
            UnavailableError: no key is known yet because Postgres and Redis are both away.
        """
        if presented is None:
            raise UnauthorizedError("Send the key as `Authorization: Bearer llms_...`.")
        digest = hash_key(presented)
        return await self._judge(lambda: self._lookup(digest), scope)

    async def find_by_id(self, api_key_id: UUID, scope: Scope) -> ApiKey:
        """The key of that id; errors as in `find`."""
        return await self._judge(lambda: self._by_id.get(api_key_id), scope)

    async def _judge(self, look_up: Callable[[], ApiKey | None], scope: Scope) -> ApiKey:
        key = look_up()
        if key is None and self.clock() - self._read_at > RETRY_UNKNOWN_SECONDS:
            await self.refresh()
            key = look_up()
        if self._keys is None:
            raise UnavailableError("No API key can be checked yet: the database is away.")
        if key is None or key.has_expired():
            raise UnauthorizedError("The API key is unknown, expired or revoked.")
        if scope not in key.scopes:
            raise ForbiddenError(f"The API key lacks the scope `{scope}`.")
        return key

    def find_known(self, digest: bytes | None, scope: Scope) -> ApiKey | None:
        """The key of a hash where it is in memory and may do `scope`; else ask `find`."""
        key = self._lookup(digest) if digest else None
        return key if key and scope in key.scopes and not key.has_expired() else None

    async def run(self, stop: asyncio.Event) -> None:
        """Refresh until `stop` is set."""
        while not stop.is_set():
            try:
                await asyncio.wait_for(stop.wait(), REFRESH_SECONDS)
            except TimeoutError:
                await self.refresh()

    async def refresh(self) -> None:
        """Read the keys from Postgres; where it is away, keep what is known."""
        self._read_at = self.clock()
        try:
            keys = await self._read_database()
        except (psycopg.Error, PoolTimeout, TimeoutError) as error:
            logger.warning("API keys not refreshed, Postgres: %s", type(error).__name__)
            if self._keys is not None:
                return
            snapshot = await self._attempt(self.client.get(SNAPSHOT))
            if snapshot is None:
                return
            try:
                keys = _SNAPSHOT_DECODER.decode(snapshot)
            except msgspec.MsgspecError:
                logger.warning("API keys not read: %s in Redis is no copy of them", SNAPSHOT)
                return
        else:
            await self._attempt(self.client.set(SNAPSHOT, msgspec.msgpack.encode(keys)))
        self._keys = {key.key_hash: key for key in keys}
        self._by_id = {key.api_key_id: key for key in keys}

    def is_valid(self, key: ApiKey, scope: Scope) -> bool:
        """Whether a key that was found before is still good."""
        known = self._by_id.get(key.api_key_id)
        return known is not None and not known.has_expired() and scope in known.scopes

    @property
    def is_known(self) -> bool:
        """Whether the keys have been read, from Postgres or from the copy in Redis."""
        return self._keys is not None

    def _lookup(self, digest: bytes) -> ApiKey | None:
        return None if self._keys is None else self._keys.get(digest)

    async def _read_database(self) -> list[ApiKey]:
        async with asyncio.timeout(READ_TIMEOUT_SECONDS), self.pool.connection() as connection:
            rows = await (await connection.execute(VALID_KEYS)).fetchall()
        return [
            ApiKey(key_id, project_id, tenant_id, tuple(scopes), expires_at, bytes(key_hash), *rest)
            for key_id, project_id, tenant_id, scopes, expires_at, key_hash, *rest in rows
        ]

    async def _attempt(self, command: Awaitable[Any]) -> Any:
        try:
            return await command
        except REDIS_ERRORS as error:
            logger.warning("API keys not copied, Redis: %s", type(error).__name__)
            return None
