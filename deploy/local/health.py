"""Whether each process answers.

Clients are imported inside, so that a process that waits for one service loads one client.
"""

from __future__ import annotations

import http
import http.client
import time
from collections.abc import Callable, Mapping

from deploy.local.environment import without_driver

TIMEOUT_SECONDS = 2
# The daemon writes a heartbeat every 30 s.
DAEMON_HEARTBEAT_SECONDS = 75
HEARTBEAT_AGE = """
select extract(epoch from now() at time zone 'utc' - max(timestamp))
from daemon_heartbeats where daemon_type = 'SENSOR'
"""


def postgres_answers(environment: Mapping[str, str]) -> bool:
    """Whether both databases accept a connection."""
    import psycopg

    try:
        for variable in ("DATABASE_URL", "DAGSTER_DATABASE_URL"):
            url = without_driver(environment[variable])
            psycopg.connect(url, connect_timeout=TIMEOUT_SECONDS).close()
    except psycopg.Error:
        return False
    return True


def redis_answers(environment: Mapping[str, str]) -> bool:
    """Whether Redis has loaded its data and answers."""
    import redis

    client = redis.Redis.from_url(
        environment["REDIS_URL"],
        socket_timeout=TIMEOUT_SECONDS,
        socket_connect_timeout=TIMEOUT_SECONDS,
    )
    try:
        with client:
            return bool(client.ping())
    except redis.RedisError:
        return False


def api_answers(environment: Mapping[str, str]) -> bool:
    """Whether the API can take events."""
    return _answers_ok(environment["LLMSCOPE_API_PORT"], "/readyz")


def webserver_answers(environment: Mapping[str, str]) -> bool:
    """Whether the Dagster UI answers."""
    return _answers_ok(environment["LLMSCOPE_DAGSTER_PORT"], "/server_info")


def code_server_answers(environment: Mapping[str, str]) -> bool:
    """Whether the code server has loaded the definitions."""
    import grpc
    from grpc_health.v1 import health_pb2, health_pb2_grpc

    host = environment["LLMSCOPE_CODE_SERVER_HOST"]
    port = environment["LLMSCOPE_CODE_SERVER_PORT"]
    request = health_pb2.HealthCheckRequest(service="DagsterApi")
    try:
        with grpc.insecure_channel(f"{host}:{port}") as channel:
            answer = health_pb2_grpc.HealthStub(channel).Check(request, timeout=TIMEOUT_SECONDS)
    except grpc.RpcError:
        return False
    return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)


def daemon_answers(environment: Mapping[str, str]) -> bool:
    """Whether the daemon that runs the sensors has sent a heartbeat lately."""
    import psycopg

    url = without_driver(environment["DAGSTER_DATABASE_URL"])
    try:
        with psycopg.connect(url, connect_timeout=TIMEOUT_SECONDS) as connection:
            # Asked first, because PostgreSQL logs a query on a missing table as an error.
            table = connection.execute("select to_regclass('daemon_heartbeats')").fetchone()
            age = connection.execute(HEARTBEAT_AGE).fetchone() if table and table[0] else None
    except psycopg.Error:
        return False
    return age is not None and age[0] is not None and age[0] <= DAEMON_HEARTBEAT_SECONDS


CHECKS: dict[str, Callable[[Mapping[str, str]], bool]] = {
    "postgres": postgres_answers,
    "redis": redis_answers,
    "api": api_answers,
    "code_server": code_server_answers,
    "daemon": daemon_answers,
    "webserver": webserver_answers,
}


def is_healthy(process: str, environment: Mapping[str, str]) -> bool:
    """Whether `process` of the platform in `environment` answers now."""
    return CHECKS[process](environment)


def wait_until_healthy(
    process: str,
    is_up: Callable[[str], bool],
    deadline: float,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> bool:
    """Ask until `process` is up or the `clock` passes `deadline` (seconds); whether it is up."""
    while not is_up(process):
        if clock() >= deadline:
            return False
        sleep(0.2)
    return True


def _answers_ok(port: str, path: str) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", int(port), timeout=TIMEOUT_SECONDS)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
