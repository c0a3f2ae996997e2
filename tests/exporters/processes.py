"""Runs the scenario under each instrumentation, each in a process of its own."""

import os
import subprocess
from pathlib import Path
from typing import Final

from tests.exporters.provider import Answer, ProviderServer

# Run by its path: the environment has nothing of ours.
SCENARIO: Final = Path(__file__).with_name("scenario.py")
INSTRUMENTATIONS: Final = ("logfire", "openinference", "openllmetry", "opentelemetry")
CALLS_PER_PROCESS: Final = 13
SCENARIO_SECONDS: Final = 150.0


# Logfire exports its first spans every 100 ms, which parts the two spans of a call.
SETTINGS: Final = {"logfire": {"ANTHROPIC_OPEN_TELEMETRY": "false"}}


class ExporterError(AssertionError):
    """A process failed; the message holds its output."""


def export_calls(python: Path, api_url: str, api_key: str) -> list[Answer]:
    """Make all calls under every instrumentation, with their spans sent to `api_url`.

    Raises:
        ExporterError: a process failed, or could not export.
    """
    provider = ProviderServer()
    running: dict[str, subprocess.Popen[str]] = {}
    try:
        for name in INSTRUMENTATIONS:
            environment = _environment(name, api_url, api_key, provider.url)
            running[name] = _start(python, name, environment)
        for name, process in running.items():
            output, _ = process.communicate(timeout=SCENARIO_SECONDS)
            if process.returncode or "Failed to export" in output:
                raise ExporterError(f"{name}:\n{output[-4000:]}")
    finally:
        for process in running.values():
            process.kill()
        provider.stop()
    return provider.answers


def _start(python: Path, name: str, environment: dict[str, str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [python, SCENARIO, name],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def _environment(name: str, api_url: str, api_key: str, provider_url: str) -> dict[str, str]:
    """What a user sets. The key of the clients tells the provider whose call it is."""
    kept = {key: os.environ[key] for key in ("PATH", "HOME", "LANG") if key in os.environ}
    return {
        **kept,
        **SETTINGS.get(name, {}),
        "OTEL_EXPORTER_OTLP_ENDPOINT": api_url,
        "OTEL_EXPORTER_OTLP_HEADERS": f"Authorization=Bearer%20{api_key}",
        "OTEL_LOGS_EXPORTER": "none",
        "OTEL_METRICS_EXPORTER": "none",
        # One export at the end: a busy machine must not part the two spans of a call.
        "OTEL_BSP_SCHEDULE_DELAY": "600000",
        "OTEL_SERVICE_NAME": name,
        "OPENAI_API_KEY": name,
        "OPENAI_BASE_URL": f"{provider_url}/v1",
        "ANTHROPIC_API_KEY": name,
        "ANTHROPIC_BASE_URL": provider_url,
    }
