"""Every answer equals a plain recomputation from the single calls."""

from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import pytest

from tests.analytics.conftest import Ledger
from tests.analytics.ledger import DAYS, NOW, START
from tests.analytics.recomputed import (
    assert_same,
    bucket_of,
    figures,
    grouped,
    quantile,
    utc,
    value_of,
    within,
)

PATH = "/api/v1/analytics/"
ALL = [
    "calls", "errors", "tokens", "token_buckets", "cost", "cost_buckets", "reported", "unpriced",
]  # fmt: skip
DIMENSIONS = [
    "provider_name", "model", "operation_name", "environment", "service_name", "user_id",
    "error_type", "tag:team",
]  # fmt: skip
WHOLE = {"from": START.isoformat(), "to": NOW.isoformat()}


async def ask(client: httpx.AsyncClient, route: str, **parameters: Any) -> dict[str, Any]:
    answer = await client.get(PATH + route, params=WHOLE | parameters)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "Asia/Kolkata", "Asia/Kathmandu"])
@pytest.mark.parametrize("interval", ["hour", "day", "week", "month"])
async def test_buckets_are_those_of_the_wall_clock(
    client: httpx.AsyncClient, ledger: Ledger, interval: str, zone: str
) -> None:
    answer = await ask(client, "timeseries", interval=interval, time_zone=zone, measures=ALL)
    expected = grouped(ledger.calls, lambda call: bucket_of(call, interval, zone))
    rows = {
        bucket_of({"started_at": utc(row["started_at"])}, interval, zone): row
        for row in answer["rows"]
    }
    assert len(rows) == len(answer["rows"])
    assert utc(answer["rows"][0]["started_at"]) == START
    assert utc(answer["rows"][-1]["ended_at"]) == NOW
    assert sum(row["call_count"] for row in answer["rows"]) == len(ledger.calls)
    for name, row in rows.items():
        if name in expected:
            assert_same(row, expected[name])
        else:
            assert (row["call_count"], row["total_cost_usd"]) == (0, None)


async def test_minutes_are_filled_where_nobody_called(
    client: httpx.AsyncClient, ledger: Ledger
) -> None:
    start = START + timedelta(minutes=43)
    period = {"from": start.isoformat(), "to": (start + timedelta(hours=3)).isoformat()}
    answer = await ask(client, "timeseries", interval="minute", **period)
    assert len(answer["rows"]) == 180
    counts = [row["call_count"] for row in answer["rows"]]
    assert sum(counts) == len(within(ledger.calls, start, start + timedelta(hours=3)))
    assert {row["total_cost_usd"] for row in answer["rows"] if not row["call_count"]} == {None}
    assert 0 in counts


@pytest.mark.parametrize("dimension", DIMENSIONS)
async def test_series_and_the_others_add_up_to_all(
    client: httpx.AsyncClient, ledger: Ledger, dimension: str
) -> None:
    answer = await ask(
        client, "timeseries", interval="day", group_by=dimension, limit=2, measures=ALL,
        time_zone="Europe/Berlin",
    )  # fmt: skip
    cost = grouped(ledger.calls, lambda call: (value_of(call, dimension),))
    first = sorted(
        cost, key=lambda k: (-(cost[k]["total_cost_usd"] or -1), -cost[k]["call_count"], k)
    )[:2]
    named = {name for (name,) in first}
    assert {row[dimension] for row in answer["rows"] if not row["is_other"]} == named
    expected = grouped(
        ledger.calls,
        lambda call: (
            *bucket_of(call, "day", "Europe/Berlin"),
            value_of(call, dimension) if value_of(call, dimension) in named else None,
        ),
    )
    for row in answer["rows"]:
        day = bucket_of({"started_at": utc(row["started_at"])}, "day", "Europe/Berlin")
        if (*day, row[dimension]) in expected:
            assert_same(row, expected[(*day, row[dimension])])
        else:
            assert row["call_count"] == 0
    assert sum(row["call_count"] for row in answer["rows"]) == len(ledger.calls)


@pytest.mark.parametrize("dimension", DIMENSIONS)
async def test_top_and_the_others_add_up_to_all(
    client: httpx.AsyncClient, ledger: Ledger, dimension: str
) -> None:
    answer = await ask(client, "top", by=dimension, n=1, order_by="call_count", measures=ALL)
    expected = grouped(ledger.calls, lambda call: (value_of(call, dimension),))
    best = max(row["call_count"] for row in expected.values())
    assert answer["rows"][0]["call_count"] == best
    assert_same(answer["rows"][0], expected[(answer["rows"][0][dimension],)])
    rest = [c for c in ledger.calls if value_of(c, dimension) != answer["rows"][0][dimension]]
    assert bool(rest) == (len(answer["rows"]) == 2)
    if rest:
        assert (answer["rows"][1]["is_other"], answer["rows"][1][dimension]) == (True, None)
        assert_same(answer["rows"][1], figures(rest))


@pytest.mark.parametrize(
    "names",
    [["model"], ["provider_name", "model"], ["user_id", "tag:team"], ["error_type", "environment"]],
)
async def test_a_breakdown_has_each_combination_once_the_dearest_first(
    client: httpx.AsyncClient, ledger: Ledger, names: list[str]
) -> None:
    answer = await ask(client, "breakdown", group_by=names, measures=ALL)
    expected = grouped(ledger.calls, lambda call: tuple(value_of(call, name) for name in names))
    rows = {tuple(row[name] for name in names): row for row in answer["rows"]}
    assert rows.keys() == expected.keys()
    for key, row in rows.items():
        assert_same(row, expected[key])
    costs = [float(row["total_cost_usd"] or -1) for row in answer["rows"]]
    assert costs == sorted(costs, reverse=True)


@pytest.mark.parametrize(
    ("parameter", "values"),
    [
        ("model", ["gpt-4o", "gpt-4.1"]),
        ("user_id", ["user-alpaca-3", "user-alpaca-4"]),
        ("error_type", ["(none)"]),
        ("environment", ["(none)"]),
        ("provider_name", ["nobody"]),
        ("tag", ["team:team-alpaca-1", "team:team-alpaca-2"]),
    ],
)
async def test_a_filter_lets_only_its_values_pass(
    client: httpx.AsyncClient, ledger: Ledger, parameter: str, values: list[str]
) -> None:
    measures = {} if parameter == "user_id" else {"measures": ALL}
    answer = await ask(client, "overview", **{parameter: values}, **measures)
    dimension = "tag:team" if parameter == "tag" else parameter
    wanted = {value.removeprefix("team:") for value in values}
    passed = [call for call in ledger.calls if value_of(call, dimension) in wanted]
    assert_same(answer["current"], figures(passed))
    assert bool(passed) == (values != ["nobody"])


async def test_an_overview_compares_with_the_period_before(
    client: httpx.AsyncClient, ledger: Ledger
) -> None:
    middle = START + timedelta(days=DAYS / 2, minutes=7)
    end = middle + timedelta(days=1, hours=5)
    answer = await ask(client, "overview", **{"from": middle.isoformat(), "to": end.isoformat()})
    assert_same(answer["current"], figures(within(ledger.calls, middle, end)))
    assert_same(answer["previous"], figures(within(ledger.calls, middle - (end - middle), middle)))
    by_model = grouped(
        within(ledger.calls, middle, end), lambda call: (call["provider_name"], call["model"])
    )
    for row in answer["top_models"]:
        assert_same(row, by_model[row["provider_name"], row["model"]])
    assert len(answer["top_models"]) == 5


@pytest.mark.parametrize("filters", [{}, {"model": "gpt-4o"}, {"user_id": "user-alpaca-3"}])
async def test_percentiles_lie_within_two_percent(
    client: httpx.AsyncClient, ledger: Ledger, filters: dict[str, str]
) -> None:
    start = NOW - timedelta(days=1, hours=3, minutes=11)
    answer = await ask(client, "overview", **{"from": start.isoformat()}, **filters)
    calls = [
        call
        for call in within(ledger.calls, start, NOW)
        if all(call[name] == value for name, value in filters.items())
    ]
    for metric in ("duration", "time_to_first_chunk"):
        values = [c[f"{metric}_seconds"] for c in calls if c[f"{metric}_seconds"] is not None]
        assert len(values) > 3
        for percent in (50, 90, 95, 99):
            found = answer["current"][f"p{percent}_{metric}_seconds"]
            assert found == pytest.approx(quantile(values, percent / 100), rel=0.02)


async def test_each_cost_leads_to_its_price_row(client: httpx.AsyncClient, ledger: Ledger) -> None:
    answer = await ask(client, "costs")
    priced = [call for call in ledger.calls if call["total_cost_usd"]]
    expected: dict[tuple[str, str, str], Any] = {}
    for call in priced:
        for bucket in ("uncached_input", "cache_read", "output"):
            if price := call[f"{bucket}_price_id"]:
                key = (call["model"], bucket, str(price))
                expected[key] = expected.get(key, 0) + call[f"{bucket}_cost_usd"]
    found = {(r["model"], r["bucket"], r["price_id"]): r for r in answer["rows"]}
    assert {key: str(value.normalize()) for key, value in expected.items()} == {
        key: row["cost_usd"] for key, row in found.items()
    }
    assert {row["price_token_kind"] for row in answer["rows"]} >= {"input", "output"}
    assert all(row["price_usd_per_million"] for row in answer["rows"])
    for row in answer["models"]:
        same = [
            c for c in ledger.calls
            if (c["provider_name"], c["model"]) == (row["provider_name"], row["model"])
        ]  # fmt: skip
        assert_same(row, figures(same))


async def test_pages_of_conversations_are_all_conversations_once(
    client: httpx.AsyncClient, ledger: Ledger
) -> None:
    found: list[dict[str, Any]] = []
    cursor: dict[str, str] = {}
    while True:
        page = await ask(client, "conversations", limit=7, **cursor)
        found += page["rows"]
        if page["next_cursor"] is None:
            break
        cursor = {"cursor": page["next_cursor"]}
    expected = grouped(
        (call for call in ledger.calls if call["conversation_id"]),
        lambda call: (call["conversation_id"],),
    )
    assert len(found) == len(expected) > 14
    times = [row["last_called_at"] for row in found]
    assert times == sorted(times, reverse=True)
    for row in found:
        assert_same(row, expected[(row["conversation_id"],)])


async def test_a_date_is_a_day_of_the_zone(client: httpx.AsyncClient, ledger: Ledger) -> None:
    zone = ZoneInfo("Europe/Berlin")
    days = {"from": "2026-10-25", "to": "2026-10-26", "time_zone": zone.key}
    answer = await ask(client, "overview", **days)
    start, end = (datetime.combine(date(2026, 10, day), time(), zone) for day in (25, 26))
    assert_same(answer["current"], figures(within(ledger.calls, start, end)))
    assert answer["period"]["from"] == "2026-10-25T00:00:00+02:00"
    assert answer["period"]["to"] == "2026-10-26T00:00:00+01:00"
