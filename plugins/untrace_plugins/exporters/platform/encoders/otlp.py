"""OTLP as protobuf or JSON, or JSON as the server of Untrace checks it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import orjson

from untrace_pipeline.data import Batch
from untrace_pipeline.delivery import Outcome
from untrace_pipeline.net.http_answer import Answer
from untrace_plugins.destinations.model import Encoding
from untrace_plugins.exporters._otlp import JSON, PROTOBUF, read_http_answer
from untrace_plugins.exporters.platform.encoders.encoder import Body

__all__ = ["Otlp"]


class Otlp:
    """Says whatever a request says."""

    def __init__(self, encoding: Encoding) -> None:
        self._encode = _ENCODERS[encoding]
        self._content_type = PROTOBUF if encoding is Encoding.PROTO else JSON

    def learn(self, batch: Batch, rows: Sequence[int]) -> None:
        """Nothing: OTLP says of each span what it needs."""

    def encode(self, batch: Batch) -> Body:
        """Return the body of a request."""
        return Body(self._encode(batch), self._content_type)

    def read(self, batch: Batch, answer: Answer) -> Outcome:
        """Return what was not taken."""
        return read_http_answer(batch.signal, answer)


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
