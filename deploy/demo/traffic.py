"""Pure: a seed and a date -> the same events, every time.

Each day is drawn for itself and each call from its own source of randomness, so that a history
sent again, wholly or in part, is made of the same events and adds no row.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from random import Random
from typing import Final

from deploy.demo.calls import draw_call, draw_refused, new_call, succeed
from deploy.demo.usage import Usage
from deploy.demo.workloads import CODE_REVIEW, SONNET, WORKLOADS, Workload
from ingest_api.events import Event

GROWTH_DAYS: Final = 30
FIRST_VOLUME_RATIO: Final = 0.7
LAST_VOLUME_RATIO: Final = 1.15
WEEKEND_RATIO: Final = 0.35
VOLUME_NOISE_RATIO: Final = 0.08

SPIKE_DAYS_BEFORE: Final = 8
RUNAWAY_USER: Final = "user-007"
RUNAWAY_CALLS: Final = 420
RUNAWAY_STARTED_AT: Final = time(13, 10, tzinfo=UTC)
RUNAWAY_INTERVAL: Final = timedelta(seconds=41)
RUNAWAY_FIRST_TOKENS, RUNAWAY_LAST_TOKENS = 4_000, 60_000

OUTAGE_DAYS_BEFORE: Final = 15
OUTAGE_PROVIDER: Final = "anthropic"
OUTAGE_HOURS: Final = range(9, 11)


@dataclass(frozen=True)
class Traffic:
    """The demo's traffic.

    Attributes:
        seed: Another seed is another history.
        anchor: The day on which the demo was first sent. Traffic grows until then, and the spike
            and the outage lie a fixed number of days before it.
    """

    seed: int
    anchor: date

    @property
    def spike_date(self) -> date:
        """The day of the runaway loop."""
        return self.anchor - timedelta(days=SPIKE_DAYS_BEFORE)

    @property
    def outage_date(self) -> date:
        """The day on which a provider fails for two hours."""
        return self.anchor - timedelta(days=OUTAGE_DAYS_BEFORE)

    def history(self, end: datetime, days: int) -> Iterator[Event]:
        """Calls that began before `end` (aware, UTC), on its day and the `days` - 1 before it."""
        for back in reversed(range(days)):
            for event in self.day(end.date() - timedelta(days=back)):
                if event.started_at < end:
                    yield event

    def day(self, day: date) -> list[Event]:
        """All calls of one day, oldest first."""
        calls = [event for workload in WORKLOADS for event in self._calls(workload, day)]
        if day == self.spike_date:
            calls += self._runaway(day)
        return sorted(calls, key=lambda event: event.started_at)

    def live(self, at: datetime) -> Event:
        """The call that ends in the second of `at` (aware, UTC)."""
        ended_at = at.replace(microsecond=0)
        label = f"{self.seed}/live/{ended_at.isoformat()}"
        rng = Random(label)
        workload = rng.choices(WORKLOADS, [w.calls_per_day for w in WORKLOADS])[0]
        event = draw_call(rng, workload, ended_at, label)
        event.started_at -= timedelta(seconds=event.duration_seconds or 0)
        return event

    def call_count(self, workload: Workload, day: date) -> int:
        """How many calls `workload` makes on `day`: growth, weekends and some noise."""
        rng = Random(f"{self.seed}/{day}/{workload.service_name}")
        noise = 1 + rng.uniform(-VOLUME_NOISE_RATIO, VOLUME_NOISE_RATIO)
        weekly = WEEKEND_RATIO if day.weekday() >= 5 else 1.0
        return round(workload.calls_per_day * self._volume_ratio(day) * weekly * noise)

    def _volume_ratio(self, day: date) -> float:
        progress = min(1.0, max(0.0, 1 + (day - self.anchor).days / GROWTH_DAYS))
        return FIRST_VOLUME_RATIO + (LAST_VOLUME_RATIO - FIRST_VOLUME_RATIO) * progress

    def _calls(self, workload: Workload, day: date) -> Iterator[Event]:
        for index in range(self.call_count(workload, day)):
            label = f"{self.seed}/{day}/{workload.service_name}/{index}"
            rng = Random(label)
            started_at = draw_time(rng, workload, day)
            call = draw_call(rng, workload, started_at, label, self._failing_provider(started_at))
            yield call
            again = Random(f"{label}/again")
            if not call.error_type and again.random() < workload.retried_ratio:
                yield draw_refused(again, call, label)

    def _failing_provider(self, at: datetime) -> str:
        is_out = at.date() == self.outage_date and at.hour in OUTAGE_HOURS
        return OUTAGE_PROVIDER if is_out else ""

    def _runaway(self, day: date) -> Iterator[Event]:
        """A loop of one user whose prompt grows with each turn."""
        first = datetime.combine(day, RUNAWAY_STARTED_AT)
        step_tokens = (RUNAWAY_LAST_TOKENS - RUNAWAY_FIRST_TOKENS) / RUNAWAY_CALLS
        for index in range(RUNAWAY_CALLS):
            label = f"{self.seed}/{day}/runaway/{index}"
            rng = Random(label)
            event = new_call(rng, CODE_REVIEW, SONNET, first + index * RUNAWAY_INTERVAL, label)
            event.user_id, event.environment = RUNAWAY_USER, "production"
            event.conversation_id = f"{CODE_REVIEW.service_name}-{day:%m%d}-{RUNAWAY_USER}-loop"
            input_tokens = round(RUNAWAY_FIRST_TOKENS + index * step_tokens)
            succeed(rng, event, SONNET, Usage(input_tokens, output_tokens=350))
            yield event


def draw_time(rng: Random, workload: Workload, day: date) -> datetime:
    """When a call of `day` begins, in whole milliseconds."""
    hour = rng.choices(range(24), workload.hour_weights)[0]
    midnight = datetime.combine(day, time(tzinfo=UTC))
    return midnight + timedelta(hours=hour, milliseconds=rng.randrange(3_600_000))
