"""The suite on `raw.llm_events`: what senders reported has the contract's form and adds up.

The API refuses most of this at the door; the suite guards the ledger against every other way in
(an entry put straight into the stream, an older API, SQL by hand) and checks what the door lets
through on purpose: a wrong sum is recorded as it was reported, and reported here.
"""

from datetime import datetime
from typing import Final

from quality.suites import Rule, Severity, Suite

MAX_TOKENS: Final = 1_000_000_000
MAX_DURATION_SECONDS: Final = 7 * 24 * 3600
# Senders round the two figures apart from each other.
ROUNDING_SECONDS: Final = 0.001
# Machines that keep time by NTP agree within a second; this much is a clock set wrong.
CLOCK_SKEW: Final = "interval '5 minutes'"
COUNT_COLUMNS: Final = (
    "input_tokens, output_tokens, cache_read_input_tokens, cache_write_input_tokens, "
    "cache_write_1h_input_tokens, reasoning_output_tokens, input_audio_tokens, "
    "output_audio_tokens, input_image_tokens"
)
SECONDS_COLUMNS: Final = "duration_seconds, time_to_first_chunk_seconds"

FORM: Final = (
    Rule(
        "required_columns_are_filled",
        "Every event names its provider, a model, an operation, and who sent it when. "
        "An event without them cannot be priced or attributed.",
        "num_nulls(event_id, tenant_id, project_id, started_at, received_at, loaded_at) = 0 "
        "and coalesce(provider_name, '') <> '' and coalesce(operation_name, '') <> '' "
        "and coalesce(response_model, request_model, '') <> ''",
    ),
    Rule(
        "usage_source_is_known",
        "usage_source is provider, estimated or missing. Any other value is read by no model.",
        "coalesce(usage_source, '') in ('provider', 'estimated', 'missing')",
    ),
    Rule(
        "usage_semantics_is_known",
        "usage_semantics is inclusive or cache_exclusive. With any other value the uncached "
        "input cannot be told.",
        "coalesce(usage_semantics, '') in ('inclusive', 'cache_exclusive')",
        holds_back=True,
    ),
    Rule(
        "service_tier_is_known",
        "service_tier is default, flex, priority or batch. A call of another tier has no price.",
        "service_tier in ('default', 'flex', 'priority', 'batch')",
        holds_back=True,
    ),
)

RANGES: Final = (
    Rule(
        "token_counts_lie_within_the_contract",
        "Every token count lies between 0 and 1,000,000,000.",
        f"least({COUNT_COLUMNS}) >= 0 and greatest({COUNT_COLUMNS}) <= {MAX_TOKENS}",
        holds_back=True,
    ),
    Rule(
        "durations_lie_within_the_contract",
        "Durations and times to the first chunk lie between 0 and 7 days.",
        f"least({SECONDS_COLUMNS}) >= 0 and greatest({SECONDS_COLUMNS}) <= {MAX_DURATION_SECONDS}",
        holds_back=True,
    ),
    Rule(
        "reported_costs_are_not_negative",
        "A reported cost is zero or more USD. A refund is not a call.",
        "reported_cost_usd >= 0",
    ),
    Rule(
        "http_status_codes_exist",
        "An HTTP status lies between 100 and 599. Another one is a sender's mistake; error rates "
        "by status leave it out.",
        "http_status_code between 100 and 599",
        Severity.WARN,
    ),
)

TOKEN_ARITHMETIC: Final = (
    Rule(
        "cached_tokens_lie_within_input_tokens",
        "Cache reads and cache writes are parts of inclusive input tokens. A breach is a sender "
        "that reports input without cache: it must normalise, or say usage_semantics "
        "cache_exclusive; until then its uncached input is too low.",
        "usage_semantics = 'cache_exclusive' or coalesce(cache_read_input_tokens, 0) "
        "+ coalesce(cache_write_input_tokens, 0) <= input_tokens",
    ),
    Rule(
        "one_hour_cache_writes_lie_within_cache_writes",
        "Tokens written to the one-hour cache are a part of all tokens written to a cache.",
        "cache_write_1h_input_tokens <= coalesce(cache_write_input_tokens, 0)",
    ),
    Rule(
        "reasoning_tokens_lie_within_output_tokens",
        "Reasoning tokens are a part of output tokens. A breach is a sender that reports output "
        "without reasoning: its output cost is too low.",
        "reasoning_output_tokens <= output_tokens",
        holds_back=True,
    ),
    Rule(
        "audio_and_image_tokens_lie_within_their_totals",
        "Audio and image tokens are parts of input and output tokens.",
        "(usage_semantics = 'cache_exclusive' or coalesce(input_audio_tokens, 0) "
        "+ coalesce(input_image_tokens, 0) <= input_tokens) "
        "and (output_audio_tokens <= output_tokens) is not false",
        holds_back=True,
    ),
)

TIMES: Final = (
    Rule(
        "calls_end_after_they_start",
        "ended_at does not lie before started_at.",
        "ended_at >= started_at",
        holds_back=True,
    ),
    Rule(
        "first_chunks_arrive_before_calls_end",
        "The time to the first chunk is no longer than the whole call.",
        f"time_to_first_chunk_seconds <= duration_seconds + {ROUNDING_SECONDS}",
        Severity.WARN,
    ),
    Rule(
        "calls_start_within_the_contract",
        "Calls start in 2020 or later, and at most one day after they were received. A call far "
        "off stands on the wrong day of every report and is priced by the wrong price row.",
        "started_at between '2020-01-01 00:00Z' and received_at + interval '1 day'",
        holds_back=True,
    ),
    Rule(
        "sender_clocks_are_not_ahead",
        "Calls do not start more than 5 minutes (and up to a day) after they were received. "
        "The sender's clock is set wrong: latest hours in reports are incomplete or too full.",
        f"started_at - received_at not between {CLOCK_SKEW} and interval '1 day'",
        Severity.WARN,
    ),
    Rule(
        "rows_are_loaded_after_they_are_received",
        "No row was loaded more than 5 minutes before the API received its event. The clocks of "
        "the API and of the database are apart: every figure on lag is wrong by as much.",
        f"loaded_at >= received_at - {CLOCK_SKEW}",
        Severity.WARN,
    ),
)

RULES: Final = FORM + RANGES + TOKEN_ARITHMETIC + TIMES


def raw_llm_events_suite(loaded_after: datetime) -> Suite:
    """The suite on the raw rows that were loaded after a time (with a zone).

    The window is on `loaded_at`, so that a late event is checked when it arrives.
    """
    return Suite(
        "raw_llm_events",
        f"raw.llm_events where loaded_at > '{loaded_after.isoformat()}'",
        RULES,
    )
