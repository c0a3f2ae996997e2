"""A WSGI application under gunicorn: initialised once, before its workers are forked.

    gunicorn --preload --workers 2 gunicorn_app:application

Each worker has a queue and a thread of its own, and sends what waits when it ends.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import Any

import openai

import llmscope

llmscope.init(service_name="example-gunicorn")
llmscope.instrument()
client = openai.OpenAI()


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    with llmscope.context(tags={"worker": str(os.getpid()), "path": environ["PATH_INFO"]}):
        answer = client.chat.completions.create(
            model="gpt-4o-mini", messages=[{"role": "user", "content": "Hi"}]
        )
    start_response("200 OK", [("Content-Type", "text/plain; charset=utf-8")])
    return [(answer.choices[0].message.content or "").encode()]
