"""Secrets at rest: encrypted, rotated, or held by the environment."""

import stat
from pathlib import Path

import pytest

from ingest_api.notifying.secrets import (
    KEY_FILE,
    SecretBox,
    SecretError,
    ensure_key_file,
    new_key,
    open_box,
    referred_values,
)

SECRETS = {"url": "https://hooks.example.com/T000/B000/hidden"}


def test_what_is_stored_shows_nothing_and_opens_again() -> None:
    box = SecretBox([new_key()])

    token = box.encrypt(SECRETS)

    assert token is not None
    assert b"hidden" not in token
    assert box.decrypt(token) == SECRETS
    assert box.encrypt(SECRETS) != token
    assert (box.encrypt({}), box.decrypt(None)) == (None, {})


def test_a_new_key_in_front_reads_the_old_and_rotation_lets_the_old_one_go() -> None:
    old, new = new_key(), new_key()
    token = SecretBox([old]).encrypt(SECRETS)
    assert token is not None

    rotated = SecretBox([new, old]).rotate(token)

    assert SecretBox([new, old]).decrypt(token) == SECRETS
    assert SecretBox([new]).decrypt(rotated) == SECRETS
    with pytest.raises(SecretError, match="LLMSCOPE_SECRET_KEY"):
        SecretBox([new]).decrypt(token)
    with pytest.raises(SecretError):
        SecretBox([old]).decrypt(rotated)


def test_the_setting_wins_over_the_file_of_the_first_start(tmp_path: Path) -> None:
    ensure_key_file(tmp_path)
    token = open_box("", tmp_path).encrypt(SECRETS)
    ensure_key_file(tmp_path)

    assert open_box("", tmp_path).decrypt(token) == SECRETS
    assert stat.S_IMODE((tmp_path / KEY_FILE).stat().st_mode) == 0o600
    with pytest.raises(SecretError):
        open_box(f"{new_key()}, {new_key()}", tmp_path).decrypt(token)


@pytest.mark.parametrize("text", ["", "short", "x" * 44])
def test_without_a_usable_key_the_refusal_names_the_variable(text: str, tmp_path: Path) -> None:
    with pytest.raises(SecretError, match="LLMSCOPE_SECRET_KEY") as refused:
        open_box(text, tmp_path)

    assert text not in str(refused.value) or not text


def test_a_reference_reads_its_variable_and_no_other() -> None:
    environment = {"LLMSCOPE_CHANNEL_URL": "https://x", "DATABASE_URL": "postgresql://secret"}

    assert referred_values({"url": "LLMSCOPE_CHANNEL_URL"}, environment) == {"url": "https://x"}
    for name in ("DATABASE_URL", "LLMSCOPE_SECRET_KEY", "LLMSCOPE_CHANNEL_MISSING", "PATH"):
        with pytest.raises(SecretError, match=name) as refused:
            referred_values({"url": name}, environment)
        assert "postgresql" not in str(refused.value)
