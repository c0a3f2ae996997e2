"""The OpenAPI document as tests read it."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import httpx
from jsonschema import Draft202012Validator

from ingest_api.errors import PROBLEM_TYPE_PREFIX

PROBLEM = "application/problem+json"
Document = dict[str, Any]


class Operation(NamedTuple):
    """A method of a path, and what the document says of it."""

    method: str
    path: str
    definition: dict[str, Any]

    @property
    def label(self) -> str:
        """As in `GET /healthz`."""
        return f"{self.method} {self.path}"


class Outcome(NamedTuple):
    """What an operation may answer; `problem` is empty where the answer is none."""

    operation: str
    status: int
    problem: str


def operations(document: Document) -> Iterator[Operation]:
    """All of them."""
    for path, methods in document["paths"].items():
        for method, definition in methods.items():
            yield Operation(method.upper(), path, definition)


def examples(media: dict[str, Any]) -> list[Any]:
    """The examples of a body, in either form."""
    named = [example["value"] for example in media.get("examples", {}).values()]
    return [*named, *([media["example"]] if "example" in media else [])]


def documented(operation: Operation) -> Iterator[Outcome]:
    """Every outcome that the document lists, one for each problem that it shows."""
    for status, answer in operation.definition["responses"].items():
        content = answer.get("content", {})
        for example in examples(content.get(PROBLEM, {})):
            problem = example["type"].removeprefix(PROBLEM_TYPE_PREFIX)
            yield Outcome(operation.label, int(status), problem)
        if not content or set(content) != {PROBLEM}:
            yield Outcome(operation.label, int(status), "")


def outcome(operation: Operation, answer: httpx.Response) -> Outcome:
    """What an answer is, in the document's terms."""
    kind = answer.json()["type"] if answer.headers.get("content-type") == PROBLEM else ""
    return Outcome(operation.label, answer.status_code, kind.removeprefix(PROBLEM_TYPE_PREFIX))


def validator(document: Document, schema: dict[str, Any]) -> Draft202012Validator:
    """Checks values against a schema that may point into the document."""
    return Draft202012Validator(
        {**schema, "components": document["components"]},
        format_checker=Draft202012Validator.FORMAT_CHECKER,
    )


def check_answer(document: Document, operation: Operation, answer: httpx.Response) -> None:
    """Fail where an answer lacks a promised header or its body has not the promised form."""
    promised = operation.definition["responses"][str(answer.status_code)]
    for name, header in promised.get("headers", {}).items():
        assert name in answer.headers or not header.get("required"), (operation.label, name)
    if promised.get("content"):
        media = promised["content"][answer.headers["content-type"].partition(";")[0]]
        if "json" in answer.headers["content-type"] and "schema" in media:
            validator(document, media["schema"]).validate(answer.json())
