"""The suite on the names in raw events: a name that nobody has ever sent before is looked at once.

What was seen before is kept where each combination of names is resolved to a price, so that
asking costs nothing that grows with the history.
"""

from datetime import datetime
from typing import Final

from quality.suites import Rule, Severity, Suite

VOCABULARY: Final = (
    Rule(
        "provider_names_were_seen_before",
        "No provider came up that was never seen before the last day. A new one may be a typo or "
        "another spelling, which splits its costs in two. The sample lists one event of each.",
        "not has_history or is_known_provider",
        Severity.WARN,
    ),
    Rule(
        "model_names_were_seen_before",
        "No model of a known provider came up that was never seen before the last day. A new one "
        "may be a typo, and may have no price yet. The sample lists one event of each.",
        "not has_history or not is_known_provider or is_known_model",
        Severity.WARN,
    ),
)

NAMES: Final = """(
    select
        (
            select events.event_id from raw.llm_events as events
            where events.loaded_at > '{loaded_after}'
                and events.provider_name = seen.provider_name
                and coalesce(events.response_model, events.request_model) = seen.model
            limit 1
        ) as event_id,
        null::uuid as project_id,
        history.known_count > 0 as has_history,
        exists (
            select from pricing.model_matches as known
            where known.resolved_at <= '{loaded_after}'
                and known.provider_name = seen.provider_name
        ) as is_known_provider,
        exists (
            select from pricing.model_matches as known
            where known.resolved_at <= '{loaded_after}'
                and known.provider_name = seen.provider_name
                and coalesce(known.response_model, known.request_model) = seen.model
        ) as is_known_model
    from (
        select
            provider_name,
            coalesce(response_model, request_model) as model
        from raw.llm_events
        where loaded_at > '{loaded_after}'
            and provider_name <> '' and coalesce(response_model, request_model) <> ''
        group by 1, 2
    ) as seen
    cross join (
        select count(*) as known_count
        from pricing.model_matches
        where resolved_at <= '{loaded_after}'
    ) as history
) as names"""


def raw_vocabulary_suite(loaded_after: datetime) -> Suite:
    """The suite on the names in the raw rows that were loaded after a time (with a zone).

    It is silent where nothing was seen before that time: in a new ledger every name is new.
    """
    source = NAMES.format(loaded_after=loaded_after.isoformat())
    return Suite("raw_vocabulary", source, VOCABULARY, unit="names")
