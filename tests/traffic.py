"""Events with the token counts of real traffic, for kill tests and measurements."""

import csv
import os
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any, Final, NamedTuple
from uuid import UUID

from deploy.local.environment import ROOT

TRACE: Final = Path("azure-llm-2023") / "AzureLLMInferenceTrace_conv.csv"
# The trace has as many calls, with these medians.
TRACE_CALLS: Final = 19_366
MEDIAN_INPUT_TOKENS, MEDIAN_OUTPUT_TOKENS = 1_020, 129
MODELS: Final = (
    ("openai", "gpt-4o-mini", "gpt-4o-mini-2024-07-18"),
    ("anthropic", "claude-sonnet-4-5", "claude-sonnet-4-5-20250929"),
    ("mistral_ai", "mistral-small-latest", "mistral-small-latest"),
)
SERVICES: Final = ("support-chat", "document-search", "code-review", "ticket-triage")
# A UUID of version 8 (RFC 9562, section 5.8): 48 bits of the run, then the number of the event.
_VERSION_AND_VARIANT: Final = 0x8 << 76 | 0b10 << 62
_NUMBER_BITS: Final = 62


class CallSizes(NamedTuple):
    """Input and output tokens of calls, in their order, and where they are from."""

    tokens: list[tuple[int, int]]
    origin: str


def corpus() -> Path:
    """Folder of the real data that some tests and measurements use."""
    return Path(os.environ.get("LLMSCOPE_CORPUS", ROOT.parent / "shared" / "data"))


def read_call_sizes(folder: Path) -> CallSizes:
    """The sizes of the Azure trace, or as many made-up ones where it is missing."""
    path = folder / TRACE
    if not path.exists():
        return CallSizes(_made_up_sizes(), f"made up, because {path} is missing")
    with path.open() as file:
        rows = [(int(r["ContextTokens"]), int(r["GeneratedTokens"])) for r in csv.DictReader(file)]
    return CallSizes(rows, f"{len(rows)} calls of {TRACE.parent}")


def _made_up_sizes() -> list[tuple[int, int]]:
    rng = Random(1)
    return [
        (
            round(MEDIAN_INPUT_TOKENS * rng.lognormvariate(0, 1)),
            round(MEDIAN_OUTPUT_TOKENS * rng.lognormvariate(0, 1)),
        )
        for _ in range(TRACE_CALLS)
    ]


@dataclass(frozen=True)
class Traffic:
    """Pure: the number of an event -> the event, the same every time.

    Attributes:
        run: Tells the events of one run from those of others; 48 bits.
        sizes: Used again from the start once they are used up.
        begin: When event 0 started; aware, UTC.
        events_per_second: How far apart the events start.
    """

    run: int
    sizes: CallSizes
    begin: datetime
    events_per_second: int

    @property
    def name(self) -> str:
        """What the tag `run` of every event says."""
        return f"{self.run:012x}"

    def event_id(self, number: int) -> UUID:
        """The id of an event."""
        return UUID(int=self.run << 80 | _VERSION_AND_VARIANT | number)

    def number_of(self, event_id: UUID) -> int:
        """The number of the event with this id.

        Raises:
            ValueError: the id is not one of this traffic.
        """
        number = event_id.int & ((1 << _NUMBER_BITS) - 1)
        if self.event_id(number) != event_id:
            raise ValueError(f"{event_id} is not of run {self.name}")
        return number

    def tokens(self, number: int) -> tuple[int, int]:
        """Input and output tokens of an event."""
        return self.sizes.tokens[number % len(self.sizes.tokens)]

    def event(self, number: int) -> dict[str, Any]:
        """An event as an SDK would send it."""
        input_tokens, output_tokens = self.tokens(number)
        provider, request_model, response_model = MODELS[number % len(MODELS)]
        started_at = self.begin + timedelta(seconds=number / self.events_per_second)
        return {
            "event_id": str(self.event_id(number)),
            "provider_name": provider,
            "request_model": request_model,
            "response_model": response_model,
            "started_at": started_at.isoformat(),
            "duration_seconds": round(0.4 + output_tokens / 60, 3),
            "input_tokens": input_tokens,
            "output_tokens": output_tokens,
            "usage_details": {
                "prompt_tokens": input_tokens,
                "completion_tokens": output_tokens,
                "total_tokens": input_tokens + output_tokens,
            },
            "user_id": f"user-{number % 997:03d}",
            "service_name": SERVICES[number % len(SERVICES)],
            "tags": {"run": self.name, "team": f"team-{number % 7}"},
        }
