"""Export requests as tests write them."""

import base64
import json
from typing import Any, Final

from google.protobuf.json_format import ParseDict
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

TRACE_ID: Final = "5b8efff798038103d269b633813fc60c"
START_NANO: Final = 1_795_423_553_000_000_000


def value(plain: Any) -> dict[str, Any]:
    """A value as OTLP/JSON writes it."""
    match plain:
        case bool():
            return {"boolValue": plain}
        case int():
            return {"intValue": str(plain)}
        case float():
            return {"doubleValue": plain}
        case list():
            return {"arrayValue": {"values": [value(item) for item in plain]}}
        case dict():
            return {"kvlistValue": {"values": attributes(plain)}}
        case _:
            return {"stringValue": str(plain)}


def attributes(plain: dict[str, Any]) -> list[dict[str, Any]]:
    """Attributes as OTLP/JSON writes them."""
    return [{"key": key, "value": value(item)} for key, item in plain.items()]


def span(plain: dict[str, Any], number: int = 1, **fields: Any) -> dict[str, Any]:
    """A span of 2 s with these attributes; its id is `number`."""
    return {
        "traceId": TRACE_ID,
        "spanId": f"{number:016x}",
        "name": "span",
        "startTimeUnixNano": str(START_NANO),
        "endTimeUnixNano": str(START_NANO + 2_000_000_000),
        "attributes": attributes(plain),
        "status": {},
        **fields,
    }


def moment(name: str, seconds: float = 0.0, **plain: Any) -> dict[str, Any]:
    """An event of a span, so many seconds after its start. `__` in a name stands for a dot."""
    named = {key.replace("__", "."): item for key, item in plain.items()}
    nano = START_NANO + int(seconds * 1e9)
    return {"name": name, "timeUnixNano": str(nano), "attributes": attributes(named)}


def request(
    *spans: Any, scope: str = "test", resource: dict[str, Any] | None = None
) -> dict[str, Any]:
    """An export request of one process and one scope."""
    return {
        "resourceSpans": [
            {
                "resource": {"attributes": attributes(resource or {})},
                "scopeSpans": [{"scope": {"name": scope, "version": "1.2"}, "spans": list(spans)}],
            }
        ]
    }


def as_json(sent: dict[str, Any]) -> bytes:
    """The request as OTLP/JSON."""
    return json.dumps(sent).encode()


def as_protobuf(sent: dict[str, Any]) -> bytes:
    """The request as OTLP/protobuf. Its ids must be well-formed."""
    copy = json.loads(json.dumps(sent))
    for group in copy["resourceSpans"]:
        for part in group["scopeSpans"]:
            for made in part["spans"]:
                for field in ("traceId", "spanId", "parentSpanId"):
                    if field in made:
                        made[field] = base64.b64encode(bytes.fromhex(made[field])).decode()
    encoded: bytes = ParseDict(copy, ExportTraceServiceRequest()).SerializeToString()
    return encoded
