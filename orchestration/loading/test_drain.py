"""The loader as a process of its own."""

import json
import os
import subprocess
import sys

from ingest_api import stream
from orchestration.loading.conftest import Bench, make_event


def drain(bench: Bench, redis_url: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"DATABASE_URL": bench.database_url, "REDIS_URL": redis_url}
    return subprocess.run(
        [sys.executable, "-m", "orchestration.loading.drain", *arguments],
        env=environment | {"LLMSCOPE_STREAM_SHARDS": "2"},
        capture_output=True, text=True, timeout=100, check=False,
    )  # fmt: skip


def test_a_shard_is_drained_from_the_command_line(bench: Bench, redis_url: str) -> None:
    bench.put(make_event(), make_event(), shard=1)
    done = drain(bench, redis_url, "--shard", "1", "--until-caught-up")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["row_count"] == 2
    assert bench.row_count() == 2
    assert bench.client.xinfo_consumers(stream.stream_key(1), stream.GROUP) == []


def test_a_shard_that_does_not_exist_is_named(bench: Bench, redis_url: str) -> None:
    done = drain(bench, redis_url, "--shard", "2")
    assert done.returncode == 2
    assert "LLMSCOPE_STREAM_SHARDS is 2" in done.stderr
