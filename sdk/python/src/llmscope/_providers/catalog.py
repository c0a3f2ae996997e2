"""Every call of a model that the SDK knows, by the ending of its path, for each client library."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Callable

from llmscope._providers import anthropic, bedrock, cohere, google, huggingface, openai
from llmscope._providers.apis import Api, Read, StreamReader

Apis = Mapping[str, Api]


def _openai(
    operation: str, stream: Callable[[], StreamReader] = openai.ChatStream, asks: bool = False
) -> Api:
    return Api(operation, openai.read, stream, openai.input_messages, openai.output_messages, asks)


def _google(operation: str, read: Read = google.read) -> Api:
    messages: Any = (google.input_messages, google.output_messages)
    return Api(operation, read, google.ContentStream, *messages)


def _cohere(operation: str) -> Api:
    messages: Any = (cohere.input_messages, cohere.output_messages)
    return Api(operation, cohere.read, cohere.ChatStream, *messages)


def _bedrock(read: Read, stream: Callable[[], StreamReader]) -> Api:
    return Api("chat", read, stream, bedrock.input_messages, bedrock.output_messages)


OPENAI_APIS: Apis = {
    "/chat/completions": _openai("chat", asks=True),
    "/completions": _openai("text_completion", asks=True),
    "/embeddings": _openai("embeddings"),
    "/responses": _openai("chat", openai.ResponseStream),
    "/images/generations": _openai("image_generation"),
    "/images/edits": _openai("image_generation"),
    "/audio/transcriptions": _openai("transcription"),
}
ANTHROPIC_APIS: Apis = {
    "/v1/messages": Api(
        "chat", anthropic.read, anthropic.MessageStream,
        anthropic.input_messages, anthropic.output_messages,
    ),
}  # fmt: skip
GOOGLE_APIS: Apis = {
    ":generateContent": _google("generate_content"),
    ":streamGenerateContent": _google("generate_content"),
    ":embedContent": _google("embeddings", google.read_embedding),
    ":batchEmbedContents": _google("embeddings", google.read_embedding),
    ":predict": _google("embeddings", google.read_embedding),
}
MISTRAL_APIS: Apis = {
    "/v1/chat/completions": _openai("chat"),
    "/v1/fim/completions": _openai("text_completion"),
    "/v1/agents/completions": _openai("chat"),
    "/v1/embeddings": _openai("embeddings"),
}
COHERE_APIS: Apis = {
    "/chat": _cohere("chat"),
    "/generate": _cohere("text_completion"),
    "/embed": _cohere("embeddings"),
    "/rerank": _cohere("rerank"),
}
HUGGING_FACE_APIS: Apis = {
    "/chat/completions": _openai("chat"),
    "/completions": _openai("text_completion"),
    "/embeddings": _openai("embeddings"),
    # By the library's name of the task, where the address does not tell.
    "/text-generation": Api(
        "text_completion", huggingface.read, huggingface.TextStream,
        huggingface.input_messages, huggingface.output_messages,
    ),
    "/feature-extraction": _openai("embeddings"),
    "/sentence-similarity": _openai("embeddings"),
    "/text-to-image": _openai("image_generation"),
    "/automatic-speech-recognition": _openai("transcription"),
}  # fmt: skip
AI21_APIS: Apis = {"/chat/completions": _openai("chat")}
BEDROCK_APIS: Apis = {
    "/converse": _bedrock(bedrock.read, bedrock.ConverseStream),
    "/converse-stream": _bedrock(bedrock.read, bedrock.ConverseStream),
    "/invoke": _bedrock(bedrock.read_invocation, bedrock.InvocationStream),
    "/invoke-with-response-stream": _bedrock(bedrock.read_invocation, bedrock.InvocationStream),
}
