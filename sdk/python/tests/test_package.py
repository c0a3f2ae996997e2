"""The package builds, and works where nothing else is installed."""

import os
import re
import shutil
import subprocess
import sys
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest
from hatchling.build import build_sdist, build_wheel

import llmscope
from tests.door import Door

ROOT = Path(__file__).resolve().parents[1]
SUPPORTED = ("3.9", "3.10", "3.11", "3.12", "3.13", "3.14")
SMOKE = """
import os, pkgutil, importlib, sys, llmscope
for module in pkgutil.walk_packages(llmscope.__path__, "llmscope."):
    importlib.import_module(module.name)
llmscope.init(url=sys.argv[1], spool_directory=sys.argv[2])
assert llmscope.instrument() == []
with llmscope.context(user_id="ann"):
    llmscope.record(provider_name="acme", request_model="m1", input_tokens=3)
assert llmscope.flush(10)
pid = os.fork()
with llmscope.context(user_id="bob" if pid else "cy"):
    llmscope.record(provider_name="acme", request_model="m1", input_tokens=3)
if pid:
    os.waitpid(pid, 0)
    print(llmscope.__file__, llmscope.__version__)
"""


def interpreter(version: str) -> str | None:
    """A Python of this version on this machine."""
    built = sorted(Path.home().glob(f".pyenv/versions/{version}.*/bin/python{version}"))
    return str(built[-1]) if built else shutil.which(f"python{version}")


@pytest.fixture
def wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(ROOT)
    return tmp_path / build_wheel(str(tmp_path))


def smoke(python: Path, tmp_path: Path, door: Door) -> str:
    """Use the installed package; what it printed."""
    environment = {"LLMSCOPE_API_KEY": "llms_x", "PATH": os.environ["PATH"]}
    done = subprocess.run(
        [python, "-W", "ignore::DeprecationWarning", "-c", SMOKE, door.url, tmp_path / "spool"],
        cwd=tmp_path, env=environment, timeout=30, check=False, capture_output=True, text=True,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_pip_installs_the_wheel_into_an_empty_environment_and_it_works(
    wheel: Path, tmp_path: Path, door: Door
) -> None:
    home = tmp_path / "empty"
    venv.create(home, with_pip=True, symlinks=True)
    python = home / "bin" / "python"
    install = [python, "-m", "pip", "install", "--quiet", "--no-index", wheel]
    subprocess.run(install, check=True, env={"PATH": os.environ["PATH"]}, timeout=50)
    printed = smoke(python, tmp_path, door)
    assert str(home) in printed
    assert llmscope.__version__ in printed
    assert sorted(event["user_id"] for event in door.events.values()) == ["ann", "bob", "cy"]


@pytest.mark.parametrize("version", SUPPORTED)
def test_the_wheel_works_on_every_python_that_it_promises(
    version: str, wheel: Path, tmp_path: Path, door: Door
) -> None:
    found = interpreter(version)
    if found is None:
        pytest.skip(f"no Python {version} here")
    home = tmp_path / "empty"
    subprocess.run([found, "-m", "venv", "--without-pip", home], check=True, timeout=50)
    (packages,) = home.glob("lib/python*/site-packages")
    # A wheel of pure Python is installed by unpacking it.
    shutil.unpack_archive(wheel, packages, "zip")
    assert str(home) in smoke(home / "bin" / "python", tmp_path, door)
    assert sorted(event["user_id"] for event in door.events.values()) == ["ann", "bob", "cy"]


def test_the_versions_that_are_tried_are_those_that_are_promised() -> None:
    text = (ROOT / "pyproject.toml").read_text()
    assert tuple(re.findall(r'"Programming Language :: Python :: (3\.\d+)"', text)) == SUPPORTED
    assert f'requires-python = ">={SUPPORTED[0]}"' in text


def test_the_sdist_builds_the_same_wheel(
    wheel: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sdist = tmp_path / build_sdist(str(tmp_path))
    with tarfile.open(sdist) as archive:
        archive.extractall(tmp_path / "unpacked", filter="data")
    (source,) = (tmp_path / "unpacked").iterdir()
    assert (source / "CHANGELOG.md").is_file()
    monkeypatch.chdir(source)
    again = tmp_path / "again"
    again.mkdir()
    rebuilt = again / build_wheel(str(again))
    assert zipfile.ZipFile(rebuilt).namelist() == zipfile.ZipFile(wheel).namelist()


def test_the_changelog_has_this_version() -> None:
    assert f"\n## {llmscope.__version__}" in (ROOT / "CHANGELOG.md").read_text()


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
