"""Questions about cost and usage; `ingest_api/analytics` answers them from the marts."""

from typing import Annotated

from fastapi import APIRouter, Depends, Header, Query, Request, Response

from ingest_api.analytics import documents, parameters, plans
from ingest_api.analytics.answering import JSON, Planner
from ingest_api.analytics.answering import Request as Question
from ingest_api.analytics.conversations import plan_conversations
from ingest_api.analytics.costs import plan_costs
from ingest_api.analytics.parameters import Format, PeriodParameters
from ingest_api.auth import ApiKey
from ingest_api.dependencies import ReadKeyDep, ServicesDep

router = APIRouter(prefix="/api/v1/analytics", tags=["analytics"])

IfNoneMatch = Annotated[
    str, Header(description="ETags of answers that the client has; 304 where one still holds.")
]


class Client:
    """Who asks, and what it has already: the same for every route."""

    def __init__(
        self,
        request: Request,
        key: ReadKeyDep,
        services: ServicesDep,
        if_none_match: IfNoneMatch = "",
    ) -> None:
        self.key: ApiKey = key
        self.analytics = services.analytics
        self.accept = request.headers.get("accept", "")
        self.if_none_match = if_none_match

    async def ask(self, route: str, wanted: PeriodParameters, planner: Planner) -> Response:
        """The answer for the key's project."""
        question = Question(route, self.key.project_id, wanted, self.accept, self.if_none_match)
        return await self.analytics.answer(question, planner)


ClientDep = Annotated[Client, Depends()]


def _most(form: Format) -> int | None:
    """Rows of an answer in memory; those of an export are counted as they are read."""
    return plans.MAX_ROWS if form == JSON else None


@router.get(
    "/overview",
    summary="Totals of a period and of the one before",
    response_class=Response,
    responses=documents.OVERVIEW,
)
async def overview(
    client: ClientDep, wanted: Annotated[parameters.OverviewParameters, Query()]
) -> Response:
    """Calls, errors, tokens, cost and percentiles, and the models that cost most. CSV and Parquet
    hold the two rows of totals.
    """
    return await client.ask("overview", wanted, lambda asked, _: plans.plan_overview(asked, wanted))


@router.get(
    "/timeseries",
    summary="Figures over time",
    response_class=Response,
    responses=documents.TIMESERIES,
)
async def timeseries(
    client: ClientDep, wanted: Annotated[parameters.TimeseriesParameters, Query()]
) -> Response:
    """A row for each bucket and series. Buckets begin by the clock of `time_zone`; the first and
    the last are cut to the period. Where nobody called, counts are 0 and costs are null.
    """
    return await client.ask(
        "timeseries", wanted, lambda asked, _: plans.plan_timeseries(asked, wanted)
    )


@router.get(
    "/breakdown",
    summary="Totals by what calls have in common",
    response_class=Response,
    responses=documents.BREAKDOWN,
)
async def breakdown(
    client: ClientDep, wanted: Annotated[parameters.BreakdownParameters, Query()]
) -> Response:
    """A row for each combination of values, most of `order_by` first."""
    return await client.ask(
        "breakdown",
        wanted,
        lambda asked, form: plans.plan_breakdown(asked, wanted, _most(form)),
    )


@router.get(
    "/top",
    summary="The most expensive, busiest ... models, users, tags",
    response_class=Response,
    responses=documents.TOP,
)
async def top(client: ClientDep, wanted: Annotated[parameters.TopParameters, Query()]) -> Response:
    """The first `n` values, and all others as one row, so that the rows add up to the whole."""
    return await client.ask("top", wanted, lambda asked, _: plans.plan_top(asked, wanted))


@router.get(
    "/conversations",
    summary="Conversations with cost, length and errors, the latest first",
    response_class=Response,
    responses=documents.CONVERSATIONS,
)
async def conversations(
    client: ClientDep, wanted: Annotated[parameters.ConversationsParameters, Query()]
) -> Response:
    """Those whose last call lies in the period, with the figures of their whole life."""
    return await client.ask(
        "conversations",
        wanted,
        lambda asked, form: plan_conversations(asked, wanted, is_page=form == JSON),
    )


@router.get(
    "/costs",
    summary="Costs by bucket and price row, and reported beside computed",
    response_class=Response,
    responses=documents.COSTS,
)
async def costs(
    client: ClientDep, wanted: Annotated[parameters.CostsParameters, Query()]
) -> Response:
    """Each cost with the price row that made it: `price_id` is a row of `pricing.model_prices`.
    JSON adds a row for each model with what the senders reported; CSV and Parquet hold the costs.
    """
    return await client.ask(
        "costs", wanted, lambda asked, form: plan_costs(asked, wanted, _most(form))
    )
