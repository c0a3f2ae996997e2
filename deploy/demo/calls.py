"""Pure: one imagined call as an event of the contract."""

from datetime import datetime, timedelta
from random import Random
from typing import Final, NamedTuple
from uuid import UUID, uuid5

import msgspec

from deploy.demo.usage import Usage, draw_usage, scattered, verbatim_usage
from deploy.demo.workloads import Model, Workload
from ingest_api.events import Event

DEMO_TAG, DEMO_VALUE = "llmscope.demo", "true"
NAMESPACE: Final = UUID("6f1f0a52-6f0c-5d0e-9d5b-6b1f0d2f7c11")
USERS: Final = tuple(f"user-{number:03}" for number in range(1, 33))
USER_WEIGHTS: Final = tuple(1 / rank for rank in range(1, len(USERS) + 1))
ENVIRONMENT_WEIGHTS: Final = {"production": 86, "staging": 9, "development": 5}

ERROR_RATIO: Final = 0.018
OUTAGE_ERROR_RATIO: Final = 0.6
# Some applications do not ask OpenAI for usage at the end of a stream.
MISSING_USAGE_RATIO: Final = 0.06
TRUNCATED_RATIO: Final = 0.03
# Reading a long prompt delays the first chunk.
INPUT_TOKENS_PER_SECOND: Final = 20_000


class Failure(NamedTuple):
    """How a call can fail, and how often among failures."""

    error_type: str
    http_status_code: int | None
    error_message: str
    duration_seconds: float
    weight: int


FAILURES: Final = (
    Failure("timeout", None, "No answer within 60 s.", 60.0, 3),
    Failure("429", 429, "Rate limit reached: too many requests per minute.", 0.12, 5),
    Failure("500", 500, "The provider failed to process the request.", 1.4, 2),
)
OUTAGE: Final = FAILURES[-1]


def draw_call(
    rng: Random, workload: Workload, started_at: datetime, label: str, failing_provider: str = ""
) -> Event:
    """A call of `workload`.

    Args:
        rng: Source of randomness of this call alone.
        workload: Whose call it is.
        started_at: When it begins, aware, UTC.
        label: What makes it this call and no other; its id follows from it.
        failing_provider: The provider that has an outage at that time.
    """
    models, shares = zip(*workload.models, strict=True)
    model: Model = rng.choices(models, shares)[0]
    event = new_call(rng, workload, model, started_at, label)
    if model.provider_name == failing_provider and rng.random() < OUTAGE_ERROR_RATIO:
        fail(rng, event, OUTAGE)
    elif rng.random() < ERROR_RATIO:
        fail(rng, event, rng.choices(FAILURES, [failure.weight for failure in FAILURES])[0])
    else:
        succeed(rng, event, model, draw_usage(rng, workload, model))
    return event


def new_call(
    rng: Random, workload: Workload, model: Model, started_at: datetime, label: str
) -> Event:
    """Who calls what; how it ends is still open."""
    user_id = rng.choices(USERS, USER_WEIGHTS)[0]
    session = f"{workload.service_name}-{started_at:%m%d}-{user_id}-{rng.randrange(4)}"
    environments, weights = zip(*ENVIRONMENT_WEIGHTS.items(), strict=True)
    return Event(
        event_id=uuid5(NAMESPACE, label),
        provider_name=model.provider_name,
        request_model=model.request_model,
        operation_name=workload.operation_name,
        started_at=started_at,
        is_stream=rng.random() < workload.stream_ratio,
        user_id=user_id,
        conversation_id=session if workload.has_conversations else None,
        trace_id=f"{rng.getrandbits(128):032x}",
        span_id=f"{rng.getrandbits(64):016x}",
        environment=rng.choices(environments, weights)[0],
        service_name=workload.service_name,
        tags={DEMO_TAG: DEMO_VALUE, "team": workload.team},
        sdk_name="llmscope-demo",
    )


def draw_refused(rng: Random, call: Event, label: str) -> Event:
    """The call before `call`, whose answer the application paid for and could not use."""
    refused = msgspec.structs.replace(call)
    refused.event_id = uuid5(NAMESPACE, f"{label}/refused")
    refused.started_at -= timedelta(seconds=rng.uniform(2, 9))
    refused.error_type = "invalid_output"
    refused.error_message = "The answer does not fit the JSON schema."
    refused.response_id = f"demo-{rng.getrandbits(64):016x}"
    refused.trace_id = f"{rng.getrandbits(128):032x}"
    refused.span_id = f"{rng.getrandbits(64):016x}"
    return refused


def succeed(rng: Random, event: Event, model: Model, usage: Usage) -> None:
    """Give `event` an answer of this size."""
    first = scattered(rng, model.first_chunk_seconds, 0.35)
    first += usage.input_tokens / INPUT_TOKENS_PER_SECOND
    speed = scattered(rng, model.tokens_per_second, 0.15)
    event.duration_seconds = round(first + (usage.output_tokens / speed if speed else 0), 3)
    event.time_to_first_chunk_seconds = round(first, 3) if event.is_stream else None
    event.response_model = model.response_model
    event.response_id = f"demo-{rng.getrandbits(64):016x}"
    event.http_status_code = 200
    if model.tokens_per_second:
        event.response_finish_reasons = ["length" if rng.random() < TRUNCATED_RATIO else "stop"]
    if event.is_stream and model.usage_style == "openai" and rng.random() < MISSING_USAGE_RATIO:
        event.usage_source = "missing"
    else:
        _count(event, model, usage)


def fail(rng: Random, event: Event, failure: Failure) -> None:
    """Give `event` an error; a call without an answer has no usage."""
    event.duration_seconds = round(scattered(rng, failure.duration_seconds, 0.02), 3)
    event.error_type = failure.error_type
    event.error_message = failure.error_message
    event.http_status_code = failure.http_status_code
    event.usage_source = "missing"


def _count(event: Event, model: Model, usage: Usage) -> None:
    for field, count in usage.known_counts().items():
        setattr(event, field, count)
    event.usage_source = "provider"
    event.usage_details = verbatim_usage(usage, model)
