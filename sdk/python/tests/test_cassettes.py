"""What was recorded from real providers is what the SDK captures; applications see no difference.

`make bench-sdk` replays every recording.
"""

from collections.abc import Iterator

import pytest

import llmscope
from tests.cassettes import CORPUS, Capture, differences, explanation, recordings
from tests.replaying import replay

# A sixth takes 2 s; all of them 12 s.
EVERY = 6


@pytest.fixture
def capture() -> Iterator[Capture]:
    if not CORPUS.is_dir():
        pytest.skip(f"no real data at {CORPUS}: set LLMSCOPE_CORPUS")
    yield Capture()
    llmscope.uninstrument()
    llmscope.shutdown(1)


@pytest.mark.filterwarnings("ignore")  # the libraries warn of fields that are older than they
def test_recorded_calls_are_captured_as_recorded_and_look_the_same(capture: Capture) -> None:
    replayed = [(recording, replay(recording)) for recording in recordings(EVERY)]
    assert len(replayed) > 100
    llmscope.instrument()
    for recording, plain in replayed:
        assert replay(recording) == plain, recording.id
        found = differences(recording, plain, capture.take())
        assert not found or explanation(recording), (recording.id, found)
