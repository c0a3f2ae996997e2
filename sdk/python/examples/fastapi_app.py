"""A FastAPI application whose calls carry the user and the conversation of their request.

uvicorn fastapi_app:app
curl -H 'X-User-Id: u-7' -H 'X-Conversation-Id: c-12' 'http://127.0.0.1:8000/ask?question=Hi'
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import openai
from fastapi import FastAPI

import llmscope

llmscope.init(service_name="example-fastapi")
llmscope.instrument()
client = openai.AsyncOpenAI()


@asynccontextmanager
async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
    yield
    # uvicorn ends by the signal that stopped it, and such an end runs no `atexit`.
    llmscope.shutdown()


app = FastAPI(lifespan=lifespan)


class CallerContext:
    """Plain ASGI: what it sets also holds while a response streams, and in threads of the pool."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        headers = {name.decode(): value.decode() for name, value in scope.get("headers", ())}
        with llmscope.context(
            user_id=headers.get("x-user-id"), conversation_id=headers.get("x-conversation-id")
        ):
            await self.app(scope, receive, send)


app.add_middleware(CallerContext)


@app.get("/ask")
async def ask(question: str) -> dict[str, str | None]:
    answer = await client.chat.completions.create(
        model="gpt-4o-mini", messages=[{"role": "user", "content": question}]
    )
    return {"answer": answer.choices[0].message.content}
