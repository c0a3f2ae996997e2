"""Asks a recorded call again through the real client library; a mock transport gives the answer."""

from __future__ import annotations

import importlib
import io
import json
import os
import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit

from llmscope._instrumentation.covering import is_installed
from tests.providers import http_of

# Libraries are imported where they are used: an environment need not have them all.
# huggingface_hub would ask a server of its own for something first, and keep the answer.
os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"

# Asked for where the request was not recorded.
UNKNOWN_MODEL = "m"


class Recording(NamedTuple):
    """One call as it was recorded.

    Attributes:
        provider: As the index names it.
        usage: The usage objects of the answer, in their order.
    """

    id: str
    provider: str
    url: str
    request: dict[str, Any]
    is_stream: bool
    status: int
    headers: dict[str, str]
    body: bytes
    usage: list[dict[str, Any]]
    model: str | None

    @property
    def path(self) -> str:
        """The path of the address."""
        return urlsplit(self.url).path

    def base_url(self, ending: str) -> str:
        """What a client points to that adds `ending` by itself."""
        return self.url[: -len(ending)]


Replay = Callable[[Recording], Any]


def is_replayed(provider: str, path: str) -> bool:
    """Whether a supported client makes calls to that path of a provider."""
    return _replay_of(provider, path) is not None


def _replay_of(provider: str, path: str) -> Replay | None:
    for package, who, ending, found in REPLAYS:
        if re.fullmatch(who, provider) and re.search(ending, path) and is_installed(package):
            return found
    return None


def replay(recording: Recording) -> Any:
    """What an application gets of the call: its value, all chunks, or the exception."""
    ask = _replay_of(recording.provider, recording.path)
    assert ask is not None
    try:
        return ask(recording)
    except Exception as error:
        return (type(error), str(error))


def _client(recording: Recording, library: str) -> Any:
    """A client of httpx, or of its successor, that answers as it was recorded."""
    http = importlib.import_module(library)

    def answer(_request: Any) -> Any:
        return http.Response(recording.status, headers=recording.headers, content=recording.body)

    return http.Client(transport=http.MockTransport(answer))


def _generated(package: str, kind: str, ending: str, create: str, *names: str) -> Replay:
    """A client that Stainless generates. `names` must be given by name; the rest goes as it is."""

    def ask(recording: Recording) -> Any:
        library = importlib.import_module(package)
        url = recording.base_url(ending)
        url = url.removesuffix("/openai/v1") if package == "groq" else url
        client = getattr(library, kind)(
            api_key="sk-test", base_url=url, max_retries=0,
            http_client=_client(recording, http_of(library).__name__),
        )  # fmt: skip
        request = dict(recording.request)
        is_stream = {"stream": True} if request.pop("stream", False) else {}
        given = {name: request.pop(name) for name in names if name in request}
        method = client
        for part in create.split("."):
            method = getattr(method, part)
        result = method(**given, **is_stream, extra_body=request or None)
        if isinstance(result, library.Stream):
            return [chunk.model_dump(exclude_unset=True) for chunk in result]
        is_model = hasattr(result, "model_dump")
        return result.model_dump(exclude_unset=True) if is_model else result

    return ask


def _google(recording: Recording) -> Any:
    from google import genai
    from google.auth.credentials import AnonymousCredentials

    request = dict(recording.request)
    is_vertex = recording.provider == "google-vertex"
    where = urlsplit(recording.url)
    options = {
        "base_url": f"{where.scheme}://{where.netloc}",
        "httpx_client": _client(recording, "httpx"),
    }
    who: dict[str, Any] = {"api_key": "k"}
    if is_vertex:
        credentials = AnonymousCredentials()
        credentials.token = "t"
        who = {"vertexai": True, "project": "p", "location": "l", "credentials": credentials}
    client = genai.Client(**who, http_options=genai.types.HttpOptions(**options))
    model, method = recording.path.rpartition("/")[2].split(":")
    config = {"http_options": {"extra_body": request}}
    ask: dict[str, Any] = {"model": unquote(model), "contents": "Hi", "config": config}
    if method == "generateContent":
        return client.models.generate_content(**ask).model_dump()
    if method == "streamGenerateContent":
        return [chunk.model_dump() for chunk in client.models.generate_content_stream(**ask)]
    return client.models.embed_content(**ask).model_dump()


def _mistral(recording: Recording) -> Any:
    from mistralai.client import Mistral

    client = Mistral(api_key="k", client=_client(recording, "httpx2"))
    request = dict(recording.request)
    is_stream = request.pop("stream", False)
    if recording.path.endswith("/embeddings"):
        inputs = request.get("input") or request.get("inputs")
        return client.embeddings.create(model=request["model"], inputs=inputs).model_dump()
    said = {"model": request["model"], "messages": [{"role": "user", "content": "Hi"}]}
    if not is_stream:
        return client.chat.complete(**said).model_dump()
    return [event.model_dump() for event in client.chat.stream(**said)]


def _cohere(recording: Recording) -> Any:
    import cohere

    where = urlsplit(recording.url)
    version, _, method = where.path.strip("/").partition("/")
    kind = cohere.ClientV2 if version == "v2" else cohere.Client
    client = kind(
        api_key="k",
        base_url=f"{where.scheme}://{where.netloc}",
        httpx_client=_client(recording, "httpx"),
    )
    request = dict(recording.request)
    is_stream = request.pop("stream", False)
    ask = getattr(client, f"{method}_stream" if is_stream else method)
    names = {
        "chat": ("model", "messages", "message"), "generate": ("model", "prompt"),
        "embed": ("model", "input_type", "texts", "inputs"),
        "rerank": ("model", "query", "documents"),
    }[method]  # fmt: skip
    given = {name: request[name] for name in names if name in request}
    if "documents" in given:
        given["documents"] = [d["text"] if isinstance(d, dict) else d for d in given["documents"]]
    if method == "chat" and version == "v2":
        given["messages"] = [{"role": "user", "content": "Hi"}]
    options: Any = {"additional_body_parameters": request, "max_retries": 0}
    result = ask(**given, request_options=options)
    return [event.dict() for event in result] if is_stream else result.dict()


def _hugging_face(recording: Recording) -> Any:
    import huggingface_hub

    huggingface_hub.set_client_factory(lambda: _client(recording, "httpx2"))
    request = recording.request
    if not recording.path.endswith("/chat/completions"):
        client = huggingface_hub.InferenceClient(model=recording.url, token="t")
        return client.text_generation("Hi", details=True)
    url = recording.base_url("/chat/completions")
    client = huggingface_hub.InferenceClient(base_url=url, token="t")
    names = ("messages", "stream", "stream_options")
    given = {name: request[name] for name in names if name in request} or {"messages": []}
    result = client.chat_completion(model=request.get("model", UNKNOWN_MODEL), **given)
    return list(result) if recording.is_stream else result


@lru_cache(maxsize=1)
def _boto3() -> Any:
    import boto3

    return boto3.client(
        "bedrock-runtime", region_name="us-east-1", aws_access_key_id="k",
        aws_secret_access_key="s",
    )  # fmt: skip


def _bedrock(recording: Recording) -> Any:
    import urllib3
    from botocore.awsrequest import AWSResponse

    client = _boto3()

    def answer(request: Any, **_: Any) -> Any:
        raw = urllib3.HTTPResponse(io.BytesIO(recording.body), preload_content=False)
        return AWSResponse(request.url, recording.status, recording.headers, raw)

    client.meta.events.register_first("before-send.bedrock-runtime", answer)
    try:
        return _bedrock_answer(client, recording)
    finally:
        client.meta.events.unregister("before-send.bedrock-runtime", answer)


def _bedrock_answer(client: Any, recording: Recording) -> Any:
    *_, model, method = recording.path.split("/")
    model = unquote(recording.path.partition("/model/")[2].rpartition("/")[0])
    said = [{"role": "user", "content": [{"text": "Hi"}]}]
    body = json.dumps(recording.request)
    if method == "converse":
        return client.converse(modelId=model, messages=said)
    if method == "converse-stream":
        return list(client.converse_stream(modelId=model, messages=said)["stream"])
    if method == "invoke":
        return client.invoke_model(modelId=model, body=body)["body"].read()
    return list(client.invoke_model_with_response_stream(modelId=model, body=body)["body"])


# All of these speak OpenAI's API.
_OPENAI = (
    "openai|azure|cerebras|crusoe|deepseek|heroku|ollama|openrouter|snowflake|together|zai"
    "|aws-bedrock"
)
_CHAT = ("chat.completions.create", "model", "messages", "stream_options")
# By library, provider and end of the path, the first that fits.
REPLAYS: tuple[tuple[str, str, str, Replay], ...] = (
    (
        "anthropic", "anthropic", r"/v1/messages$",
        _generated(
            "anthropic", "Anthropic", "/v1/messages", "messages.create",
            "model", "messages", "max_tokens",
        ),
    ),
    (
        "groq", "groq", r"/chat/completions$",
        _generated("groq", "Groq", "/chat/completions", *_CHAT[:3]),
    ),
    (
        "google.genai", "google|google-vertex",
        r":(stream)?[gG]enerateContent$|:(batchE|e)mbedContents?$", _google,
    ),
    ("mistralai", "mistral", r"/(chat/completions|embeddings)$", _mistral),
    ("cohere", "cohere", r"/(chat|generate|embed|rerank)$", _cohere),
    ("huggingface_hub", "huggingface", r"/chat/completions$|^/$", _hugging_face),
    (
        "boto3", "aws-bedrock",
        r"/(converse|converse-stream|invoke|invoke-with-response-stream)$", _bedrock,
    ),
    (
        "openai", _OPENAI, r"/chat/completions$",
        _generated("openai", "OpenAI", "/chat/completions", *_CHAT),
    ),
    (
        "openai", _OPENAI, r"/responses$",
        _generated(
            "openai", "OpenAI", "/responses", "responses.create", "model", "input", "stream_options"
        ),
    ),
    (
        "openai", _OPENAI, r"/embeddings$",
        _generated(
            "openai", "OpenAI", "/embeddings", "embeddings.create",
            "model", "input", "encoding_format",
        ),
    ),
    (
        "openai", _OPENAI, r"/completions$",
        _generated(
            "openai", "OpenAI", "/completions", "completions.create",
            "model", "prompt", "stream_options",
        ),
    ),
)  # fmt: skip
