"""`python -m ingest_api`: the API under uvicorn."""

import gc
import os
import sys
import tempfile

import uvicorn

from ingest_api.app import Api, create_app
from ingest_api.http_protocol import EventProtocol
from ingest_api.live.protocols import FeedWebSocketProtocol
from ingest_api.metrics import MULTIPROCESS_FOLDER
from ingest_api.settings import Settings, SettingsError, read_settings

# Requests leave no cycles behind, so that a search for garbage finds none; but 256 requests under
# way hold 20,800 objects, and with a threshold below that it is searched for ever: 10 us a request.
GARBAGE_THRESHOLDS = 200_000, 20, 50


def app() -> Api:
    """What each worker process of uvicorn serves."""
    served = create_app(read_settings())
    # Every route with a key reads it: made now, the first request need not wait 0.2 s for it.
    served.openapi()
    gc.collect()
    # What is loaded by now stays and need not be searched: 88,000 objects.
    gc.freeze()
    gc.set_threshold(*GARBAGE_THRESHOLDS)
    return served


def main() -> None:
    """Serve until told to stop; what is in flight is finished first."""
    settings = read_settings()
    if settings.api_processes == 1:
        _serve(settings)
        return
    with tempfile.TemporaryDirectory(prefix="llmscope-metrics-") as folder:
        # Worker processes inherit it, and count into files there.
        os.environ[MULTIPROCESS_FOLDER] = folder
        _serve(settings)


def _serve(settings: Settings) -> None:
    uvicorn.run(
        "ingest_api.__main__:app",
        factory=True,
        host=settings.api_host,
        port=settings.api_port,
        workers=settings.api_processes,
        log_level=settings.log_level,
        access_log=False,
        http=EventProtocol,
        ws=FeedWebSocketProtocol,
        # Compressed for each client by itself, a feed would cost ten times as much.
        ws_per_message_deflate=False,
        # Clients of the feed have nothing to say.
        ws_max_size=64 * 1024,
        server_header=False,
        # Nothing asks for the client's address or for the scheme.
        proxy_headers=False,
        timeout_graceful_shutdown=10,
    )


if __name__ == "__main__":
    try:
        main()
    except SettingsError as error:
        sys.exit(str(error))
