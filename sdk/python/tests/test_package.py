"""The package builds, and works where nothing else is installed."""

import os
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest
from hatchling.build import build_wheel

import llmscope
from tests.door import Door

ROOT = Path(__file__).resolve().parents[1]
SMOKE = """
import sys, llmscope
llmscope.init(url=sys.argv[1], spool_directory="off")
assert llmscope.instrument() == []
with llmscope.context(user_id="ann"):
    llmscope.record(provider_name="acme", request_model="m1", input_tokens=3)
assert llmscope.flush(10)
print(llmscope.__file__, llmscope.__version__)
"""


@pytest.fixture
def wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(ROOT)
    return tmp_path / build_wheel(str(tmp_path))


def test_the_wheel_works_in_an_empty_environment(wheel: Path, tmp_path: Path, door: Door) -> None:
    home = tmp_path / "empty"
    venv.create(home, with_pip=False, symlinks=True)
    python = home / "bin" / "python"
    found = subprocess.run(
        [python, "-c", "import site; print(site.getsitepackages()[0])"],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    # A wheel of pure Python is installed by unpacking it.
    zipfile.ZipFile(wheel).extractall(found.stdout.strip())
    environment = {"LLMSCOPE_API_KEY": "llms_x", "PATH": os.environ["PATH"]}
    done = subprocess.run(
        [python, "-c", SMOKE, door.url], cwd=tmp_path, env=environment, timeout=30,
        check=False, capture_output=True, text=True,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert str(home) in done.stdout
    assert llmscope.__version__ in done.stdout
    (event,) = door.events.values()
    assert event["user_id"] == "ann"


def test_the_wheel_holds_the_package_alone_and_is_typed(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert "llmscope/py.typed" in names
    assert {name.split("/")[0].split("-")[0] for name in names} == {"llmscope"}
    assert not [name for name in names if "test" in name]


def test_importing_it_imports_no_client_library() -> None:
    script = "import sys, llmscope; print([n for n in ('openai', 'anthropic') if n in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", script], env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    assert done.stdout == "[]\n"
