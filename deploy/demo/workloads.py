"""The imagined company behind the demo: which applications call which models, and how.

Sizes are medians; calls scatter around them. Model names are those that providers answer with, so
that all but `UNPRICED_MODELS` have a price.
"""

from dataclasses import dataclass
from typing import Final, Literal

# Share of the calls by hour of the day, UTC.
OFFICE_HOURS: Final = (
    1, 1, 1, 1, 1, 2, 4, 8, 14, 18, 19, 17,
    13, 16, 19, 18, 14, 9, 5, 4, 3, 2, 2, 1,
)  # fmt: skip
NIGHT_HOURS: Final = (2, 8, 12, 8, 3, *[0] * 18, 1)


@dataclass(frozen=True)
class Model:
    """A model as its provider serves it.

    Attributes:
        provider_name: OpenTelemetry provider name.
        request_model: What applications ask for.
        response_model: What answers.
        first_chunk_seconds: Median wait for the first chunk.
        tokens_per_second: Output speed after it; 0 where nothing is generated.
        usage_style: Whose usage object the answer carries.
    """

    provider_name: str
    request_model: str
    response_model: str
    first_chunk_seconds: float
    tokens_per_second: float
    usage_style: Literal["openai", "anthropic", "google", "none"] = "none"


def _openai(request_model: str, response_model: str, first: float, speed: float) -> Model:
    return Model("openai", request_model, response_model, first, speed, "openai")


def _anthropic(model: str, first: float, speed: float) -> Model:
    return Model("anthropic", model, model, first, speed, "anthropic")


GPT_4O = _openai("gpt-4o-2024-08-06", "gpt-4o-2024-08-06", 0.55, 75)
GPT_4O_MINI = _openai("gpt-4o-mini", "gpt-4o-mini-2024-07-18", 0.40, 95)
GPT_4_1 = _openai("gpt-4.1-2025-04-14", "gpt-4.1-2025-04-14", 0.60, 70)
GPT_5_MINI = _openai("gpt-5-mini", "gpt-5-mini-2025-08-07", 2.8, 110)
O4_MINI = _openai("o4-mini", "o4-mini-2025-04-16", 4.5, 120)
TEXT_EMBEDDING = _openai("text-embedding-3-small", "text-embedding-3-small", 0.16, 0)
SONNET = _anthropic("claude-sonnet-4-5-20250929", 1.1, 62)
OPUS = _anthropic("claude-opus-4-5-20251101", 1.6, 48)
HAIKU = _anthropic("claude-haiku-4-5-20251001", 0.55, 140)
GEMINI_FLASH = Model("gcp.gemini", "gemini-2.5-flash", "gemini-2.5-flash", 0.45, 190, "google")
GEMINI_PRO = Model("gcp.gemini", "gemini-2.5-pro", "gemini-2.5-pro", 2.2, 120, "google")
MISTRAL_LARGE = Model("mistral_ai", "mistral-large-latest", "mistral-large-latest", 0.6, 55)
MISTRAL_SMALL = Model("mistral_ai", "mistral-small-latest", "mistral-small-latest", 0.35, 130)
COMMAND_A = Model("cohere", "command-a-03-2025", "command-a-03-2025", 0.5, 80)
COHERE_EMBED = Model("cohere", "embed-v4.0", "embed-v4.0", 0.22, 0)
LLAMA_GROQ = Model("groq", "llama-3.3-70b-versatile", "llama-3.3-70b-versatile", 0.22, 290)
SELF_HOSTED = Model("vllm", "acme-support-8b-v3", "acme-support-8b-v3", 0.3, 45)

# A provider that no price catalog knows; it gives the page of unpriced models something to show.
UNPRICED_MODELS: Final = frozenset({SELF_HOSTED})


@dataclass(frozen=True)
class Workload:
    """One use of models by one application.

    Attributes:
        models: Models with their share of the calls.
        calls_per_day: Calls on a working day before growth.
        input_tokens: Median, cached tokens included.
        output_tokens: Median, reasoning included; 0 for embeddings.
        stream_ratio: Share of calls that are streamed.
        cached_ratio: Share of the input that a warm cache holds.
        warm_ratio: Share of the calls that find their cache warm.
    retried_ratio: Share of the calls whose first answer is refused, paid and asked for again.
    reasoning_ratio: Share of the output spent on reasoning, by models that reason.
        has_conversations: Whether calls belong to sessions of users.
        hour_weights: Share of the calls by hour of the day, UTC.
    """

    service_name: str
    team: str
    models: tuple[tuple[Model, int], ...]
    calls_per_day: int
    input_tokens: int
    output_tokens: int
    operation_name: str = "chat"
    stream_ratio: float = 0.0
    cached_ratio: float = 0.0
    warm_ratio: float = 0.8
    retried_ratio: float = 0.0
    reasoning_ratio: float = 0.0
    has_conversations: bool = False
    hour_weights: tuple[int, ...] = OFFICE_HOURS


SUPPORT_CHAT = Workload(
    "support-chat", "support",
    ((SONNET, 40), (HAIKU, 35), (GPT_4_1, 15), (SELF_HOSTED, 10)),
    calls_per_day=290, input_tokens=3200, output_tokens=260,
    stream_ratio=0.92, cached_ratio=0.7, has_conversations=True,
)  # fmt: skip
CODE_REVIEW = Workload(
    "code-review", "platform",
    ((SONNET, 55), (GPT_5_MINI, 30), (O4_MINI, 15)),
    calls_per_day=110, input_tokens=9000, output_tokens=900,
    stream_ratio=0.3, cached_ratio=0.5, retried_ratio=0.05, reasoning_ratio=0.55,
)  # fmt: skip
DOCUMENT_SEARCH = Workload(
    "document-search", "search",
    ((GEMINI_FLASH, 60), (GPT_4O_MINI, 25), (COMMAND_A, 15)),
    calls_per_day=190, input_tokens=5200, output_tokens=320,
    stream_ratio=0.75, cached_ratio=0.25, has_conversations=True,
)  # fmt: skip
DOCUMENT_INDEX = Workload(
    "document-index", "search",
    ((TEXT_EMBEDDING, 80), (COHERE_EMBED, 20)),
    calls_per_day=220, input_tokens=1800, output_tokens=0, operation_name="embeddings",
)  # fmt: skip
TICKET_TRIAGE = Workload(
    "ticket-triage", "operations",
    ((GPT_4O_MINI, 50), (MISTRAL_SMALL, 25), (LLAMA_GROQ, 25)),
    calls_per_day=210, input_tokens=850, output_tokens=45, cached_ratio=0.3,
)  # fmt: skip
TRANSLATION = Workload(
    "translation", "content",
    ((MISTRAL_LARGE, 70), (COMMAND_A, 30)),
    calls_per_day=80, input_tokens=1300, output_tokens=1250, stream_ratio=0.1,
)  # fmt: skip
NIGHTLY_REPORTS = Workload(
    "nightly-reports", "analytics",
    ((GPT_4O, 60), (GEMINI_PRO, 40)),
    calls_per_day=50, input_tokens=14000, output_tokens=1600, reasoning_ratio=0.4,
    hour_weights=NIGHT_HOURS,
)  # fmt: skip
# Each document is sent once: what is written to the cache is hardly ever read.
CONTRACT_REVIEW = Workload(
    "contract-review", "legal",
    ((OPUS, 100),),
    calls_per_day=12, input_tokens=16000, output_tokens=700, cached_ratio=0.9, warm_ratio=0.1,
)  # fmt: skip

WORKLOADS: Final = (
    SUPPORT_CHAT,
    CODE_REVIEW,
    DOCUMENT_SEARCH,
    DOCUMENT_INDEX,
    TICKET_TRIAGE,
    TRANSLATION,
    NIGHTLY_REPORTS,
    CONTRACT_REVIEW,
)
# OpenAI and Google count reasoning apart; the others bill it as plain output.
REASONING_MODELS: Final = frozenset({GPT_5_MINI, O4_MINI, GEMINI_PRO})
