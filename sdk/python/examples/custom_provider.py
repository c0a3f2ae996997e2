"""A provider of your own, three ways: a decorator, a context manager and plain `record`.

Run it with LLMSCOPE_API_KEY (and LLMSCOPE_URL) set; `llmscope tail` shows three calls.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import llmscope


@dataclass
class Answer:
    """What the provider's own client returns."""

    text: str
    tokens_in: int
    tokens_out: int


class AcmeClient:
    """Stands where your client stands."""

    def complete(self, prompt: str) -> Answer:
        return Answer(prompt.upper(), len(prompt.split()), 3)


acme = AcmeClient()


def usage(answer: Answer) -> dict[str, Any]:
    return {
        "input_tokens": answer.tokens_in,
        "output_tokens": answer.tokens_out,
        "usage_source": "provider",
    }


@llmscope.recorded("acme", "acme-large", describe=usage)
def ask(prompt: str) -> Answer:
    return acme.complete(prompt)


def ask_in_block(prompt: str) -> Answer:
    # Fails with the block: an exception inside is recorded with its type, and raised.
    with llmscope.call("acme", "acme-large") as call:
        answer = acme.complete(prompt)
        call.set(**usage(answer))
    return answer


def main() -> None:
    llmscope.init(service_name="example-custom-provider")
    with llmscope.context(user_id="u-7", conversation_id="c-12", tags={"feature": "search"}):
        ask("one two three")
        ask_in_block("one two three four")
        llmscope.record(
            provider_name="acme",
            request_model="acme-embed",
            operation_name="embeddings",
            input_tokens=5,
            duration_seconds=0.2,
            tags={"way": "record"},
        )


if __name__ == "__main__":
    main()
