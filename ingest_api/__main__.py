"""`python -m ingest_api`: the API under uvicorn."""

import sys

import uvicorn
from fastapi import FastAPI

from ingest_api.app import create_app
from ingest_api.settings import SettingsError, read_settings


def app() -> FastAPI:
    """What each worker process of uvicorn serves."""
    return create_app(read_settings())


def main() -> None:
    """Serve until told to stop; what is in flight is finished first."""
    settings = read_settings()
    uvicorn.run(
        "ingest_api.__main__:app",
        factory=True,
        host=settings.api_host,
        port=settings.api_port,
        workers=settings.api_processes,
        log_level=settings.log_level,
        access_log=False,
        timeout_graceful_shutdown=10,
    )


if __name__ == "__main__":
    try:
        main()
    except SettingsError as error:
        sys.exit(str(error))
