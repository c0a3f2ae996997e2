"""What schemathesis must be told: lines of JSON are sent as the text that they are."""

import schemathesis

schemathesis.serializer.alias(
    ["application/x-ndjson", "application/ndjson", "application/jsonl"], "text/plain"
)
