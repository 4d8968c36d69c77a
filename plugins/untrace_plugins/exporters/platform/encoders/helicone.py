"""Helicone's log of calls: what the provider was asked and what it answered, rebuilt; when, for whom, at what cost."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final
from urllib.parse import quote

import orjson

from untrace_pipeline.data import Batch
from untrace_pipeline.delivery import DELIVERED, Outcome
from untrace_pipeline.errors import PermanentError
from untrace_pipeline.net.http_answer import Answer
from untrace_plugins.exporters.platform.encoders.encoder import Body
from untrace_plugins.genai import names
from untrace_plugins.genai.emit import anthropic, openai
from untrace_plugins.genai.emit.content import as_text, to_json
from untrace_plugins.genai.emit.cost import cost_of
from untrace_plugins.genai.emit.span import Span, strings
from untrace_plugins.genai.emit.words import metadata, total_tokens
from untrace_plugins.genai.names import Operation
from untrace_plugins.rows import SpanRow, read_spans

__all__ = ["HeliconeLog"]

JSON: Final = "application/json"
_OK, _FAILED, _ERRORS = 200, 500, range(400, 600)
_ERROR = 2
_PATHS: Final = {"openai": "/oai/v1/log", "azure.ai.openai": "/oai/v1/log", "anthropic": "/anthropic/v1/log"}
_CUSTOM: Final = "/custom/v1/log"
_URL: Final = "custom-model-nopath"
"""What Helicone's own loggers say, of whichever provider."""
_NOT_IN_NAMES = re.compile(r"[^0-9A-Za-z_.-]+")
_PRINTABLE: Final = "".join(chr(code) for code in range(32, 127) if chr(code) != "%")
_SPREAD: Final = frozenset({Operation.CHAT.value, Operation.GENERATE_CONTENT.value})
"""Operations whose streams have deltas."""


class HeliconeLog:
    """Writes one call; the preparation sees to it that a request has one."""

    def learn(self, batch: Batch, rows: Sequence[int]) -> None:
        """Nothing: calls are logged one by one."""

    def encode(self, batch: Batch) -> Body:
        """Return the log of the call, where that of its provider goes."""
        (row,) = read_spans(batch)
        span = Span(row.attributes, row.start, row.end)
        path = _PATHS.get(span.text(names.PROVIDER) or "", _CUSTOM)
        if path == _PATHS["anthropic"] and span.text(names.OPERATION) not in _SPREAD:
            path = _CUSTOM
        return Body(to_json(_log(row, span, path)).encode(), JSON, path)

    def read(self, batch: Batch, answer: Answer) -> Outcome:
        """Find what Helicone could not store: it says 200, and why."""
        try:
            said = orjson.loads(answer.body) if answer.body.startswith(b"{") else None
        except orjson.JSONDecodeError:
            said = None
        if isinstance(said, dict) and said.get("error"):
            error = PermanentError("HTTP 200, but Helicone could not store the call")
            error.detail = as_text(said["error"])[:4096]
            raise error
        return DELIVERED


def _log(row: SpanRow, span: Span, path: str) -> dict[str, Any]:
    api = anthropic if path == _PATHS["anthropic"] else openai
    request, response = api.asked(span), api.answered(span)
    failed = row.status_code == _ERROR
    streamed = bool(request.pop("stream", False)) and not failed and _can_stream(span, request["model"], path)
    if failed:
        error = {"message": row.status_message, "type": span.text(names.ERROR_TYPE) or "error"}
        began = span.answered or total_tokens(span) is not None
        response = {**(response if began else {}), "error": error}
    if streamed:
        request["stream"] = True
        response = {"streamed_data": [_chunk(response)]}
    said = {"status": _status(span, failed=failed), "headers": {}, "json": response}
    if (cost := cost_of(span)) is not None:
        said["cost"] = cost.total
    timing: dict[str, Any] = {"startTime": _moment(row.start), "endTime": _moment(max(row.start, row.end))}
    if (first := span.number(names.RESPONSE_TIME_TO_FIRST_CHUNK)) is not None:
        timing["timeToFirstToken"] = round(first * 1000)
    meta = dict(_meta(row, span))
    return {
        "providerRequest": {"url": _URL, "json": request, "meta": meta},
        "providerResponse": said,
        "timing": timing,
    }


def _can_stream(span: Span, model: str, path: str) -> bool:
    """Return whether Helicone reads a stream in OpenAI's form here: of Claude's models it expects another one."""
    return path != _PATHS["anthropic"] and "claude" not in model and span.text(names.OPERATION) in _SPREAD


def _chunk(response: Mapping[str, Any]) -> dict[str, Any]:
    """Return an answer as the only chunk of a stream."""
    choices = [
        {"index": one["index"], "delta": _delta(one["message"]), "finish_reason": one["finish_reason"]}
        for one in response["choices"]
    ]
    return {**response, "object": "chat.completion.chunk", "choices": choices}


def _delta(message: Mapping[str, Any]) -> dict[str, Any]:
    calls = [{"index": place, **call} for place, call in enumerate(message.get("tool_calls", ()))]
    return {**message, "tool_calls": calls} if calls else dict(message)


def _status(span: Span, *, failed: bool) -> int:
    status = span.count(names.HTTP_STATUS) or 0
    return (status if status in _ERRORS else _FAILED) if failed else _OK


def _moment(nanos: int) -> dict[str, int]:
    seconds, rest = divmod(nanos, 10**9)
    return {"seconds": seconds, "milliseconds": rest // 10**6}


def _meta(row: SpanRow, span: Span) -> Iterator[tuple[str, str]]:
    """Yield headers as an application would have sent them with the call."""
    yield "Helicone-Request-Id", str(uuid.UUID(bytes=row.trace_id[:8] + row.span_id))
    session = span.text(names.SESSION_ID) or span.text(names.CONVERSATION_ID)
    for name, value in (
        ("Helicone-User-Id", span.text(names.USER_ID)),
        ("Helicone-Session-Id", session),
        ("Helicone-Session-Name", (span.text(names.WORKFLOW_NAME) or span.text(names.AGENT_NAME)) if session else None),
    ):
        if value:
            yield name, _header(value)
    properties: dict[str, Any] = {
        "service": row.source.service,
        "environment": row.source.resource.get("deployment.environment.name"),
        "trace_id": row.trace_id.hex(),
        "tags": ", ".join(strings(span.attributes.get(names.TAGS))),
        **(metadata(span) or {}),
    }
    for name, value in properties.items():
        key = _NOT_IN_NAMES.sub("-", name).strip("-")
        if key and value not in (None, ""):
            yield f"Helicone-Property-{key}", _header(as_text(value))


def _header(text: str) -> str:
    """Return what may stand in a header: Helicone makes headers of these, and fails with the whole call otherwise."""
    return quote(" ".join(text.split()), safe=_PRINTABLE, errors="replace")
