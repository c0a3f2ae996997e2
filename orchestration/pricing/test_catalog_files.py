import json
from pathlib import Path

import pytest

from orchestration.pricing.catalog import Observed, bundled_catalog, resolve
from orchestration.pricing.catalog_files import CatalogError, read_catalog
from orchestration.pricing.own_prices import read_own_prices

PROVIDER = {
    "id": "acme",
    "name": "Acme",
    "api_pattern": "https://acme",
    "models": [{"id": "m", "match": {"equals": "m"}, "prices": {"input_mtok": 2}}],
}
YAML = """
id: acme
name: Acme
api_pattern: https://acme
models:
  - {id: m, match: {equals: m}, prices: {input_mtok: 2}}
"""


def test_without_a_file_the_installed_catalog_is_used() -> None:
    assert read_catalog(None) == bundled_catalog()


def test_a_file_and_a_folder_of_provider_files_give_the_same_prices(tmp_path: Path) -> None:
    file, folder = tmp_path / "data.json", tmp_path / "providers"
    folder.mkdir()
    file.write_text(json.dumps([PROVIDER]))
    (folder / "acme.yml").write_text(YAML)
    for path in (file, folder):
        match = resolve(read_catalog(path), Observed("acme", "m", None))
        assert [(row.token_kind, row.usd_per_million) for row in match.prices] == [("input", 2)]


def test_another_file_is_another_version(tmp_path: Path) -> None:
    file = tmp_path / "data.json"
    versions = set()
    for usd in (1, 2):
        PROVIDER["models"][0]["prices"]["input_mtok"] = usd  # type: ignore[index]
        file.write_text(json.dumps([PROVIDER]))
        versions.add(read_catalog(file).version)
    assert len(versions) == 2


@pytest.mark.parametrize("content", ["{", "{}", '[{"id": 1}]', "[1]", '"x"', "\udcff"])
def test_what_is_no_catalog_says_what_it_must_be(tmp_path: Path, content: str) -> None:
    file = tmp_path / "data.json"
    file.write_text(content, errors="surrogateescape")
    with pytest.raises(CatalogError, match=r"LLMSCOPE_PRICE_CATALOG .*data\.json of genai-prices"):
        read_catalog(file)


def test_a_catalog_that_is_not_there_says_so(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "nowhere.json"):
        with pytest.raises(CatalogError, match="LLMSCOPE_PRICE_CATALOG"):
            read_catalog(path)


def test_our_own_prices_are_for_providers_that_the_catalog_lacks() -> None:
    prices = read_own_prices()
    assert {price.provider_name for price in prices} >= {"ai21"}
    for price in prices:
        assert bundled_catalog().provider(price.provider_name) is None, price.provider_name
