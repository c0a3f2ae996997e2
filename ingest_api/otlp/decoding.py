"""A request body -> spans."""

from collections.abc import Callable
from typing import Final

from ingest_api.otlp.aliases import KeepKey
from ingest_api.otlp.json_spans import decode_json
from ingest_api.otlp.protobuf_spans import decode_protobuf
from ingest_api.otlp.spans import Decoded

PROTOBUF: Final = "application/x-protobuf"
JSON: Final = "application/json"

_DECODERS: Final[dict[str, Callable[[bytes, KeepKey], Decoded]]] = {
    PROTOBUF: decode_protobuf,
    JSON: decode_json,
}


def media_type(content_type: str) -> str | None:
    """`PROTOBUF` or `JSON`, whatever its case and parameters; None for any other."""
    name = content_type.partition(";")[0].strip().lower()
    name = PROTOBUF if name == "application/protobuf" else name
    return name if name in _DECODERS else None


def decode(body: bytes, media: str, keep: KeepKey) -> Decoded:
    """Spans of an ExportTraceServiceRequest, with the attributes that `keep` names.

    Args:
        media: `PROTOBUF` or `JSON`.

    Raises:
        MalformedBodyError: the body as a whole is no such request.
    """
    return _DECODERS[media](body, keep)
