"""The event stream: the one way to the events that wait in Redis.

Events lie in one stream per shard; all events of a project lie in the same one. An entry carries
many events of one project:

    tenant_id, project_id, api_key_id   UUIDs as text
    received_at                         RFC 3339, when the API wrote the entry
    event_count                         how many events `events` holds
    events                              JSON array in the form of the event contract

Beside the stream, in the same slot of a cluster, lie a hash of counters (`accepted_events`,
`settled_events`: loaded or dead-lettered, and what `stream_scripts` needs to keep settled entries
for a while), events per second of the last seconds, when a loader was last seen, and a list of what
is kept. Each is changed in the step that changes the stream.
"""

from ingest_api.stream_connection import (
    AsyncClient,
    BlockingClient,
    connect,
    connect_async,
    find_durability_gaps,
)
from ingest_api.stream_follower import StreamFollower, Tail
from ingest_api.stream_layout import (
    COUNTERS,
    GROUP,
    LOADER_HEARTBEAT,
    MAX_SHARDS,
    NOTHING_KEPT,
    REDIS_ERRORS,
    STREAM,
    Entry,
    RawEntry,
    Retention,
    Source,
    StreamError,
    StreamFullError,
    shard_of,
    stream_key,
)
from ingest_api.stream_reader import EventStreamReader
from ingest_api.stream_stats import (
    LOADER_SILENCE_SECONDS,
    StreamStats,
    read_stats,
    read_stats_blocking,
)
from ingest_api.stream_writer import MAX_ENTRY_BYTES, EventStreamWriter, append_replays

__all__ = [
    "COUNTERS",
    "GROUP",
    "LOADER_HEARTBEAT",
    "LOADER_SILENCE_SECONDS",
    "MAX_ENTRY_BYTES",
    "MAX_SHARDS",
    "NOTHING_KEPT",
    "REDIS_ERRORS",
    "STREAM",
    "AsyncClient",
    "BlockingClient",
    "Entry",
    "EventStreamReader",
    "EventStreamWriter",
    "RawEntry",
    "Retention",
    "Source",
    "StreamError",
    "StreamFollower",
    "StreamFullError",
    "StreamStats",
    "Tail",
    "append_replays",
    "connect",
    "connect_async",
    "find_durability_gaps",
    "read_stats",
    "read_stats_blocking",
    "shard_of",
    "stream_key",
]
