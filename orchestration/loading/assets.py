"""The stream and the raw tables as Dagster shows them."""

import dagster as dg

OWNERS = ["team:llmscope"]

EVENTS_STREAM = dg.AssetKey(["redis", "events_stream"])
LLM_EVENTS = dg.AssetKey(["raw", "llm_events"])
LLM_EVENT_CONTENTS = dg.AssetKey(["raw", "llm_event_contents"])
DEAD_LETTERS = dg.AssetKey(["raw", "dead_letters"])
# What people set and the marts read.
APP_TABLES = {
    "tenants": "One row per tenant: whose rows nobody else sees.",
    "projects": "One row per project: whose keys send events, and whether it is demo data.",
    "budgets": "One row per budget of a project, or of all projects of a tenant.",
    "cost_restatements": "One row per request to price calls anew, with its reason.",
    "held_event_releases": "One row per held event that an operator lets into the marts.",
}

loading_assets = [
    *(
        dg.AssetSpec(
            dg.AssetKey(["app", table]),
            group_name="ingest",
            owners=OWNERS,
            kinds={"postgres"},
            description=description,
        )
        for table, description in APP_TABLES.items()
    ),
    dg.AssetSpec(
        EVENTS_STREAM,
        group_name="ingest",
        owners=OWNERS,
        kinds={"redis"},
        description="Accepted events on their way to the ledger, durable on disk. "
        "An event leaves the stream only after it is committed.",
    ),
    dg.AssetSpec(
        LLM_EVENTS,
        deps=[EVENTS_STREAM],
        group_name="raw",
        owners=OWNERS,
        kinds={"postgres", "timescaledb"},
        description="One row per model call as it was reported. Insert-only hypertable; "
        "each materialisation is what one tick of `load_events_sensor` committed.",
    ),
    dg.AssetSpec(
        LLM_EVENT_CONTENTS,
        deps=[EVENTS_STREAM],
        group_name="raw",
        owners=OWNERS,
        kinds={"postgres", "timescaledb"},
        description="Prompts and completions of senders that opted in, apart from the ledger "
        "so that erasing them never touches the money.",
    ),
    dg.AssetSpec(
        DEAD_LETTERS,
        deps=[EVENTS_STREAM],
        group_name="raw",
        owners=OWNERS,
        kinds={"postgres"},
        description="One row per event or stream entry that could not be loaded, with its "
        "payload and the reason.",
    ),
]
