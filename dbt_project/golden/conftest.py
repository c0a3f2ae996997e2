"""Where the golden tests find real data."""

import os
from pathlib import Path

import pytest


@pytest.fixture
def corpus_path() -> Path:
    """Folder of the real data; may be absent."""
    default = Path(__file__).resolve().parents[3] / "shared" / "data"
    return Path(os.environ.get("LLMSCOPE_CORPUS", default))
