"""Fetch DuckDB's signed parquet extension for WebAssembly: no page asks another site for it.

DuckDB 1.3.2 (npm package `@duckdb/duckdb-wasm` 1.30.0) has no parquet reader built in. The wheel
`embedding-atlas` (MIT) carries the official signed files; they are checked against known digests.
"""

import hashlib
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

WHEEL = "embedding-atlas==0.20.0"
DUCKDB_VERSION = "v1.3.2"
FILE_NAME = "parquet.duckdb_extension.wasm"
SHA256_BY_PLATFORM = {
    "wasm_eh": "0cd8dbaeeba5773e82254b2a2ae115d8bac33b67e55b1d5b55308796b5f86ce0",
    "wasm_mvp": "dca8262bc69da4210ef609d606b9e88122088b3c31fcd019e54971bfdfc0c555",
}
TARGET = Path(__file__).resolve().parent.parent / "static" / "duckdb-ext" / DUCKDB_VERSION


def is_genuine(content: bytes, platform: str) -> bool:
    """Whether `content` is the extension of that DuckDB platform, byte for byte."""
    return hashlib.sha256(content).hexdigest() == SHA256_BY_PLATFORM[platform]


def is_present(platform: str) -> bool:
    """Whether an earlier run left a genuine file."""
    path = TARGET / platform / FILE_NAME
    return path.exists() and is_genuine(path.read_bytes(), platform)


def download_wheel(folder: Path) -> Path:
    """Let pip, with whatever index it is configured for, download the wheel into `folder`."""
    # --python-version: the wheel is read as a zip file, never installed on this interpreter.
    command = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    command += ["download", "--no-cache-dir", "--no-deps", "--only-binary=:all:"]
    command += ["--python-version", "3.11", "--dest", str(folder), WHEEL]
    subprocess.run(command, check=True, timeout=300)
    return next(folder.glob("*.whl"))


def extract(wheel: Path, platform: str) -> None:
    """Write one platform's extension below `static/`.

    Raises:
        SystemExit: The file in the wheel is not the one known.
    """
    with zipfile.ZipFile(wheel) as archive:
        member = f"embedding_atlas/static/duckdb-wasm/{DUCKDB_VERSION}/{platform}/{FILE_NAME}"
        content = archive.read(member)
    if not is_genuine(content, platform):
        raise SystemExit(f"{WHEEL}: {member} has an unexpected sha256; nothing was written.")
    path = TARGET / platform / FILE_NAME
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def main() -> None:
    """Fetch what is missing; a second run does nothing."""
    missing = [platform for platform in SHA256_BY_PLATFORM if not is_present(platform)]
    if not missing:
        return
    with tempfile.TemporaryDirectory() as folder:
        wheel = download_wheel(Path(folder))
        for platform in missing:
            extract(wheel, platform)
    sys.stdout.write(f"DuckDB parquet extension {DUCKDB_VERSION}: ready\n")


if __name__ == "__main__":
    main()
