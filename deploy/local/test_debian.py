"""Reading what apt prints."""

import shutil
from pathlib import Path

import pytest

from deploy.local import debian
from deploy.local.errors import SetupError


@pytest.mark.parametrize(
    ("index_targets", "is_debian", "mirror"),
    [
        ("main Debian bookworm http://mirror/debian\n", True, "http://mirror/debian"),
        ("main Debian bookworm http://mirror/debian\n", False, "http://mirror/debian"),
        (
            "main Debian bookworm-security http://mirror/debian-security\n"
            "contrib Debian bookworm http://wrong/debian\n"
            "main Debian bookworm-updates http://mirror/debian\n",
            True,
            "http://mirror/debian",
        ),
        ("main Node nodistro http://node/\nmain Debian sid https://m/\n", True, "https://m/"),
        ("main  bookworm http://never-updated/debian\n", True, "http://never-updated/debian"),
        ("main  noble http://never-updated/ubuntu\n", False, None),
        ("main Ubuntu noble http://mirror/ubuntu\n", False, None),
        ("", True, None),
    ],
)
def test_the_mirror_is_the_one_that_the_machine_uses(
    index_targets: str, is_debian: bool, mirror: str | None
) -> None:
    assert debian.debian_mirror(index_targets, is_debian) == mirror


def test_package_names_are_read_from_planned_downloads() -> None:
    planned = (
        "'http://m/pool/libpq5_17.1-1_amd64.deb' libpq5_17.1-1_amd64.deb 228000 SHA256:ab\n"
        "'http://m/pool/tzdata_2026a_all.deb' tzdata_2026a_all.deb 100 SHA256:cd\n"
        "Reading package lists...\n"
    )
    assert debian.package_names(planned) == ["libpq5", "tzdata"]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("libpq5", True),
        ("libc6", True),
        ("zlib1g", True),
        ("libllvm19", False),
        ("libz3-4", False),
        ("libperl5.40", False),
        ("libjson-perl", False),
        ("perl", False),
        ("systemd", False),
    ],
)
def test_of_the_dependencies_only_libraries_are_fetched(name: str, expected: bool) -> None:
    assert debian.is_library(name) is expected


def test_a_system_without_apt_is_told_to_bring_its_services(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SetupError, match="set DATABASE_URL and REDIS_URL"):
        debian.require_apt()


@pytest.mark.skipif(not shutil.which("apt-get"), reason="needs apt")
def test_an_unreachable_mirror_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("LLMSCOPE_DEBIAN_MIRROR", "http://127.0.0.1:9/debian")
    with pytest.raises(SetupError, match="check the network") as raised:
        debian.PrivateApt(tmp_path).download(["redis-server"])
    assert "\n" not in str(raised.value)
