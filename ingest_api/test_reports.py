"""The report site is served as it is published."""

import httpx

from ingest_api.settings import Settings


async def test_report_pages_are_served_as_they_are_published(
    client: httpx.AsyncClient, settings: Settings
) -> None:
    assert (await client.get("/reports/")).status_code == 503
    site = settings.home / "reports" / "site"
    (site / "_app" / "immutable").mkdir(parents=True)
    (site / "index.html").write_text("<h1>pages</h1>")
    (site / "_app" / "immutable" / "x.wasm").write_bytes(b"wasm")
    page = await client.get("/reports/models/gpt-4o")
    assert (page.status_code, page.text) == (200, "<h1>pages</h1>")
    assert page.headers["cache-control"] == "no-cache"
    module = await client.get("/reports/_app/immutable/x.wasm")
    assert module.headers["content-type"] == "application/wasm"
    assert "immutable" in module.headers["cache-control"]
    assert (await client.get("/reports/missing.js")).status_code == 404
    assert (await client.get("/reports/../../api_key")).status_code in {307, 404}


async def test_pages_of_quality_runs_are_served_and_may_load_nothing(
    client: httpx.AsyncClient, settings: Settings
) -> None:
    assert (await client.get("/reports/data-docs/")).status_code == 404
    run = settings.home / "data-docs" / "20260101T120000-abc"
    run.mkdir(parents=True)
    (run / "index.html").write_text("<h1>run</h1>")
    page = await client.get(f"/reports/data-docs/{run.name}/")
    assert (page.status_code, page.text) == (200, "<h1>run</h1>")
    assert page.headers["cache-control"] == "no-cache"
    assert page.headers["content-security-policy"].startswith("default-src 'none'")
