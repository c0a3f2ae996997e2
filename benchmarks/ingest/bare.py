"""The yardsticks: handlers that read the body and answer 202, on the server that the API uses.

`python -m benchmarks.ingest.bare PORT asgi|fastapi`
"""

import sys
from typing import Any

import uvicorn
from fastapi import FastAPI, Request
from starlette.responses import Response


async def asgi(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Read, and answer 202 without a body."""
    if scope["type"] != "http":
        return
    while (await receive()).get("more_body"):
        pass
    headers = [(b"content-length", b"0")]
    await send({"type": "http.response.start", "status": 202, "headers": headers})
    await send({"type": "http.response.body", "body": b""})


fastapi = FastAPI(docs_url=None)


@fastapi.post("/{path:path}")
async def answer(request: Request) -> Response:
    """Read, and answer 202 without a body."""
    await request.body()
    return Response(status_code=202)


if __name__ == "__main__":
    uvicorn.run(
        {"asgi": asgi, "fastapi": fastapi}[sys.argv[2]],  # type: ignore[arg-type]
        host="127.0.0.1",
        port=int(sys.argv[1]),
        loop="uvloop",
        http="httptools",
        lifespan="off",
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,
    )
