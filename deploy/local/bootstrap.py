"""Everything that has to be on the machine before LLMScope can run, with the system's Python only.

`python3 -m deploy.local.bootstrap [--dev]` makes the Python environment, the npm packages and the
native services side by side. What is already there and unchanged is not touched.
"""

from __future__ import annotations

import argparse
import fcntl
import hashlib
import importlib.util
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import contextmanager
from pathlib import Path

from deploy.local.environment import ROOT, merged_settings, platform_from, read_dotenv
from deploy.local.errors import SetupError
from deploy.local.native import NativeServices
from deploy.local.steps import Steps

PYTHON_MINIMUM, PYTHON_END = (3, 11), (3, 14)
NODE_MINIMUM = 20
STATE = ROOT / ".llmscope"
ENVIRONMENT = ROOT / ".venv"
REQUIREMENTS = ROOT / "requirements"
REPORTS = ROOT / "reports"
# PostgreSQL reads time zones from here, wherever it is unpacked.
ZONES = Path("/usr/share/zoneinfo/UTC")


def python_problem(version: tuple[int, int], has_venv: bool) -> str | None:
    """Why this Python cannot make the environment, with the fix; None if it can."""
    shown = ".".join(map(str, version))
    if not PYTHON_MINIMUM <= version < PYTHON_END:
        return (
            f"python3 is {shown}, LLMScope needs 3.11, 3.12 or 3.13: "
            "install one and run for example `make PYTHON=python3.12 up`."
        )
    if not has_venv:
        return f"Python {shown} has no venv: run `apt-get install python3-venv`."
    return None


def node_problem(version: str | None, has_npm: bool) -> str | None:
    """Why Node cannot build the reports, with the fix; None if it can.

    Args:
        version: what `node --version` printed; None without Node.
        has_npm: whether npm is on the PATH.
    """
    found = re.match(r"v(\d+)\.", version or "")
    if found is None or int(found.group(1)) < NODE_MINIMUM:
        has = f"is {version}" if version else "is missing"
        return f"Node.js {has}: install version {NODE_MINIMUM} or newer (nodejs.org), with npm."
    return None if has_npm else "npm is missing: run `apt-get install npm`."


def require_tools(needs_native: bool) -> None:
    """Raise SetupError with the fix for the first missing tool."""
    has_venv = importlib.util.find_spec("ensurepip") is not None
    has_npm = shutil.which("npm") is not None
    has_setpriv = shutil.which("setpriv") is not None
    has_zones = ZONES.exists() or not needs_native
    problems = [
        python_problem((sys.version_info[0], sys.version_info[1]), has_venv),
        node_problem(_node_version(), has_npm) if has_reports() else None,
        None if has_setpriv else "setpriv is missing: run `apt-get install util-linux`.",
        None if has_zones else "The time zones are missing: run `apt-get install tzdata`.",
    ]
    for problem in filter(None, problems):
        raise SetupError(problem)


def has_reports() -> bool:
    """Whether there are report pages to prepare."""
    return (REPORTS / "package.json").exists()


def _node_version() -> str | None:
    if not shutil.which("node"):
        return None
    done = subprocess.run(["node", "--version"], capture_output=True, text=True, check=False)
    return done.stdout.strip()


def program(name: str) -> str:
    """Path of a program of the Python environment."""
    return str(ENVIRONMENT / "bin" / name)


def content_hash(files: Iterable[Path], *facts: str) -> str:
    """One hash over names and contents of `files` and over `facts`."""
    digest = hashlib.sha256()
    for path in sorted(files):
        content = hashlib.sha256(path.read_bytes()).hexdigest()
        digest.update(f"{path.name} {content}\n".encode())
    digest.update("\n".join(facts).encode())
    return digest.hexdigest()


def is_stamped(stamp: Path, content: str) -> bool:
    """Whether the work that `stamp` stands for was done for this very `content`."""
    return stamp.exists() and stamp.read_text() == content


def prepare_python(steps: Steps) -> None:
    """Make `.venv` for this Python, with the installer in it."""
    bootstrap = REQUIREMENTS / "bootstrap.txt"
    stamp, content = _stamp_of(bootstrap)
    if is_stamped(stamp, content):
        return
    with steps.step("Python environment"):
        steps.run([sys.executable, "-m", "venv", "--clear", str(ENVIRONMENT)])
        pip = [program("python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        steps.run([*pip, "--require-hashes", "-r", str(bootstrap)])
    stamp.write_text(content)


def install_packages(steps: Steps, with_dev: bool) -> None:
    """Install the hashed locks into `.venv`; `with_dev` adds what the tests need."""
    names = ("runtime.txt", "dev.txt") if with_dev else ("runtime.txt",)
    stamps = dict(_stamp_of(REQUIREMENTS / name) for name in names)
    if all(is_stamped(stamp, content) for stamp, content in stamps.items()):
        return
    with steps.step("Python packages"):
        locks = [part for name in names for part in ("-r", str(REQUIREMENTS / name))]
        uv = [program("uv"), "pip", "install", "--quiet", "--python", program("python")]
        steps.run([*uv, "--require-hashes", *locks])
    for stamp, content in stamps.items():
        stamp.write_text(content)


def install_command() -> None:
    """Put `llmscope` beside the Python that runs it; it works from any folder.

    A script of two lines, because the packages of this clone are run where they lie: an install,
    even an editable one, would need a build backend.
    """
    path = Path(program("llmscope"))
    root, python = shlex.quote(str(ROOT)), shlex.quote(program("python"))
    # -P keeps the folder in which it is called off the path: a `cli` there is not ours.
    content = f'#!/bin/sh\nPYTHONPATH={root} exec {python} -P -m cli "$@"\n'
    if not path.exists() or path.read_text() != content:
        path.write_text(content)
        path.chmod(0o755)


def _stamp_of(lock: Path) -> tuple[Path, str]:
    # Scripts in the environment name its folder, so a moved clone needs a new one.
    return ENVIRONMENT / f"{lock.stem}.stamp", content_hash([lock], sys.version, str(ENVIRONMENT))


def prepare_reports(steps: Steps) -> None:
    """Install the npm packages of the reports and build the pages without data."""
    locks = [REPORTS / "package.json", REPORTS / "package-lock.json"]
    scripts = [path for path in (REPORTS / "scripts").iterdir() if path.is_file()]
    stamp = REPORTS / "node_modules" / ".llmscope-stamp"
    content = content_hash([*locks, *scripts], _node_version() or "")
    npm = ["npm", "--prefix", str(REPORTS), "--no-fund", "--no-audit"]
    if not is_stamped(stamp, content):
        with steps.step("Report packages"):
            steps.run([*npm, "ci"])
        stamp.write_text(content)
    with steps.step("Report pages"):
        # Both look for themselves whether there is anything to do.
        steps.run([program("python"), str(REPORTS / "scripts" / "fetch_duckdb_extension.py")])
        steps.run([*npm, "run", "build:site"])


def prepare_native(steps: Steps, native: NativeServices) -> None:
    """Fetch and unpack the services; they still need `patch`."""
    with steps.step("PostgreSQL and Redis"):
        native.download()


@contextmanager
def sole_bootstrap() -> Iterator[None]:
    """Let one set-up of this clone run at a time; a second one waits."""
    STATE.mkdir(exist_ok=True)
    with (STATE / "bootstrap.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def bootstrap(environment: Mapping[str, str], with_dev: bool) -> None:
    """Prepare this clone.

    Raises:
        SetupError: something is missing; the message is one sentence with the fix.
    """
    dotenv = ROOT / ".env"
    given = read_dotenv(dotenv.read_text()) if dotenv.exists() else {}
    platform = platform_from(merged_settings(given, environment))
    native = NativeServices(STATE / "native")
    needs_native = bool(platform.native_processes)
    require_tools(needs_native)
    with sole_bootstrap():
        steps = Steps(STATE / "logs" / "setup.log", environment)
        needs_download = needs_native and not native.is_complete
        prepare_python(steps)
        work = [lambda: install_packages(steps, with_dev)]
        if has_reports():
            work.append(lambda: prepare_reports(steps))
        if needs_download:
            work.append(lambda: prepare_native(steps, native))
        side_by_side(work, steps)
        install_command()
        if needs_download:
            native.patch(program("patchelf"))


def side_by_side(work: list[Callable[[], None]], steps: Steps) -> None:
    """Do all of `work` at once; the first failure or an interruption stops the rest."""
    with ThreadPoolExecutor(max_workers=len(work)) as pool:
        futures = [pool.submit(part) for part in work]
        try:
            done, _ = wait(futures, return_when=FIRST_EXCEPTION)
            for future in done:
                future.result()
        except BaseException:
            steps.stop()
            raise


def main(arguments: list[str]) -> int:
    """Prepare this clone; 1 and one sentence if the machine is not ready."""
    parser = argparse.ArgumentParser(prog="python3 -m deploy.local.bootstrap")
    parser.add_argument("--dev", action="store_true", help="also what tests and linters need")
    options = parser.parse_args(arguments)
    # So that `kill` ends the installers too, as Ctrl-C does.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        bootstrap(os.environ, options.dev)
    except SetupError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("The set-up was interrupted; `make up` goes on with it.", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
