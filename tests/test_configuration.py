"""Every setting is documented where people look for it."""

import re

import pytest

from deploy.local.environment import ROOT
from ingest_api import settings
from orchestration.settings import OrchestrationSettings

README = (ROOT / "README.md").read_text()
EXAMPLE = (ROOT / ".env.example").read_text()
# What the runner or compose computes from other settings.
COMPUTED = {
    "LLMSCOPE_LOADED_BEFORE",
    "LLMSCOPE_RUNNER_PID",
    "LLMSCOPE_CODE_SERVER_HOST",
    "LLMSCOPE_CODE_SERVER_PORT",
    "LLMSCOPE_DAGSTER_PORT",
}
# Secrets of channels that operators give names of their own.
CHOSEN_BY_PEOPLE = "LLMSCOPE_CHANNEL"
# Read before `.env` is.
BEFORE_DOTENV = {"LLMSCOPE_DEBIAN_MIRROR"}


def names_in_code() -> set[str]:
    """Every LLMSCOPE_ variable that a source file names."""
    folders = ("ingest_api", "orchestration", "cli", "deploy/local")
    files = [f for folder in folders for f in (ROOT / folder).rglob("*.py")]
    text = "\n".join(f.read_text() for f in files if not f.name.startswith("test_"))
    found = set(re.findall(r"LLMSCOPE_[A-Z][A-Z_]+[A-Z]", text))
    return {name for name in found if not name.startswith(CHOSEN_BY_PEOPLE)}


def setting_names() -> set[str]:
    """Every variable behind a field of a settings class."""
    fields = {settings.environment_name(name) for name in settings.Settings.model_fields}
    return fields | {
        f"LLMSCOPE_{name.upper()}"
        for name, field in OrchestrationSettings.model_fields.items()
        if not field.validation_alias
    }


@pytest.mark.parametrize("name", sorted((names_in_code() | setting_names()) - COMPUTED))
def test_every_setting_is_in_the_readme_and_the_example(name: str) -> None:
    assert f"| `{name}` |" in README
    assert name in BEFORE_DOTENV or f"# {name}=" in EXAMPLE


def test_every_default_in_the_readme_is_the_real_one() -> None:
    for name, field in settings.Settings.model_fields.items():
        row = re.search(rf"\| `{settings.environment_name(name)}` \| `([^`]*)` \|", README)
        if row:
            assert row[1] == str(field.default)
