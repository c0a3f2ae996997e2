"""A price catalog from a file of the operator's, so that prices renew without an upgrade."""

import hashlib
import json
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

# What `genai_prices.UpdatePrices` itself reads a fetched catalog with; it has no public name.
from genai_prices.types import _providers_from_raw

from orchestration.pricing.catalog import Catalog, bundled_catalog

VERSION_CHARACTERS = 12


class CatalogError(ValueError):
    """LLMSCOPE_PRICE_CATALOG cannot be used; the message says why and what it must be."""


def read_catalog(path: Path | None) -> Catalog:
    """The catalog at `path`; without one, the catalog that the installed `genai-prices` carries.

    `path` is a `data.json` as genai-prices publishes it, or a folder of its provider files
    (`*.yml`). The version is the hash of what was read: another file is another version.

    Raises:
        CatalogError: there is none, or it has another form.
    """
    if path is None:
        return bundled_catalog()
    try:
        files = sorted(path.rglob("*.yml")) if path.is_dir() else [path]
        contents = tuple(file.read_bytes() for file in files)
    except OSError as error:
        raise _error(path, f"cannot be read: {error}") from None
    if not contents:
        raise _error(path, "is a folder without a *.yml")
    try:
        return _parsed(contents, is_yaml=path.is_dir())
    except (ValueError, TypeError, AttributeError, yaml.YAMLError) as error:
        raise _error(path, f"is no price catalog: {' '.join(str(error).split())[:300]}") from None


# A file of 350 kB takes a second to parse, and prices are refreshed with every build.
@lru_cache(maxsize=2)
def _parsed(contents: tuple[bytes, ...], *, is_yaml: bool) -> Catalog:
    raw: list[Any] = (
        [yaml.safe_load(content) for content in contents] if is_yaml else json.loads(contents[0])
    )
    if not isinstance(raw, list):
        raise ValueError("it must be a list of providers")
    version = hashlib.sha256(b"\0".join(contents)).hexdigest()[:VERSION_CHARACTERS]
    return Catalog(f"file {version}", _providers_from_raw(raw))


def _error(path: Path, reason: str) -> CatalogError:
    return CatalogError(
        f"LLMSCOPE_PRICE_CATALOG {path} {reason}. It must be a data.json of genai-prices or a "
        "folder of its provider files; unset it to use the catalog of the installed version."
    )
