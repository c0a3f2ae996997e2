"""The TypeScript SDK builds, and its own tests pass, with the client libraries."""

import subprocess

import pytest

from deploy.local.environment import ROOT
from tests.node_packages import build_package

PACKAGE = ROOT / "sdk" / "typescript"


@pytest.fixture(scope="module")
def built() -> None:
    build_package(PACKAGE)


def run(*command: str) -> str:
    done = subprocess.run(
        command, cwd=PACKAGE, timeout=200, text=True, check=False,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-6000:]
    return done.stdout


@pytest.mark.timeout(300)
@pytest.mark.usefixtures("built")
def test_the_suite_of_the_typescript_sdk_passes() -> None:
    run("npm", "test", "--silent")
