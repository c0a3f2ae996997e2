"""The scoring procedure of the Numenta Anomaly Benchmark, version 1.1.

Source: Lavin and Ahmad, "Evaluating Real-time Anomaly Detection Algorithms - the Numenta Anomaly
Benchmark", 2015, and the sweeper of github.com/numenta/NAB, which is the procedure of the board.
"""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from csv import DictReader
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from pathlib import Path
from typing import Final, NamedTuple

PROBATION_RATIO: Final = 0.15
PROBATION_LIMIT: Final = 750
"""Points at most that a detector may learn from before it is scored: 15 % of 5,000."""

FAR_BEHIND: Final = 3.0
"""Widths of the last window after which a false alarm costs its full weight."""

UNREACHABLE: Final = math.inf
"""The threshold of the detector that never raises an alarm."""


Scores = Mapping[str, Sequence[float]]
"""By series a score for each of its points."""


class Profile(NamedTuple):
    """What a find, a miss and a false alarm weigh."""

    tp_weight: float
    fn_weight: float
    fp_weight: float


@dataclass(frozen=True)
class Series:
    """One file of the corpus; windows are inclusive ranges of positions."""

    name: str
    times: tuple[datetime, ...]
    values: tuple[float, ...]
    windows: tuple[tuple[int, int], ...]

    @property
    def group(self) -> str:
        """The folder it lies in."""
        return self.name.partition("/")[0]

    @property
    def probation(self) -> int:
        """The points that are not scored."""
        return min(math.floor(PROBATION_RATIO * len(self.values)), PROBATION_LIMIT)


class Point(NamedTuple):
    """What an alarm at a point is worth; `window` is the one it lies in, None outside of all."""

    score: float
    worth: float
    window: tuple[str, int] | None


class Result(NamedTuple):
    """What a threshold yields for a corpus."""

    threshold: float
    raw: float


def read_corpus(folder: Path) -> list[Series]:
    """Every series with its labelled windows, in order of name."""
    windows = json.loads((folder / "combined_windows.json").read_text())
    return [_read_series(folder, name, windows[name]) for name in sorted(windows)]


def _read_series(folder: Path, name: str, limits: Sequence[Sequence[str]]) -> Series:
    with (folder / "data" / name).open() as lines:
        rows = [(_time(row["timestamp"]), float(row["value"])) for row in DictReader(lines)]
    positions = {at: position for position, (at, _) in reversed(list(enumerate(rows)))}
    windows = [(positions[_time(start)], positions[_time(end)]) for start, end in limits]
    return Series(name, tuple(at for at, _ in rows), tuple(v for _, v in rows), tuple(windows))


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)


def read_profiles(folder: Path) -> dict[str, Profile]:
    """The application profiles by name."""
    profiles = json.loads((folder / "profiles.json").read_text())
    return {name: _profile(one["CostMatrix"]) for name, one in profiles.items()}


def _profile(costs: Mapping[str, float]) -> Profile:
    return Profile(costs["tpWeight"], costs["fnWeight"], costs["fpWeight"])


def scaled_sigmoid(position: float) -> float:
    """From 1 to -1; the position is in widths of a window, 0 at its end, negative inside."""
    return -1.0 if position >= FAR_BEHIND else 2 / (1 + math.exp(5 * position)) - 1


def scored_points(series: Series, scores: Sequence[float], profile: Profile) -> Iterator[Point]:
    """What an alarm is worth at each point behind the probationary period."""
    windows = list(enumerate(series.windows))
    last: tuple[int, int] | None = None
    for position, score in enumerate(scores):
        while windows and windows[0][1][1] < position:
            last = windows.pop(0)[1]
        inside = bool(windows) and windows[0][1][0] <= position
        if position < series.probation:
            continue
        if inside:
            number, window = windows[0]
            yield Point(score, _worth_inside(position, window, profile), (series.name, number))
        else:
            yield Point(score, _worth_outside(position, last, profile), None)


def _worth_inside(position: int, window: tuple[int, int], profile: Profile) -> float:
    start, end = window
    return (
        scaled_sigmoid(-(end - position + 1) / (end - start + 1))
        * profile.tp_weight
        / scaled_sigmoid(-1.0)
    )


def _worth_outside(position: int, last: tuple[int, int] | None, profile: Profile) -> float:
    behind = FAR_BEHIND if last is None else (position - last[1]) / (last[1] - last[0])
    return scaled_sigmoid(behind) * profile.fp_weight


def raw_scores(points: Sequence[Point], profile: Profile) -> Iterator[tuple[float, float]]:
    """(threshold, score) from the highest threshold down; alarms are points at or above it."""
    found = {p.window: -profile.fn_weight for p in points if p.window}
    total = sum(found.values())
    yield UNREACHABLE, total
    ordered = sorted(points, key=lambda point: -point.score)
    for threshold, level in groupby(ordered, key=lambda point: point.score):
        for point in level:
            gain = point.worth
            if point.window:
                gain = max(0.0, point.worth - found[point.window])
                found[point.window] += gain
            total += gain
        yield threshold, total


def score_corpus(corpus: Sequence[Series], scores: Scores, profile: Profile) -> Result:
    """The score of the one threshold that suits the whole corpus best, as NAB chooses it."""
    threshold, raw = max(_raw_scores(corpus, scores, profile), key=lambda one: one[1])
    return Result(threshold, raw)


def score_at(
    corpus: Sequence[Series], scores: Scores, profile: Profile, threshold: float
) -> Result:
    """The score of a given threshold."""
    levels = [raw for level, raw in _raw_scores(corpus, scores, profile) if level >= threshold]
    return Result(threshold, levels[-1])


def _raw_scores(
    corpus: Sequence[Series], scores: Scores, profile: Profile
) -> Iterator[tuple[float, float]]:
    found = [p for one in corpus for p in scored_points(one, scores[one.name], profile)]
    return raw_scores(found, profile)


def normalised(raw: float, corpus: Sequence[Series], profile: Profile) -> float:
    """0 for a detector that finds nothing, 100 for one that finds all windows at once."""
    windows = sum(len(one.windows) for one in corpus)
    null, perfect = -profile.fn_weight * windows, profile.tp_weight * windows
    return 100 * (raw - null) / (perfect - null)
