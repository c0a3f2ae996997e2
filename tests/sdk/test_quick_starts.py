"""A newcomer pastes the quick start of a README, and sees the call."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.exporters.provider import Answer, ProviderServer
from tests.running import RunningPlatform, wait_until
from tests.sdk.quick_start import QUICK_STARTS, Tail, ended_at, paste, tailing

# The promises of the READMEs.
TAIL_SECONDS = 1.0
MARTS_SECONDS = 90.0
LOADED = "select count(*) from marts.fct_llm_calls where event_id = any(%s::uuid[])"

SENDERS = """
select sdk_name from raw.llm_events where event_id = any(%s::uuid[]) order by started_at
"""


@pytest.mark.timeout(500)
def test_each_quick_start_is_in_the_tail_within_a_second_and_in_the_marts_within_90(
    platform: RunningPlatform, tmp_path: Path
) -> None:
    wait_until(lambda: marts_exist(platform), "the first build of the marts", 200)
    provider, ids = ProviderServer(), []
    try:
        with tailing(platform) as tail:
            for start in QUICK_STARTS:
                folder = tmp_path / start.sdk_name
                folder.mkdir()
                paste(start, folder, platform, provider)
                event_id, lag_seconds = shown(tail, provider.answers[-1])
                print(f"{start.sdk_name}: in the tail {lag_seconds:.2f} s after the answer")
                assert lag_seconds < TAIL_SECONDS
                ids.append(event_id)
    finally:
        provider.stop()
    since = datetime.now(UTC)
    wait_until(
        lambda: platform.query(LOADED, ids) == [(len(ids),)], "the marts have them", MARTS_SECONDS
    )
    print(f"in the marts after {(datetime.now(UTC) - since).total_seconds():.0f} s")
    assert platform.query(SENDERS, ids) == [(start.sdk_name,) for start in QUICK_STARTS]


def shown(tail: Tail, answer: Answer) -> tuple[str, float]:
    """Id of the call in the tail, and seconds from its answer until it was printed."""
    # Each answer of the provider has counts of its own.
    counts = {"input_tokens": answer.input_tokens, "output_tokens": answer.output_tokens}
    wait_until(lambda: tail.find(**counts), "the tail shows the call", 20)
    printed_at, event = tail.find(**counts) or pytest.fail("it is gone")
    return event["event_id"], (printed_at - ended_at(event)).total_seconds()


def marts_exist(platform: RunningPlatform) -> bool:
    return platform.query("select to_regclass('marts.fct_llm_calls') is not null") == [(True,)]
