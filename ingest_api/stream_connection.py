"""Clients of Redis, of one server or of a cluster, and whether it is set to lose nothing."""

from typing import Final

import redis
import redis.asyncio
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import ExponentialBackoff, NoBackoff
from redis.exceptions import ResponseError
from redis.retry import Retry

from ingest_api.stream_layout import REDIS_ERRORS, StreamError, in_words

AsyncClient = redis.asyncio.Redis | redis.asyncio.RedisCluster
BlockingClient = redis.Redis | redis.RedisCluster

# A write that Redis has not answered within this time is answered with 503; the sender repeats it.
ASYNC_TIMEOUT_SECONDS: Final = 5.0
# Longer than any blocking read.
BLOCKING_TIMEOUT_SECONDS: Final = 30.0
# A slot that has moved is found at the second try; more than three are an outage.
CLUSTER_RETRIES: Final = 3


def connect_async(
    url: str, *, cluster: bool = False, timeout_seconds: float | None = ASYNC_TIMEOUT_SECONDS
) -> AsyncClient:
    """A client for asyncio. Redis need not answer yet.

    Without `timeout_seconds` whoever asks limits the wait: the client would do it apart for what it
    sends and what it receives, with a task for each, 60 us of the 150 that a command takes.

    Trouble is told at once, not retried: a repeated write would be harmless, but the sender should
    hear of it. A cluster client alone retries, for it learns by errors that a slot has moved.
    """
    if cluster:
        return redis.asyncio.RedisCluster.from_url(
            url,
            socket_timeout=timeout_seconds,
            socket_connect_timeout=ASYNC_TIMEOUT_SECONDS,
            retry=AsyncRetry(ExponentialBackoff(cap=0.5, base=0.05), CLUSTER_RETRIES),
        )
    return redis.asyncio.Redis.from_url(
        url,
        socket_timeout=timeout_seconds,
        socket_connect_timeout=ASYNC_TIMEOUT_SECONDS,
        retry=AsyncRetry(NoBackoff(), 0),
    )


def connect(url: str, *, cluster: bool = False) -> BlockingClient:
    """A blocking client; may be shared by threads.

    Raises:
        redis.RedisClusterException: a cluster does not answer. A single server need not answer yet.
    """
    if cluster:
        return redis.RedisCluster.from_url(
            url,
            socket_timeout=BLOCKING_TIMEOUT_SECONDS,
            retry=Retry(ExponentialBackoff(cap=0.5, base=0.05), CLUSTER_RETRIES),
        )
    return redis.Redis.from_url(
        url, socket_timeout=BLOCKING_TIMEOUT_SECONDS, retry=Retry(NoBackoff(), 0)
    )


async def find_durability_gaps(client: AsyncClient) -> list[str]:
    """Each setting of this Redis that can lose an acknowledged event, with its fix.

    Raises:
        StreamError: Redis does not answer.
    """
    wanted = {"appendonly": "yes", "appendfsync": "always", "maxmemory-policy": "noeviction"}
    gaps = []
    for name, value in wanted.items():
        try:
            found = await _config(client, name)
        except REDIS_ERRORS as error:
            raise StreamError(in_words(error)) from error
        gaps += [f"{name} is {one or 'unreadable'}: set it to {value}" for one in found - {value}]
    return gaps


async def _config(client: AsyncClient, name: str) -> set[str | None]:
    """Values of a setting on all nodes. A managed Redis may forbid CONFIG: then it is unknown."""
    try:
        if isinstance(client, redis.asyncio.RedisCluster):
            await client.initialize()
            nodes = client.get_primaries()
            answers = [await client.config_get(name, target_nodes=node) for node in nodes]
        else:
            answers = [await client.config_get(name)]
    except ResponseError:
        return {None}
    return {_text(value) for answer in answers for value in answer.values()} or {None}


def _text(value: bytes | str | None) -> str | None:
    return value.decode() if isinstance(value, bytes) else value
