"""What a reader finds at `site` before, during and after a publication."""

import json
from pathlib import Path

import pytest

from orchestration.reporting.evidence import SiteFolders
from orchestration.reporting.publishing import (
    UNUSED_DATA_SECONDS,
    Published,
    publish,
    read_published,
)

NOW = 1_800_000_000.0
TABLE = "static/data/llmscope/calls/calls.parquet"


@pytest.fixture
def folders(tmp_path: Path) -> SiteFolders:
    made = SiteFolders(project=tmp_path / "project", state=tmp_path / "state")
    build_shell(made, "shell-1")
    write_data(made, "rows 1")
    return made


def build_shell(folders: SiteFolders, fingerprint: str) -> None:
    folders.shell.mkdir(parents=True, exist_ok=True)
    (folders.shell / "fingerprint.txt").write_text(fingerprint + "\n")
    (folders.shell / "index.html").write_text(f"page of {fingerprint}")


def write_data(folders: SiteFolders, content: str) -> None:
    file = folders.data / "llmscope" / "calls" / "calls.parquet"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(content)
    manifest = {"renderedFiles": {"llmscope": [TABLE]}}
    (folders.data / "manifest.json").write_text(json.dumps(manifest))


def published_file(folders: SiteFolders) -> Path:
    """The data file that a page which is opened now would read."""
    manifest = json.loads((folders.site / "data" / "manifest.json").read_text())
    url: str = manifest["renderedFiles"]["llmscope"][0]
    return folders.site / url.removeprefix("static/")


def test_nothing_is_published_at_first(folders: SiteFolders) -> None:
    assert read_published(folders) is None


def test_the_shell_and_the_data_are_published_together(folders: SiteFolders) -> None:
    size = publish(folders, "marts 1", NOW)
    assert size == len("rows 1")
    assert (folders.site / "index.html").read_text() == "page of shell-1"
    assert published_file(folders).read_text() == "rows 1"
    assert read_published(folders) == Published("shell-1", "marts 1", NOW)


def test_an_open_page_keeps_the_files_it_began_with(folders: SiteFolders) -> None:
    publish(folders, "marts 1", NOW)
    opened = published_file(folders)
    write_data(folders, "rows 2")
    publish(folders, "marts 2", NOW + 60)
    assert opened.read_text() == "rows 1"
    assert published_file(folders).read_text() == "rows 2"


def test_an_open_page_keeps_its_files_through_a_new_shell(folders: SiteFolders) -> None:
    publish(folders, "marts 1", NOW)
    opened = published_file(folders)
    build_shell(folders, "shell-2")
    write_data(folders, "rows 2")
    publish(folders, "marts 2", NOW + 60)
    assert (folders.site / "index.html").read_text() == "page of shell-2"
    assert opened.read_text() == "rows 1"


def test_the_same_data_twice_is_one_file(folders: SiteFolders) -> None:
    publish(folders, "marts 1", NOW)
    publish(folders, "marts 2", NOW + 60)
    assert len(list(folders.site.glob("data/*/*/*/*.parquet"))) == 1


def test_data_that_nobody_can_have_open_is_removed(folders: SiteFolders) -> None:
    publish(folders, "marts 1", NOW)
    write_data(folders, "rows 2")
    publish(folders, "marts 2", NOW + UNUSED_DATA_SECONDS + 1)
    remaining = [path.read_text() for path in folders.site.glob("data/*/*/*/*.parquet")]
    assert remaining == ["rows 2"]


def test_a_publication_cut_short_leaves_the_one_before(folders: SiteFolders) -> None:
    publish(folders, "marts 1", NOW)
    build_shell(folders, "shell-2")
    (folders.data / "llmscope" / "calls" / "calls.parquet").unlink()
    with pytest.raises(FileNotFoundError):
        publish(folders, "marts 2", NOW + 60)
    assert (folders.site / "index.html").read_text() == "page of shell-1"
    assert read_published(folders) == Published("shell-1", "marts 1", NOW)


def test_the_release_before_the_published_one_is_kept(folders: SiteFolders) -> None:
    for number in range(1, 5):
        build_shell(folders, f"shell-{number}")
        publish(folders, f"marts {number}", NOW + number)
    assert {path.name for path in folders.releases.iterdir()} == {"shell-3", "shell-4"}
