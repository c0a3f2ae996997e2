"""`python -m orchestration.loading.drain`: load the stream from a process of one's own.

Safe beside a running platform, and the way to load while Dagster is down.
"""

import argparse
import dataclasses
import json
import os
import sys

from orchestration.loading.loader import Loader, LoadReport
from orchestration.resources import EventStream, Warehouse
from orchestration.settings import OrchestrationSettings, read_settings


def drain(
    settings: OrchestrationSettings, shard: int, seconds: float, *, until_caught_up: bool
) -> LoadReport:
    """Drain one shard of the stream that `settings` name.

    Raises:
        redis.RedisClusterException: a cluster does not answer.
    """
    stream = EventStream(
        redis_url=settings.redis_url,
        cluster=settings.redis_cluster,
        retention_seconds=settings.stream_retention_seconds,
        retention_bytes=settings.stream_retention_bytes,
    )
    warehouse = Warehouse(database_url=settings.database_url)
    reader = stream.reader(f"drain-process-{os.getpid()}", shard)
    report = Loader(reader, warehouse.borrow).drain(seconds, until_caught_up=until_caught_up)
    if report.failure is None:
        reader.leave()
    return report


def main() -> int:
    """Print the report as JSON; 1 where Postgres or Redis was away at the end."""
    parser = argparse.ArgumentParser(prog="orchestration.loading.drain", description=__doc__)
    parser.add_argument("--shard", type=int, default=0, help="which shard; default 0")
    parser.add_argument("--seconds", type=float, default=60.0, help="how long, at most; default 60")
    parser.add_argument(
        "--until-caught-up", action="store_true", help="stop as soon as the backlog is gone"
    )
    arguments = parser.parse_args()
    settings = read_settings()
    if not 0 <= arguments.shard < settings.stream_shards:
        parser.error(f"--shard: LLMSCOPE_STREAM_SHARDS is {settings.stream_shards}, count from 0")
    report = drain(
        settings, arguments.shard, arguments.seconds, until_caught_up=arguments.until_caught_up
    )
    content = dataclasses.asdict(report) | {"events_per_second": round(report.events_per_second)}
    sys.stdout.write(json.dumps(content) + "\n")
    return 1 if report.failure else 0


if __name__ == "__main__":
    sys.exit(main())
