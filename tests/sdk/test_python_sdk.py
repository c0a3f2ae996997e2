"""The Python SDK's own tests pass, in environments with new and with older client libraries."""

import subprocess

import pytest

from deploy.local.environment import ROOT
from tests.environments import side_environment


@pytest.mark.timeout(300)
def test_the_suite_of_the_python_sdk_passes() -> None:
    run_suite("sdk")


@pytest.mark.timeout(200)
@pytest.mark.parametrize("environment", ["sdk-openai1", "sdk-openai2"])
def test_calls_through_older_libraries_are_recorded(environment: str) -> None:
    """`make test-sdk-versions` runs the whole suite there."""
    run_suite(environment, "tests/test_instrumentation.py")


def run_suite(environment: str, *paths: str) -> None:
    done = subprocess.run(
        [side_environment(environment), "-m", "pytest", "-q", "-p", "no:cacheprovider", *paths],
        cwd=ROOT / "sdk" / "python", timeout=280, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-6000:]
