"""OTLP requests in a form in which two correct outputs are equal, however they were grouped, ordered or batched."""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Literal

from google.protobuf.json_format import MessageToDict, Parse
from google.protobuf.message import Message
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

SignalName = Literal["traces", "metrics", "logs"]

REQUESTS: dict[SignalName, type[Message]] = {
    "traces": ExportTraceServiceRequest,
    "metrics": ExportMetricsServiceRequest,
    "logs": ExportLogsServiceRequest,
}
ITEMS: dict[SignalName, tuple[str, str, str]] = {
    "traces": ("resourceSpans", "scopeSpans", "spans"),
    "metrics": ("resourceMetrics", "scopeMetrics", "metrics"),
    "logs": ("resourceLogs", "scopeLogs", "logRecords"),
}


def split_framed(data: bytes) -> Iterator[bytes]:
    """Yield the records, each of which comes after its length in four big-endian bytes; a torn tail is left out."""
    place = 0
    while place + 4 <= len(data):
        (size,) = struct.unpack_from(">I", data, place)
        if place + 4 + size > len(data):
            return
        yield data[place + 4 : place + 4 + size]
        place += 4 + size


def read_framed(path: Path) -> Iterator[bytes]:
    """Yield the records of a file of that form; nothing when there is no such file."""
    return split_framed(path.read_bytes() if path.exists() else b"")


def parse_proto(signal: SignalName, body: bytes) -> Message:
    """Parse a serialized OTLP export request."""
    request = REQUESTS[signal]()
    request.ParseFromString(body)
    return request


def parse_json(signal: SignalName, text: str) -> Message:
    """Parse OTLP JSON, whose ids are hexadecimal, unlike protobuf's own JSON."""
    import base64  # noqa: PLC0415
    import json  # noqa: PLC0415

    def ids(value: Any) -> Any:
        if isinstance(value, list):
            return [ids(each) for each in value]
        if not isinstance(value, dict):
            return value
        hexadecimal = {"traceId", "spanId", "parentSpanId"}
        return {
            key: base64.b64encode(bytes.fromhex(each)).decode() if key in hexadecimal else ids(each)
            for key, each in value.items()
        }

    return Parse(json.dumps(ids(json.loads(text))), REQUESTS[signal]())


# Messages whose empty form means the same as their absence; senders differ in which one they write.
OPTIONAL = {"body", "value", "status", "resource", "scope", "positive", "negative"}


def _freeze(value: Any) -> Any:
    """Make a value of JSON's kind hashable; attribute lists become sets of pairs, because their order means nothing."""
    if isinstance(value, dict) and _is_map_value(value):
        return (("values", _attributes(value["values"])),)
    if isinstance(value, dict):
        present = {key: each for key, each in value.items() if each != {} or key not in OPTIONAL}
        return tuple(
            sorted((key, _attributes(each) if _is_map(key) else _freeze(each)) for key, each in present.items())
        )
    if isinstance(value, list):
        return tuple(_freeze(each) for each in value)
    return value


def _is_map(key: str) -> bool:
    return key in {"attributes", "filteredAttributes"}


def _is_map_value(value: dict[str, Any]) -> bool:
    return set(value) == {"values"} and all(isinstance(each, dict) and "key" in each for each in value["values"])


def _attributes(value: Any) -> Any:
    return tuple(sorted((_freeze(each) for each in value), key=repr))


def _groups(signal: SignalName, request: Message) -> Iterator[tuple[dict[str, Any], list[dict[str, Any]]]]:
    """Yield the context (resource, scope, their schema URLs) and the items of every scope group."""
    resources, scopes, items = ITEMS[signal]
    for group in MessageToDict(request).get(resources, []):
        outer = {"resource": group.get("resource", {}), "resourceSchemaUrl": group.get("schemaUrl", "")}
        for inner in group.get(scopes, []):
            context = outer | {"scope": inner.get("scope", {}), "schemaUrl": inner.get("schemaUrl", "")}
            yield context, inner.get(items, [])


def canonical_items(signal: SignalName, requests: Iterable[Message]) -> Counter[Any]:
    """Count equal items; an item is all its fields with those of its scope and resource."""
    found: Counter[Any] = Counter()
    for request in requests:
        for context, items in _groups(signal, request):
            frozen = _freeze(context)
            for item in items:
                found[(frozen, _freeze(item))] += 1
    return found


def _leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the paths and values of a frozen item; attributes are named by their keys."""
    if not isinstance(value, tuple) or not value:
        yield path, value
        return
    for index, each in enumerate(value):
        match each:
            case (("key", str(key)), *rest):
                yield from _leaves(tuple(rest), f"{path}[{key}]")
            case (str(name), inner):
                yield from _leaves(inner, f"{path}.{name}")
            case _:
                yield from _leaves(each, f"{path}[{index}]")


def _similar(item: Any, candidates: Iterable[Any]) -> Any:
    """Answer the candidate that has most leaves in common with the item."""
    wanted = set(_leaves(item))
    return max(candidates, key=lambda candidate: len(wanted & set(_leaves(candidate))), default=None)


def _show(leaves: Iterable[tuple[str, Any]]) -> str:
    return "; ".join(f"{path} = {value!r}" for path, value in sorted(leaves, key=repr)) or "nothing"


def describe_difference(ours: Counter[Any], theirs: Counter[Any], limit: int = 3) -> str:
    """Say how two outputs differ: counts, and what differs in the first items. Empty when equal."""
    extra, missing = ours - theirs, theirs - ours
    if not extra and not missing:
        return ""
    only = f"{extra.total()} only ours, {missing.total()} only theirs"
    lines = [f"ours {ours.total()} items, theirs {theirs.total()}; {only}"]
    for item in sorted(extra or missing, key=repr)[:limit]:
        other = _similar(item, missing if extra else ())
        mine, yours = set(_leaves(item)), set(_leaves(other)) if other is not None else set()
        names = ("ours", "theirs") if extra else ("theirs", "ours")
        lines += [
            f"  {name}: {_show(leaves)}" for name, leaves in zip(names, (mine - yours, yours - mine), strict=True)
        ]
    return "\n".join(lines)
