"""`make bench-otlp`: how much of the recorded OTLP requests the ledger gets right, and how fast.

Reads the recordings that `LLMSCOPE_CORPUS` names. What a difference means is said where it is
found, in `tests/otlp_corpus.py`: one with a cause is a fact that the span itself has not.
"""

import json
import os
import platform
import sys
import time
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, NamedTuple
from uuid import UUID

import msgspec
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from benchmarks.otlp_http import measure, receiving_api
from ingest_api.errors import Problem
from ingest_api.otlp.aliases import is_known
from ingest_api.otlp.batches import Traces, read_traces
from ingest_api.otlp.decoding import JSON, PROTOBUF, decode
from ingest_api.otlp.mapping import map_spans
from tests.otlp_corpus import DIALECTS, Difference, Recording, differences, recordings
from tests.running import RunningPlatform
from tests.traffic import corpus

PROJECT: Final = UUID(int=1)
MAX_BATCH_EVENTS: Final = 1000
FACTS: Final = ("provider", "model", "tokens", "status")
# What the batch processors of OpenTelemetry's SDKs send at most.
SPANS_PER_REQUEST: Final = 512
RUNS: Final = 15


class Result(NamedTuple):
    """What became of the recordings of one dialect."""

    requests: int
    accepted: int
    calls: int
    twice: int
    same_in_both_forms: int
    differences: Counter[Difference]


def read(body: bytes, media: str) -> Traces:
    """As the route does it."""
    return read_traces(body, media, PROJECT, datetime.now(UTC), MAX_BATCH_EVENTS)


def judge(recorded: list[Recording]) -> Result:
    """Compare the events with the truth, and those of JSON with those of protobuf."""
    accepted = calls = twice = same = 0
    found: Counter[Difference] = Counter()
    for recording in recorded:
        try:
            of_json, of_protobuf = (
                read(recording.json_body, JSON),
                read(recording.protobuf_body, PROTOBUF),
            )
        except Problem:
            continue
        accepted += not (of_json.rejected or of_protobuf.rejected)
        same += of_json == of_protobuf
        mapped = map_spans(decode(recording.json_body, JSON, is_known).spans, PROJECT)
        calls += bool(mapped)
        twice += len(mapped) > 1
        if mapped:
            found.update(differences(mapped[0].event, mapped[0].span, recording.truth))
        else:
            found[Difference("call", _lost_cause(recording))] += 1
    return Result(len(recorded), accepted, calls, twice, same, found)


def _lost_cause(recording: Recording) -> str:
    if recording.truth["stream"] or recording.truth["usage"]:
        return ""
    return "an answer without usage, id and choices: its span is that of a stream's opening"


def print_table(results: dict[str, Result]) -> None:
    """One line per dialect, then every difference by its cause."""
    print(
        f"{'dialect':22}{'requests':>9}{'accepted':>9}{'found':>7}{'twice':>6}{'json=pb':>8}",
        end="",
    )
    print("".join(f"{fact:>10}" for fact in FACTS))
    for dialect, result in results.items():
        print(f"{dialect:22}{result.requests:9}{result.accepted:9}{result.calls:7}", end="")
        print(f"{result.twice:6}{result.same_in_both_forms:8}", end="")
        print("".join(f"{_agreement(result, fact):>10.2%}" for fact in FACTS))
    print("\nAgreement is of the calls whose span has the fact. The others:")
    for dialect, result in results.items():
        for difference, count in sorted(result.differences.items()):
            cause = difference.cause or "UNEXPLAINED"
            print(f"{count:5} of {result.requests}  {dialect:22} {difference.fact:9} {cause}")


def _agreement(result: Result, fact: str) -> float:
    missing = sum(n for d, n in result.differences.items() if d.fact == fact and d.cause)
    wrong = sum(n for d, n in result.differences.items() if d.fact == fact and not d.cause)
    carried = result.calls - missing
    return (carried - wrong) / carried if carried else 1.0


def one_request(recorded: list[Recording]) -> tuple[bytes, bytes, int]:
    """Protobuf, JSON and number of spans of a request as an SDK sends it: of one process, with the
    spans of each scope together."""
    request = ExportTraceServiceRequest()
    resource: dict[str, object] = {}
    scopes: dict[str, dict[str, list[object]]] = {}
    span_count = 0
    for recording in recorded:
        if span_count >= SPANS_PER_REQUEST:
            break
        sent = ExportTraceServiceRequest.FromString(recording.protobuf_body)
        for group in json.loads(recording.json_body)["resourceSpans"]:
            resource = resource or group["resource"]
            for part in group["scopeSpans"]:
                scope = scopes.setdefault(part["scope"]["name"], {**part, "spans": []})
                scope["spans"] += part["spans"]
                span_count += len(part["spans"])
        _append(request, sent)
    body = {"resourceSpans": [{"resource": resource, "scopeSpans": list(scopes.values())}]}
    return request.SerializeToString(), msgspec.json.encode(body), span_count


def _append(request: ExportTraceServiceRequest, sent: ExportTraceServiceRequest) -> None:
    for group in sent.resource_spans:
        if not request.resource_spans:
            request.resource_spans.add().resource.CopyFrom(group.resource)
        target = request.resource_spans[0]
        for part in group.scope_spans:
            [scope] = [s for s in target.scope_spans if s.scope.name == part.scope.name] or [
                target.scope_spans.add(scope=part.scope)
            ]
            scope.spans.extend(part.spans)


def seconds_of(work: Callable[[], object]) -> float:
    """CPU time of the fastest of some runs: the machine may be busy with other things."""
    best = float("inf")
    for _ in range(RUNS):
        start = time.process_time()
        work()
        best = min(best, time.process_time() - start)
    return best


def print_throughput(platform: RunningPlatform, dialect: str, recorded: list[Recording]) -> None:
    """Spans a second of an API process, from body to stream payload and from socket to disk, and
    how many times bare decoding each takes."""
    protobuf, json_body, span_count = one_request(recorded)
    for media, body, parse in (
        (PROTOBUF, protobuf, ExportTraceServiceRequest.FromString),
        (JSON, json_body, msgspec.json.decode),
    ):
        whole = seconds_of(lambda body=body, media=media: read(body, media))  # type: ignore[misc]
        decoding = seconds_of(lambda body=body, media=media: decode(body, media, is_known))  # type: ignore[misc]
        bare = seconds_of(lambda body=body, parse=parse: parse(body))  # type: ignore[misc]
        http = measure(platform, body, media, span_count)
        print(
            f"{dialect:22}{media.rpartition('/')[2]:>11}{1 / http:11,.0f}"
            f"{http * span_count / decoding:10.1f}{http * span_count / bare:10.1f}"
            f"{span_count / whole:12,.0f}{whole / decoding:10.1f}{len(body) / span_count:12,.0f}"
        )


def main() -> None:
    """Print both tables."""
    folder: Path = corpus()
    if not (folder / "otlp-replayed").is_dir():
        sys.exit(f"There are no recordings at {folder}: set LLMSCOPE_CORPUS.")
    recorded = {dialect: recordings(folder, dialect) for dialect in DIALECTS}
    print_table({dialect: judge(found) for dialect, found in recorded.items()})
    print(f"\nRequests of {SPANS_PER_REQUEST} spans, every span a call with its prompt; spans a")
    print("second of processor time of one API process: over HTTP until they are on disk (key,")
    print("Redis with appendfsync always), and from body to stream payload in this process;")
    print(f"{platform.machine()}, {os.cpu_count()} cores")
    print(f"{'dialect':22}{'form':>11}{'HTTP':>11}{'x decode':>10}{'x parse':>10}", end="")
    print(f"{'mapping':>12}{'x decode':>10}{'bytes/span':>12}")
    with receiving_api() as receiver:
        for dialect, found in recorded.items():
            print_throughput(receiver, dialect, found)


if __name__ == "__main__":
    main()
