"""The examples of the Python SDK do what they say, against the whole platform."""

import os
import re
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from deploy.local.environment import ROOT
from tests.environments import side_environment
from tests.exporters.provider import ProviderServer
from tests.running import RunningPlatform, wait_until

SDK = ROOT / "sdk" / "python"
EXAMPLES = SDK / "examples"
ROWS = """
select e.provider_name, e.request_model, e.user_id, e.conversation_id, e.input_tokens, e.tags,
    c.input_messages
from raw.llm_events as e
left join raw.llm_event_contents as c using (project_id, event_id)
where e.service_name = %s
order by e.started_at
"""
REQUESTS = 30


@pytest.fixture(scope="module")
def provider() -> Iterator[ProviderServer]:
    server = ProviderServer()
    yield server
    server.stop()


@pytest.fixture
def surroundings(
    platform: RunningPlatform, provider: ProviderServer, tmp_path: Path
) -> dict[str, str]:
    """The environment of whoever runs an example."""
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "PYTHONPATH": str(SDK / "src"),
        "LLMSCOPE_URL": platform.api_url,
        "LLMSCOPE_API_KEY": platform.api_key,
        "OPENAI_BASE_URL": f"{provider.url}/v1",
        "OPENAI_API_KEY": "sk-example",
    }


def run(file: Path, environment: dict[str, str]) -> None:
    done = subprocess.run(
        [side_environment("examples"), file], env=environment, timeout=60, check=False,
        capture_output=True, text=True,
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def rows(platform: RunningPlatform, service_name: str, count: int) -> list[tuple[Any, ...]]:
    def found() -> list[tuple[Any, ...]] | None:
        loaded = platform.query(ROWS, service_name)
        return loaded if len(loaded) >= count else None

    loaded = wait_until(found, f"{count} calls of {service_name}", 20)
    assert isinstance(loaded, list)
    assert len(loaded) == count
    return loaded


@contextmanager
def serving(module: str, words: list[str], environment: dict[str, str]) -> Iterator[httpx.Client]:
    """A server of the examples' environment; it has ended by SIGTERM when the context has."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = str(probe.getsockname()[1])
    command = [side_environment("examples"), "-m", module, *[word.format(port) for word in words]]
    process = subprocess.Popen(
        command, cwd=EXAMPLES, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True,
    )  # fmt: skip
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=20) as client:
            wait_until(lambda: is_open(int(port)), f"{module} serves", 30)
            yield client
    finally:
        process.send_signal(signal.SIGTERM)
        output, _ = process.communicate(timeout=30)
    assert "Traceback" not in output, output[-4000:]


def is_open(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_a_custom_provider_is_recorded_in_three_ways(
    platform: RunningPlatform, surroundings: dict[str, str]
) -> None:
    run(EXAMPLES / "custom_provider.py", surroundings)
    found = rows(platform, "example-custom-provider", 3)
    assert [(row[0], row[1], row[4]) for row in found] == [
        ("acme", "acme-large", 3),
        ("acme", "acme-large", 4),
        ("acme", "acme-embed", 5),
    ]
    assert {row[2:4] for row in found} == {("u-7", "c-12")}
    assert found[2][5] == {"feature": "search", "way": "record"}


def test_what_the_redaction_takes_out_never_arrives(
    platform: RunningPlatform, surroundings: dict[str, str]
) -> None:
    run(EXAMPLES / "redaction.py", surroundings)
    ((*_, user_id, _conversation, _tokens, _tags, messages),) = rows(
        platform, "example-redaction", 1
    )
    assert len(user_id) == 16
    assert "[mail]" in str(messages)
    assert "ann@" not in f"{user_id} {messages}"


def test_calls_of_a_fastapi_application_carry_the_caller_of_their_request(
    platform: RunningPlatform, surroundings: dict[str, str]
) -> None:
    with serving("uvicorn", ["fastapi_app:app", "--port", "{}"], surroundings) as client:
        for user in ("ann", "bob"):
            headers = {"X-User-Id": user, "X-Conversation-Id": f"talk of {user}"}
            answer = client.get("/ask", params={"question": "Hi"}, headers=headers)
            assert answer.json() == {"answer": "Two."}
        assert client.get("/ask", params={"question": "Hi"}).status_code == 200
    found = rows(platform, "example-fastapi", 3)
    assert [row[2:4] for row in found] == [
        ("ann", "talk of ann"), ("bob", "talk of bob"), (None, None),
    ]  # fmt: skip


def test_each_worker_that_gunicorn_has_forked_sends_its_calls_before_it_ends(
    platform: RunningPlatform, surroundings: dict[str, str]
) -> None:
    words = ["--preload", "--workers", "2", "--bind", "127.0.0.1:{}", "gunicorn_app:application"]
    # What waits must be sent at the end of a worker, not because time has passed.
    slow = {**surroundings, "LLMSCOPE_FLUSH_INTERVAL_SECONDS": "600"}
    with serving("gunicorn", words, slow) as client:
        for number in range(REQUESTS):
            headers = {"Connection": "close"}
            assert client.get(f"/{number}", headers=headers).text == "Two."
    found = rows(platform, "example-gunicorn", REQUESTS)
    assert sorted(int(row[5]["path"][1:]) for row in found) == list(range(REQUESTS))


def test_each_migration_ends_in_code_that_records_its_calls(
    platform: RunningPlatform, surroundings: dict[str, str], tmp_path: Path
) -> None:
    text = (SDK / "docs" / "migration.md").read_text()
    blocks = re.findall(r"^After:\n\n```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    assert len(blocks) == 3
    for number, block in enumerate(blocks):
        file = tmp_path / f"{number}.py"
        file.write_text(block)
        run(file, {**surroundings, "LLMSCOPE_ENVIRONMENT": "migration"})
    counts = "select count(*) from raw.llm_events where service_name = 'support'"
    wait_until(lambda: platform.query(counts) == [(3,)], "the calls of two of them", 20)
