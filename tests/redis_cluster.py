"""A Redis Cluster of one node, which owns all slots and refuses what a larger one would refuse."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import redis

from deploy.local.postgres import NATIVE
from deploy.local.redis_server import CONFIGURATION
from tests.running import free_port_base, wait_until

SLOTS = 16384


@contextmanager
def run_redis_cluster(folder: Path) -> Iterator[str]:
    """The URL of a cluster that lives as long as the context, with its data in `folder`."""
    # The node talks to others on the port that is 10,000 higher.
    port = free_port_base()
    configuration = folder / "redis.conf"
    lines = [
        f'include "{CONFIGURATION}"',
        f'dir "{folder}"',
        f"port {port}",
        f"cluster-port {port + 1}",
        "bind 127.0.0.1",
        "cluster-enabled yes",
    ]
    configuration.write_text("\n".join(lines) + "\n")
    server = subprocess.Popen(
        [str(NATIVE.redis_bin / "redis-server"), str(configuration)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        with redis.Redis(port=port) as client:
            wait_until(lambda: _is_up(client), "Redis answers", 30)
            client.execute_command("CLUSTER", "ADDSLOTSRANGE", 0, SLOTS - 1)
            wait_until(lambda: _is_whole(client), "the cluster is up", 30)
        yield f"redis://127.0.0.1:{port}/0"
    finally:
        server.terminate()
        server.wait(30)


def _is_up(client: redis.Redis) -> bool:
    try:
        return bool(client.ping())
    except redis.RedisError:
        return False


def _is_whole(client: redis.Redis) -> bool:
    return b"cluster_state:ok" in client.execute_command("CLUSTER", "INFO")
