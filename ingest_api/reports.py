"""The report site under /reports: static files with a fallback for its client-side routes.

Beside it, under /reports/data-docs, the pages of quality runs.
"""

import mimetypes
from pathlib import Path, PurePosixPath
from typing import Any

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

mimetypes.add_type("application/wasm", ".wasm")

NOT_BUILT = """<!doctype html><meta charset="utf-8"><meta http-equiv="refresh" content="10">
<title>LLMScope reports</title>
<p>The report pages are being built: this page looks again every 10 seconds."""
DATA_DOCS_POLICY = "default-src 'none'; style-src 'unsafe-inline'"
IMMUTABLE = "public, max-age=31536000, immutable"


class ReportSite(StaticFiles):
    """Serves the published site, whichever version of it is current at each request."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory=directory, html=True, check_dir=False, follow_symlink=True)
        self.root = directory
        # The site may be published after the API starts.
        self.config_checked = True

    async def get_response(self, path: str, scope: Scope) -> Response:
        """A file; else the page that routes in the browser; else a word that none is built yet."""
        if not (self.root / "index.html").exists():
            return HTMLResponse(NOT_BUILT, status_code=503, headers={"Retry-After": "10"})
        try:
            response = await self._get_file(path, scope)
        except HTTPException as error:
            if error.status_code != 404 or PurePosixPath(path).suffix:
                raise
            response = await self._get_file("index.html", scope)
        response.headers["Cache-Control"] = cache_control(path)
        return response

    async def _get_file(self, path: str, scope: Scope) -> Response:
        """The compressed twin where there is one: a first visit loads 9 MB instead of 36 MB."""
        response = await super().get_response(path, scope)
        response.headers["Vary"] = "Accept-Encoding"
        accepts_gzip = "gzip" in Headers(scope=scope).get("accept-encoding", "")
        if not accepts_gzip or not (self.root / f"{path}.gz").is_file():
            return response
        compressed = await super().get_response(f"{path}.gz", scope)
        compressed.headers["Content-Type"] = response.headers["content-type"]
        compressed.headers["Content-Encoding"] = "gzip"
        compressed.headers["Vary"] = "Accept-Encoding"
        return compressed


class DataDocsPages(StaticFiles):
    """Serves the pages of quality runs, which are published complete and replaced as a whole."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory=directory, html=True, check_dir=False)
        # The first run may come after the API starts.
        self.config_checked = True

    def file_response(self, *args: Any, **kwargs: Any) -> Response:
        """A page, asked for anew each time; it may load nothing, from wherever."""
        response = super().file_response(*args, **kwargs)
        response.headers["Cache-Control"] = "no-cache"
        response.headers["Content-Security-Policy"] = DATA_DOCS_POLICY
        return response


def cache_control(path: str) -> str:
    """Files with a content hash in their name never change; all else is asked for anew."""
    return IMMUTABLE if "_app/immutable/" in path else "no-cache"
