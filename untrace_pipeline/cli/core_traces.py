"""Traces in the form of Untrace's own API, as spans: for commands that take either."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from untrace_pipeline.config.test_blocks import SpanItem

__all__ = ["is_core_trace", "span_of"]

_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_WORDS = frozenset({"provider", "model", "request", "response", "metrics"})
_HEX = re.compile(r"(?:[0-9a-fA-F]{16}){1,2}\Z")


def is_core_trace(given: Any) -> bool:
    """Return whether a mapping looks like one: it has one of the words that only they have at the top."""
    return isinstance(given, dict) and bool(_WORDS & given.keys()) and "resourceSpans" not in given


def span_of(given: Mapping[str, Any]) -> SpanItem:
    """Return the span that says the same in the canonical form. Raises ``ValueError`` if it cannot be read."""
    trace = _snake_case(given)
    request, response, metadata, metrics, error = (
        _map(trace, name) for name in ("request", "response", "metadata", "metrics", "error")
    )
    usage = _map(response, "usage")
    attributes = {
        "gen_ai.operation.name": "chat" if "messages" in request else "text_completion",
        "gen_ai.provider.name": trace.get("provider"),
        "gen_ai.request.model": trace.get("model"),
        "gen_ai.response.id": response.get("id"),
        "gen_ai.input.messages": _text(request.get("messages", request.get("prompt"))),
        "gen_ai.output.messages": _text(response.get("messages", response.get("choices", response.get("content")))),
        "gen_ai.usage.input_tokens": usage.get("prompt_tokens"),
        "gen_ai.usage.output_tokens": usage.get("completion_tokens"),
        "gen_ai.usage.cost": metrics.get("estimated_cost"),
        "untrace.tokens_per_second": metrics.get("tokens_per_second"),
        "session.id": trace.get("session_id"),
        "user.id": metadata.get("user_id", trace.get("user_id")),
        "error.type": error.get("type", error.get("code")),
        "untrace.metadata": _text(trace.get("metadata")),
    }
    attributes |= {f"gen_ai.request.{key}": value for key, value in _map(request, "parameters").items()}
    if "finish_reason" in response:
        attributes["gen_ai.response.finish_reasons"] = [response["finish_reason"]]
    if "time_to_first_token_ms" in metrics:
        attributes["gen_ai.response.time_to_first_chunk"] = _number(metrics, "time_to_first_token_ms") / 1000
    latency = _number(metrics, "latency_ms") or _number(trace, "end_time") - _number(trace, "start_time")
    span: dict[str, Any] = {
        "name": f"{attributes['gen_ai.operation.name']} {trace.get('model', '')}".strip(),
        "kind": "client",
        "duration": f"{latency:f}ms",
        "status": "error" if error else "unset",
        "status_message": str(error.get("message", "")),
        "attributes": {key: value for key, value in attributes.items() if value is not None},
    }
    return SpanItem.model_validate(span | _ids(trace))


def _ids(trace: Mapping[str, Any]) -> dict[str, str]:
    given = str(trace.get("id", "")).replace("-", "")
    return {"trace_id": given} if len(given) == 32 and _HEX.match(given) else {}  # noqa: PLR2004  as OTLP's ids


def _map(holder: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Return a mapping below another one, with its keys in snake case; empty where there is none."""
    found = holder.get(name)
    return _snake_case(found) if isinstance(found, dict) else {}


def _snake_case(given: Mapping[str, Any]) -> dict[str, Any]:
    return {_CAMEL.sub("_", key).lower(): value for key, value in given.items()}


def _number(holder: Mapping[str, Any], name: str) -> float:
    value = holder.get(name, 0)
    if isinstance(value, bool) or not isinstance(value, int | float):
        msg = f"{name} is no number"
        raise ValueError(msg)  # noqa: TRY004  said of the data
    return value


def _text(value: Any) -> str | None:
    return value if value is None or isinstance(value, str) else json.dumps(value, ensure_ascii=False)
