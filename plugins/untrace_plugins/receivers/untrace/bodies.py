"""Bodies of requests and answers as OpenAPI describes them, besides the core trace itself."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from untrace_plugins.core_trace.model import CoreTrace, Metadata
from untrace_plugins.receivers.untrace.problems import FieldBody

__all__ = [
    "INGEST_SCHEMA",
    "INGEST_SPAN_SCHEMA",
    "MAX_TRACES",
    "Accepted",
    "AttachedMetadata",
    "BatchAccepted",
    "BatchRequest",
    "Health",
    "Ingested",
    "Rejected",
]

MAX_TRACES: Final = 1000
"""Traces of a batch."""


class BatchRequest(BaseModel):
    """Many traces; each is checked by itself, and the wrong ones are named in the answer."""

    model_config = ConfigDict(extra="allow")

    traces: Annotated[list[CoreTrace], Field(min_length=1, max_length=MAX_TRACES)]


class AttachedMetadata(BaseModel):
    """The header ``X-Untrace-Metadata``."""

    model_config = ConfigDict(strict=True, hide_input_in_errors=True)

    metadata: Annotated[Metadata, Field(alias="X-Untrace-Metadata")]


class DryRun(BaseModel):
    """What is said about a dry run besides."""

    remarks: list[str] | None = None
    """Where it would have gone."""


class Accepted(DryRun):
    """A trace was taken, by every pipeline."""

    id: str
    """The trace's id, or the one that was made up."""
    status: Literal["accepted", "dry_run"]


class Rejected(BaseModel):
    """A trace of a batch that was not taken, and never will be as it is."""

    index: int
    """Its place in ``traces``, from 0."""
    id: str | None
    message: str
    details: list[FieldBody]
    """The fields that are wrong."""


class BatchAccepted(DryRun):
    """The traces of a batch that were not rejected were taken."""

    status: Literal["accepted", "dry_run"]
    accepted: int
    rejected: int
    errors: list[Rejected]


class Ingested(DryRun):
    """Spans were taken."""

    success: Literal[True]
    tracesProcessed: int  # noqa: N815  the API's word


class Health(BaseModel):
    """The receiver listens."""

    status: Literal["ok"]


_ATTRIBUTES: Final[dict[str, Any]] = {
    "type": "array",
    "items": {
        "type": "object",
        "required": ["key"],
        "properties": {"key": {"type": "string"}, "value": {"type": "object", "description": "an OTLP AnyValue"}},
    },
}
_TIME: Final[dict[str, Any]] = {"type": "string", "pattern": "^[1-9][0-9]{0,17}$"}
INGEST_SCHEMA: Final[dict[str, Any]] = {
    "type": "object",
    "description": "OTLP/JSON; intValue may be a number, and parentSpanId null.",
    "required": ["resourceSpans"],
    "properties": {
        "resourceSpans": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "resource": {"type": "object", "properties": {"attributes": _ATTRIBUTES}},
                    "scopeSpans": {
                        "type": "array",
                        "items": {
                            "type": "object",
                            "properties": {
                                "scope": {"type": "object", "properties": {"name": {"type": "string"}}},
                                "spans": {"type": "array", "items": {"$ref": "#/components/schemas/IngestSpan"}},
                            },
                        },
                    },
                },
            },
        }
    },
}
INGEST_SPAN_SCHEMA: Final[dict[str, Any]] = {
    "type": "object",
    "required": ["traceId", "spanId"],
    "properties": {
        "traceId": {"type": "string", "pattern": "^[0-9a-f]{31}[1-9a-f]$"},
        "spanId": {"type": "string", "pattern": "^[0-9a-f]{15}[1-9a-f]$"},
        "parentSpanId": {"type": ["string", "null"], "pattern": "^([0-9a-f]{16})?$"},
        "name": {"type": "string"},
        "kind": {"type": "integer", "minimum": 0, "maximum": 5},
        "startTimeUnixNano": _TIME,
        "endTimeUnixNano": _TIME,
        "attributes": _ATTRIBUTES,
        "status": {
            "type": "object",
            "properties": {
                "code": {"type": "integer", "minimum": 0, "maximum": 2},
                "message": {"type": "string"},
            },
        },
    },
}
