"""The scoring procedure of NAB against what is known of it."""

from math import erfc, sqrt
from pathlib import Path
from statistics import fmean, pstdev

import pytest

from benchmarks.anomaly.nab import (
    Profile,
    Series,
    normalised,
    read_corpus,
    read_profiles,
    scaled_sigmoid,
    score_at,
    score_corpus,
)
from tests.traffic import corpus

# results/windowedGaussian/windowedGaussian_standard_scores.csv of github.com/numenta/NAB, threshold
# 1.0: the series that are shorter than the detector's window.
PUBLISHED = {
    "realTraffic/TravelTime_387.csv": -1.7959813307852819,
    "realTraffic/TravelTime_451.csv": -1.0,
    "realAdExchange/exchange-2_cpm_results.csv": -2.0,
    "realAdExchange/exchange-3_cpm_results.csv": 0.862098587352162,
    "realAdExchange/exchange-4_cpm_results.csv": 1.274710362684976,
    "realKnownCause/rogue_agent_key_hold.csv": -2.44,
}


@pytest.fixture(scope="module")
def nab() -> Path:
    folder = corpus() / "nab"
    if not folder.is_dir():
        pytest.skip(f"{folder} is missing")
    return folder


@pytest.fixture(scope="module")
def series(nab: Path) -> list[Series]:
    return read_corpus(nab)


@pytest.fixture(scope="module")
def profiles(nab: Path) -> dict[str, Profile]:
    return read_profiles(nab)


def test_a_detector_that_says_nothing_scores_nothing(
    series: list[Series], profiles: dict[str, Profile]
) -> None:
    silent = {one.name: [0.0] * len(one.values) for one in series}
    for profile in profiles.values():
        raw = score_at(series, silent, profile, 1.0).raw
        assert normalised(raw, series, profile) == 0


def test_a_detector_that_tells_each_window_at_once_scores_100(
    series: list[Series], profiles: dict[str, Profile]
) -> None:
    perfect = {one.name: [0.0] * len(one.values) for one in series}
    for one in series:
        for start, _ in one.windows:
            perfect[one.name][start] = 1.0
    for profile in profiles.values():
        best = score_corpus(series, perfect, profile)
        assert best.threshold == 1.0
        assert normalised(best.raw, series, profile) == pytest.approx(100)


def test_a_published_detector_scores_what_is_published_of_it(
    series: list[Series], profiles: dict[str, Profile]
) -> None:
    for one in series:
        if one.name in PUBLISHED:
            scores = {one.name: windowed_gaussian(one.values)}
            raw = score_at([one], scores, profiles["standard"], 1.0).raw
            assert raw == pytest.approx(PUBLISHED[one.name]), one.name


def windowed_gaussian(values: tuple[float, ...]) -> list[float]:
    """NAB's detector of that name, before its window is full."""
    scores = [0.0]
    for position, value in enumerate(values[1:], start=1):
        before = values[:position]
        deviation = abs(value - fmean(before)) / (pstdev(before) or 0.000001)
        scores.append(1 - 0.5 * erfc(deviation / sqrt(2)))
    return scores


@pytest.mark.parametrize(
    ("position", "expected"),
    [(-1.0, 0.98661), (-0.5, 0.84828), (0.0, 0.0), (1.0, -0.98661), (3.0, -1.0)],
)
def test_what_an_alarm_is_worth_depends_on_its_place(position: float, expected: float) -> None:
    assert scaled_sigmoid(position) == pytest.approx(expected, abs=1e-5)
