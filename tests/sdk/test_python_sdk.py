"""The Python SDK's own tests pass, in an environment with the client libraries."""

import subprocess

import pytest

from deploy.local.environment import ROOT
from tests.environments import side_environment


@pytest.mark.timeout(300)
def test_the_suite_of_the_python_sdk_passes() -> None:
    done = subprocess.run(
        [side_environment("sdk"), "-m", "pytest", "-q", "-p", "no:cacheprovider"],
        cwd=ROOT / "sdk" / "python", timeout=280, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-6000:]
