"""What goes over the wire: OTLP as protobuf or JSON, or JSON as the server of Untrace checks it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import orjson

from untrace_pipeline.data import Batch
from untrace_plugins.destinations.model import Encoding
from untrace_plugins.exporters._otlp import JSON, PROTOBUF

__all__ = ["content_type", "encode"]


def encode(batch: Batch, encoding: Encoding) -> bytes:
    """Return the body of a request."""
    return _ENCODERS[encoding](batch)


def content_type(encoding: Encoding) -> str:
    """Return what the body is called."""
    return PROTOBUF if encoding is Encoding.PROTO else JSON


_STATUS = {1: 0, 2: 1}
"""OTLP's codes for success and error in Untrace's, which knows 1 as the error."""


def _untrace(batch: Batch) -> bytes:
    """Return JSON in which every span has all its fields, and integers are numbers, which OTLP writes as texts."""
    request = orjson.loads(batch.to_json())
    for resource in request.get("resourceSpans", []):
        owner = resource.setdefault("resource", {})
        owner["attributes"] = _numbers(owner.get("attributes"))
        for scope in resource.get("scopeSpans", []):
            scope.setdefault("scope", {}).setdefault("name", "")
            for span in scope.get("spans", []):
                _complete(span)
    return orjson.dumps(request)


def _complete(span: dict[str, Any]) -> None:
    span["attributes"] = _numbers(span.get("attributes"))
    for name in ("events", "links"):
        span[name] = [{**one, "attributes": _numbers(one.get("attributes"))} for one in span.get(name, [])]
    span.setdefault("kind", 0)
    span.setdefault("name", "")
    status = span.get("status", {})
    span["status"] = {**status, "code": _STATUS.get(status.get("code"), 0)}
    for name in ("startTimeUnixNano", "endTimeUnixNano"):
        span.setdefault(name, "0")
    if not span.get("parentSpanId"):
        span.pop("parentSpanId", None)


def _numbers(value: Any) -> Any:
    if value is None:
        return []
    if isinstance(value, list):
        return [_numbers(one) for one in value]
    if isinstance(value, dict):
        return {key: int(one) if key == "intValue" else _numbers(one) for key, one in value.items()}
    return value


_ENCODERS: Mapping[Encoding, Callable[[Batch], bytes]] = {
    Encoding.PROTO: Batch.to_otlp,
    Encoding.JSON: Batch.to_json,
    Encoding.STRICT_JSON: _untrace,
}
