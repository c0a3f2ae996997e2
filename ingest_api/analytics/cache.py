"""Answers kept in Redis, so that many viewers of one dashboard cost one query.

Redis holds the event buffer and never evicts, so that the cache must be bounded by itself: each
project has so many slots, an answer lies in the slot that its name gives, and a newer one in the
same slot takes its place. The name carries the project, the question and the marts' watermark.
"""

import hashlib
import logging
import zlib
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

import msgspec

from ingest_api.stream import REDIS_ERRORS, AsyncClient

logger = logging.getLogger(__name__)

SLOTS: Final = 128
# Of the compressed answer: 8 MiB a project at most.
MAX_ANSWER_BYTES: Final = 64 * 1024
KEEP_SECONDS: Final = 600
NAME_BYTES: Final = 16


def name_of(*parts: Any) -> bytes:
    """A name that only equal parts have."""
    return hashlib.blake2b(msgspec.json.encode(parts), digest_size=NAME_BYTES).digest()


@dataclass(frozen=True)
class Cache:
    """The answers of all projects. Without Redis there are none."""

    client: AsyncClient

    async def get(self, project_id: UUID, name: bytes) -> bytes | None:
        """The answer of that name."""
        try:
            kept = await self.client.get(_slot(project_id, name))
        except REDIS_ERRORS as error:
            logger.warning("no answer from the cache, Redis: %s", type(error).__name__)
            return None
        if not isinstance(kept, bytes) or not kept.startswith(name):
            return None
        try:
            return zlib.decompress(kept[NAME_BYTES:])
        except zlib.error:
            logger.warning("no answer from the cache: what lies there was not put by it")
            return None

    async def put(self, project_id: UUID, name: bytes, answer: bytes) -> None:
        """Keep an answer, unless it is too large."""
        kept = name + zlib.compress(answer, 1)
        if len(kept) > MAX_ANSWER_BYTES:
            return
        try:
            await self.client.set(_slot(project_id, name), kept, ex=KEEP_SECONDS)
        except REDIS_ERRORS as error:
            logger.warning("answer not cached, Redis: %s", type(error).__name__)


def _slot(project_id: UUID, name: bytes) -> str:
    return f"llmscope:answers:{project_id}:{name[0] % SLOTS}"
