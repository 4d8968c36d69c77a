"""The OpenAPI document, made of the models that requests are checked with."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any, Final

from pydantic.json_schema import models_json_schema

from untrace_plugins.core_trace.model import CoreTrace
from untrace_plugins.receivers.untrace.bodies import (
    INGEST_SCHEMA,
    INGEST_SPAN_SCHEMA,
    Accepted,
    BatchAccepted,
    BatchRequest,
    Health,
    Ingested,
)
from untrace_plugins.receivers.untrace.paths import BATCH, HEALTH, INGEST, OPENAPI, TRACES
from untrace_plugins.receivers.untrace.problems import JSON, ErrorBody

__all__ = ["document"]

_REFUSALS: Final = {
    400: "The body or a header is not what it should be; details name the fields.",
    401: "No key, or an unknown one.",
    403: "The key is disabled, or may not do this.",
    408: "The body did not come in time.",
    409: "The idempotency key came before with another request.",
    413: "The body is larger than the limit.",
    415: "Another content type or encoding than those that are taken.",
    429: "Too much; Retry-After says when to come again.",
    431: "The headers are too large.",
    500: "Refused for good behind the receiver, or an internal error.",
    503: "Not now; Retry-After says when to come again.",
}
_METADATA: Final = {"content": {JSON: {"schema": {"$ref": "#/components/schemas/Metadata"}}}}
_HEADERS: Final[tuple[tuple[str, str, dict[str, Any]], ...]] = (
    (
        "X-Idempotency-Key",
        "The same key and the same request give the same answer, and nothing is taken twice.",
        {"schema": {"type": "string", "maxLength": 255}},
    ),
    ("X-Untrace-Dry-Run", "Nothing is sent; the answer says where it would have gone.", {"schema": {"type": "string"}}),
    ("X-Untrace-Metadata", "Attached to every trace; a trace's own metadata wins.", _METADATA),
)


def document(*, secured: bool) -> dict[str, Any]:
    """Return the document; ``secured`` = a key, or a token, is asked for."""
    models = (CoreTrace, BatchRequest, Accepted, BatchAccepted, Ingested, Health, ErrorBody)
    _, schemas = models_json_schema(
        [(model, "validation") for model in models], ref_template="#/components/schemas/{model}"
    )
    ingest = {"IngestRequest": INGEST_SCHEMA, "IngestSpan": INGEST_SPAN_SCHEMA}
    found: dict[str, Any] = {
        "openapi": "3.1.0",
        "info": {"title": "Untrace ingest API", "version": version("untrace-pipeline")},
        "paths": {
            TRACES: {"post": _operation("sendTrace", "Send one trace", "CoreTrace", (202, "Accepted"))},
            BATCH: {"post": _operation("sendTraces", "Send many traces", "BatchRequest", (202, "BatchAccepted"))},
            INGEST: {"post": _operation("ingest", "Send spans", "IngestRequest", (200, "Ingested"))},
            HEALTH: {"get": {"operationId": "health", "responses": _responses((200, "Health"), ()), "security": []}},
            OPENAPI: {"get": {"operationId": "openapi", "responses": {"200": _plain()}, "security": []}},
        },
        "components": {"schemas": schemas["$defs"] | ingest},
    }
    if secured:
        found["security"] = [{"key": []}, {"bearer": []}]
        found["components"]["securitySchemes"] = {
            "key": {"type": "apiKey", "in": "header", "name": "X-Untrace-Key"},
            "bearer": {"type": "http", "scheme": "bearer"},
        }
    return found


def _operation(id: str, summary: str, request: str, success: tuple[int, str]) -> dict[str, Any]:
    responses = _responses(success, _REFUSALS)
    if success[0] == 202:  # noqa: PLR2004
        responses["200"] = {"description": "A dry run.", **_content(success[1])}
    return {
        "operationId": id,
        "summary": summary,
        "parameters": [{"name": name, "in": "header", "description": text, **form} for name, text, form in _HEADERS],
        "requestBody": {"required": True, **_content(request)},
        "responses": responses,
    }


def _responses(success: tuple[int, str], refusals: Any) -> dict[str, Any]:
    failed = {str(status): {"description": _REFUSALS[status], **_content("ErrorBody")} for status in refusals}
    return {str(success[0]): {"description": "Done.", **_content(success[1])}, **failed}


def _content(schema: str) -> dict[str, Any]:
    return {"content": {JSON: {"schema": {"$ref": f"#/components/schemas/{schema}"}}}}


def _plain() -> dict[str, Any]:
    return {"description": "This document.", "content": {JSON: {"schema": {"type": "object"}}}}
