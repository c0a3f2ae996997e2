"""The contract of a rule: as the API, YAML and the database have it."""

from datetime import timedelta
from decimal import Decimal
from typing import Annotated, Final, Literal
from uuid import UUID

import msgspec

from ingest_api.alerts.metrics import DIMENSIONS, METRICS, TAGGED, Metric
from ingest_api.alerts.silences import Mute, WeeklySilence
from ingest_api.alerts.templates import DEFAULT, MAX_CHARACTERS, check_template

Direction = Literal["above", "below"]
Severity = Literal["info", "warning", "error", "critical"]
Comparison = Literal["day_before", "week_before"]

MAX_TEXT: Final = 200
MAX_URL: Final = 2000
MAX_LIST: Final = 50
MINUTE: Final = 60
MAX_WINDOW_SECONDS: Final = 31 * 86_400
# Single calls are read for them: see `ingest_api.analytics.call_limits.MAX_CALL_HOURS`.
MAX_TIMES_OF_USERS_SECONDS: Final = 48 * 3_600
MAX_THRESHOLD: Final = Decimal(10) ** 12
DECIMALS: Final = 9
TAG_PREFIX: Final = "tag:"
SEVERITIES: Final[tuple[Severity, ...]] = ("info", "warning", "error", "critical")
COMPARED: Final[dict[Comparison, timedelta]] = {
    "day_before": timedelta(days=1),
    "week_before": timedelta(days=7),
}
SCOPES: Final = ("provider_name", "model", "user_id", "environment", "service_name")

Text = Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_TEXT, pattern=r"^[^\x00]*$")]
Seconds = Annotated[int, msgspec.Meta(ge=0, le=MAX_WINDOW_SECONDS)]
Window = Annotated[int, msgspec.Meta(ge=MINUTE, le=MAX_WINDOW_SECONDS, multiple_of=MINUTE)]
Remind = Annotated[int, msgspec.Meta(ge=MINUTE, le=MAX_WINDOW_SECONDS)]
Count = Annotated[int, msgspec.Meta(ge=0, le=10**12)]
Message = Annotated[
    str, msgspec.Meta(min_length=1, max_length=MAX_CHARACTERS, pattern=r"^[^\x00]*$")
]
Url = Annotated[str, msgspec.Meta(max_length=MAX_URL, pattern=r"^https?://[^\s\x00]+$")]


class AlertRule(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """What is watched, when that is an alert, and who is told.

    Attributes:
        provider_name: Only these calls, as the next five; None takes all.
        budget: Only the budget of this name, for the metrics of budgets.
        group_by: One alert for each value: a column, or `tag:team`. Budgets are always told apart.
        window_seconds: Whole minutes that are added up, the last one ended.
        compare_to: The value is then the window's figure divided by that of the same window a day
            or a week before.
        minimum_call_count: With fewer calls in the window nothing is judged.
        for_seconds: How long the condition must hold to fire, and must not hold to resolve.
        cool_down_seconds: After it has resolved, an alert does not fire again for so long.
        remind_every_seconds: While it fires and nobody has acknowledged it; None: never.
        channels: Names of the channels that are told.
    """

    name: Text
    metric: str
    threshold: Decimal
    direction: Direction = "above"
    provider_name: Text | None = None
    model: Text | None = None
    user_id: Text | None = None
    environment: Text | None = None
    service_name: Text | None = None
    tag_key: Text | None = None
    tag_value: Text | None = None
    budget: Text | None = None
    group_by: Text | None = None
    window_seconds: Window = 3_600
    compare_to: Comparison | None = None
    minimum_call_count: Count = 0
    for_seconds: Seconds = 0
    severity: Severity = "warning"
    cool_down_seconds: Seconds = 0
    remind_every_seconds: Remind | None = None
    silences: Annotated[list[WeeklySilence], msgspec.Meta(max_length=MAX_LIST)] = []
    mutes: Annotated[list[Mute], msgspec.Meta(max_length=MAX_LIST)] = []
    message: Message = DEFAULT
    runbook_url: Url | None = None
    channels: Annotated[list[Text], msgspec.Meta(max_length=MAX_LIST)] = []
    is_enabled: bool = True

    def __post_init__(self) -> None:
        """Refuse a rule that could never say anything.

        Raises:
            ValueError: names the field and the fix.
        """
        if self.metric not in METRICS:
            raise ValueError(f"metric: must be one of {', '.join(METRICS)}")
        if not self.threshold.is_finite() or abs(self.threshold) > MAX_THRESHOLD:
            raise ValueError(f"threshold: must lie between -{MAX_THRESHOLD:,} and the same above 0")
        if self.threshold != round(self.threshold, DECIMALS):
            raise ValueError(f"threshold: may have {DECIMALS} decimal places")
        if (self.tag_key is None) != (self.tag_value is None):
            raise ValueError("tag_key and tag_value: give both or neither")
        if not self.name.strip() or not self.name.isprintable():
            raise ValueError("name: must have a letter that can be seen")
        check_template(self.message)
        self._check_scope()
        self._check_compared()

    def _check_scope(self) -> None:
        family = self.kind.family
        known = DIMENSIONS[family]
        for name in SCOPES:
            if getattr(self, name) is not None and name not in known:
                raise ValueError(f"{name}: {self.metric} is not known by it")
        if self.tag_key is not None and family not in TAGGED:
            raise ValueError(f"tag_key: {self.metric} is not known by it")
        if self.budget is not None and family != "budget":
            raise ValueError("budget: only metrics of budgets are of one")
        if self.group_by is not None:
            self._check_group(known)
        if self.reads_calls and self.window_seconds > MAX_TIMES_OF_USERS_SECONDS:
            hours = MAX_TIMES_OF_USERS_SECONDS // 3_600
            raise ValueError(
                f"window_seconds: times by user or tag are read from single calls, {hours} h at "
                "most"
            )

    def _check_group(self, known: tuple[str, ...]) -> None:
        group = str(self.group_by)
        tag = group.removeprefix(TAG_PREFIX) if group.startswith(TAG_PREFIX) else ""
        if group not in known and not (tag and self.kind.family in TAGGED):
            words = ", ".join(known) + (", tag:<key>" if self.kind.family in TAGGED else "")
            raise ValueError(f"group_by: {self.metric} may be grouped by {words or 'nothing'}")
        if (group in SCOPES and getattr(self, group) is not None) or (tag and tag == self.tag_key):
            raise ValueError("group_by: the rule is for a single value of it already")

    def _check_compared(self) -> None:
        if self.compare_to and self.kind.family in ("lag", "budget"):
            raise ValueError(f"compare_to: {self.metric} is not of a window")
        if self.minimum_call_count and self.kind.family not in TAGGED:
            raise ValueError(f"minimum_call_count: {self.metric} is not a figure of calls")

    @property
    def kind(self) -> Metric:
        """What is known of its metric."""
        return METRICS[self.metric]

    @property
    def window(self) -> timedelta:
        """Its length."""
        return timedelta(seconds=self.window_seconds)

    @property
    def reads_calls(self) -> bool:
        """Whether no roll-up holds its times."""
        names = {self.group_by, "user_id" if self.user_id else None}
        by_tag = self.tag_key is not None or str(self.group_by).startswith(TAG_PREFIX)
        return self.kind.family in TAGGED[1:] and ("user_id" in names or by_tag)

    @property
    def tag_keys(self) -> list[str]:
        """Tags that the project must declare."""
        group = str(self.group_by or "")
        grouped = [group.removeprefix(TAG_PREFIX)] if group.startswith(TAG_PREFIX) else []
        return [*([self.tag_key] if self.tag_key else []), *grouped]

    @property
    def subject(self) -> tuple[object, ...]:
        """What its alerts are about: another subject makes the open ones meaningless."""
        scope = tuple(getattr(self, name) for name in (*SCOPES, "tag_key", "tag_value", "budget"))
        return (self.metric, self.direction, self.compare_to, self.group_by, *scope)


class StoredRule(msgspec.Struct, frozen=True, kw_only=True):
    """A rule, and whose it is.

    Attributes:
        project_id: None: all projects of the tenant together.
    """

    rule_id: UUID
    tenant_id: UUID
    project_id: UUID | None
    rule: AlertRule

    @property
    def owner_id(self) -> UUID:
        """Whose calls it adds up."""
        return self.project_id or self.tenant_id


FIELDS: Final = AlertRule.__struct_fields__
