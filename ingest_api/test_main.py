"""The API as real processes: it ends gracefully, and its processes count together."""

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import redis

from deploy.local.environment import ROOT
from ingest_api.settings import Settings
from ingest_api.stream import STREAM
from ingest_api.test_ingest import BODY, EVENT, INGEST
from tests.running import wait_until

START_SECONDS = 60
STOP_SECONDS = 60


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def api_process(settings: Settings, **extra: str) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """`python -m ingest_api` and its port; the process is gone when the context ends."""
    port = free_port()
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("LLMSCOPE_")},
        "DATABASE_URL": settings.database_url,
        "REDIS_URL": settings.redis_url,
        "LLMSCOPE_HOME": str(settings.home),
        "LLMSCOPE_API_PORT": str(port),
        **extra,
    }
    process = subprocess.Popen([sys.executable, "-m", "ingest_api"], cwd=ROOT, env=environment)
    try:
        wait_until(lambda: listens(port), "the API listens", START_SECONDS)
        yield process, port
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(STOP_SECONDS)


def read_until(connection: socket.socket, end: bytes) -> bytes:
    received = b""
    while end not in received:
        part = connection.recv(4096)
        assert part, f"the connection ended behind {received!r}"
        received += part
    return received


def test_a_request_under_way_is_finished_before_the_process_ends(
    settings: Settings, key: str
) -> None:
    head = (
        f"POST {INGEST} HTTP/1.1\r\nHost: localhost\r\nX-API-Key: {key}\r\n"
        f"Content-Length: {len(BODY)}\r\nExpect: 100-continue\r\n\r\n"
    ).encode()
    with (
        api_process(settings) as (process, port),
        socket.create_connection(("127.0.0.1", port), timeout=30) as connection,
    ):
        connection.sendall(head)
        # The server says so when the application asks for the body: the request is under way.
        assert b" 100 " in read_until(connection, b"\r\n\r\n")
        process.send_signal(signal.SIGTERM)
        wait_until(lambda: not listens(port), "the API takes no new connection", STOP_SECONDS)
        connection.sendall(BODY)
        answer = read_until(connection, str(EVENT["event_id"]).encode())
        assert answer.startswith(b"HTTP/1.1 202 ")
        assert process.wait(STOP_SECONDS) in {0, -signal.SIGTERM}
    with redis.Redis.from_url(settings.redis_url) as client:
        assert client.xlen(STREAM) == 1


def test_metrics_are_of_all_processes_together(settings: Settings, key: str) -> None:
    headers = {"X-API-Key": key}
    with api_process(settings, LLMSCOPE_API_PROCESSES="2") as (_, port):
        url = f"http://127.0.0.1:{port}"

        def answers() -> bool:
            try:
                return httpx.get(f"{url}/healthz", timeout=5).status_code == 200
            except httpx.TransportError:
                return False

        wait_until(answers, "the API answers", START_SECONDS)
        for _ in range(20):
            # A connection of its own each time, so that both processes get some.
            assert httpx.post(url + INGEST, json=EVENT, headers=headers).status_code == 202
        for _ in range(5):
            text = httpx.get(f"{url}/metrics").text
            assert re.findall(r"^llmscope_events_accepted_total (\S+)$", text, re.M) == ["20.0"]


def test_a_bad_setting_stops_the_start_with_its_name() -> None:
    environment = {"PATH": os.environ["PATH"], "LLMSCOPE_API_PORT": "none"}
    done = subprocess.run(
        [sys.executable, "-m", "ingest_api"], cwd=ROOT, env=environment, timeout=60, text=True,
        capture_output=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert "LLMSCOPE_API_PORT" in done.stderr
    assert "DATABASE_URL" in done.stderr
    assert "Traceback" not in done.stderr
