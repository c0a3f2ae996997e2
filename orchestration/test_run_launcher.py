import json
import logging
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import dagster as dg
import pytest
from dagster._core.storage.tags import GRPC_INFO_TAG
from dagster._daemon.monitoring.run_monitoring import execute_run_monitoring_iteration

from deploy.local.health import code_server_answers
from tests.running import free_port_base, wait_until

CODE = """
import dagster as dg

@dg.op
def build(): pass

@dg.job
def build_job(): build()
"""
LAUNCHER = {"module": "orchestration.run_launcher", "class": "MonitoredRunLauncher"}


@dg.job
def build_job() -> None: ...


@contextmanager
def code_server(folder: Path, port: int) -> Iterator[None]:
    file = folder / "jobs.py"
    file.write_text(CODE)
    command = [sys.executable, "-m", "dagster", "api", "grpc", "-f", str(file), "-p", str(port)]
    environment = {
        "LLMSCOPE_CODE_SERVER_HOST": "127.0.0.1", "LLMSCOPE_CODE_SERVER_PORT": str(port),
    }  # fmt: skip
    server = subprocess.Popen([*command, "-h", "127.0.0.1", "--log-level", "warning"], cwd=folder)
    try:
        wait_until(lambda: code_server_answers(environment), "the code server answers", 60)
        yield
    finally:
        server.kill()
        server.wait()


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    overrides = {"run_launcher": LAUNCHER, "run_monitoring": {"enabled": True}}
    with dg.DagsterInstance.local_temp(str(tmp_path), overrides=overrides) as found:
        yield found


def launched_run(instance: dg.DagsterInstance, tags: dict[str, str]) -> str:
    run = instance.create_run_for_job(build_job, status=dg.DagsterRunStatus.STARTED, tags=tags)
    return run.run_id


def status_after_monitoring(instance: dg.DagsterInstance, run_id: str) -> dg.DagsterRunStatus:
    context: Any = SimpleNamespace(instance=instance, create_request_context=lambda: None)
    errors = execute_run_monitoring_iteration(context, logging.getLogger(__name__))
    assert list(errors) == [None]
    run = instance.get_run_by_id(run_id)
    assert run
    return run.status


def test_a_run_that_died_with_its_code_server_fails_once_a_new_one_answers(
    instance: dg.DagsterInstance, tmp_path: Path
) -> None:
    port = free_port_base()
    address = {GRPC_INFO_TAG: json.dumps({"host": "127.0.0.1", "port": port})}
    run_id = launched_run(instance, address)
    # The code server starts again: nobody knows yet what became of the run.
    assert status_after_monitoring(instance, run_id) == dg.DagsterRunStatus.STARTED
    with code_server(tmp_path, port):
        assert status_after_monitoring(instance, run_id) == dg.DagsterRunStatus.FAILURE


def test_a_run_that_no_code_server_launched_is_left_alone(instance: dg.DagsterInstance) -> None:
    run_id = launched_run(instance, {})
    assert status_after_monitoring(instance, run_id) == dg.DagsterRunStatus.STARTED
