"""The LLM proxy between clients, a stand-in for the providers and a sink for its spans: configs, and what spans say."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tests.support.llm_upstream import FAULT_HEADER, Truth
from tests.support.span_sink import SeenSpan
from untrace_plugins.genai import names

__all__ = ["CHAT", "UPSTREAMS", "Answer", "ask", "chat", "differences", "proxy_config"]

CHAT = "/v1/chat/completions"

UPSTREAMS = ("openai", "azure_openai", "anthropic", "cohere", "gemini")
"""One of each kind, named for it."""


def proxy_config(upstream: str, sink: str, **options: Any) -> dict[str, Any]:
    """Return a config: the proxy on `PROXY_PORT`, every provider at one URL, spans to an OTLP sink, `METRICS_PORT`."""
    receiver = {
        "endpoint": "127.0.0.1:${env:PROXY_PORT}",
        "upstreams": {name: {"base_url": upstream} for name in UPSTREAMS},
        "capture_queue": {"flush_interval": "20ms"},
        **options,
    }
    exporter = {"endpoint": sink, "compression": "none"}
    return {
        "receivers": {"llm_proxy": receiver},
        "exporters": {"otlp_http": exporter},
        "service": {
            "pipelines": {"traces": {"receivers": ["llm_proxy"], "exporters": ["otlp_http"]}},
            "telemetry": {"metrics": {"address": "127.0.0.1:${env:METRICS_PORT}"}},
        },
    }


@dataclass(frozen=True)
class Answer:
    """What a caller got."""

    status: int | None
    """`None` if there was no answer at all."""
    headers: Mapping[str, str]
    """Names in lower case."""
    body: bytes
    """So much of it as came."""
    broken: str = ""
    """The exception that ended it; empty if it was whole."""


def chat(*, stream: bool = False, **more: Any) -> dict[str, Any]:
    """Return the body of a chat completion."""
    counted = {"stream": True, "stream_options": {"include_usage": True}} if stream else {}
    messages = [{"role": "user", "content": "Where is my parcel?"}]
    return {"model": "gpt-4o-mini", "messages": messages, **counted, **more}


def ask(
    endpoint: str,
    body: bytes | dict[str, Any],
    *,
    path: str = CHAT,
    fault: str = "",
    headers: Mapping[str, str] | None = None,
    timeout: float = 30.0,
) -> Answer:
    """Post a request to `host:port` and read the answer to its end, or to where it breaks."""
    connection = http.client.HTTPConnection(endpoint, timeout=timeout)
    given = {"Content-Type": "application/json", "Authorization": "Bearer sk-test", **(headers or {})}
    given |= {FAULT_HEADER: fault} if fault else {}
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    status: int | None = None
    found: dict[str, str] = {}
    chunks: list[bytes] = []
    try:
        connection.request("POST", path, data, given)
        answer = connection.getresponse()
        status = answer.status
        found = {name.lower(): value for name, value in answer.getheaders()}
        while chunk := answer.read1(65536):
            chunks.append(chunk)
        missing = int(found.get("content-length", 0)) - sum(map(len, chunks))
        broken = f"{missing} bytes missing" if missing > 0 else ""
    except (OSError, http.client.HTTPException) as error:
        broken = type(error).__name__
    finally:
        connection.close()
    return Answer(status, found, b"".join(chunks), broken)


def differences(truth: Truth, span: SeenSpan) -> dict[str, tuple[Any, Any]]:
    """Return what a span says otherwise than it was: name → what it says, what was."""
    said = _said(span)
    was = _was(truth)
    return {name: (said.get(name), value) for name, value in was.items() if said.get(name) != value}


def _was(truth: Truth) -> dict[str, Any]:
    counted = truth.usage_sent and truth.input_tokens is not None
    return {
        "operation": truth.operation,
        "provider": truth.provider,
        "request_model": truth.request_model,
        "response_model": truth.response_model,
        "response_id": truth.response_id,
        "input_tokens": truth.input_tokens if counted else None,
        "output_tokens": truth.output_tokens if counted else None,
        "cached_tokens": truth.cached_tokens if counted else 0,
        "reasoning_tokens": truth.reasoning_tokens if counted else 0,
        "finish_reasons": {truth.finish} if truth.finish else set(),
        "stream": truth.stream,
        "texts": {truth.text} if truth.text else set(),
        "reasoning": {truth.reasoning} if truth.reasoning else set(),
        "tool_calls": [(call.id, call.name, call.arguments) for call in truth.tool_calls],
        "failed": False,
        "first_chunk": truth.stream,
    }


def _said(span: SeenSpan) -> dict[str, Any]:
    attributes = span.attributes
    parts = list(_parts(attributes))
    return {
        "operation": attributes.get(names.OPERATION),
        "provider": attributes.get(names.PROVIDER),
        "request_model": attributes.get(names.REQUEST_MODEL),
        "response_model": attributes.get(names.RESPONSE_MODEL),
        "response_id": attributes.get(names.RESPONSE_ID),
        "input_tokens": attributes.get(names.USAGE_INPUT),
        "output_tokens": attributes.get(names.USAGE_OUTPUT),
        "cached_tokens": attributes.get(names.USAGE_CACHE_READ) or 0,
        "reasoning_tokens": attributes.get(names.USAGE_REASONING) or 0,
        "finish_reasons": set(attributes.get(names.RESPONSE_FINISH_REASONS) or ()),
        "stream": attributes.get(names.REQUEST_STREAM) or False,
        "texts": {part["content"] for part in parts if part["type"] == "text"},
        "reasoning": {part["content"] for part in parts if part["type"] == "reasoning"},
        "tool_calls": [
            (part.get("id") or "", part["name"], part["arguments"]) for part in parts if part["type"] == "tool_call"
        ],
        "failed": span.failed,
        "first_chunk": (attributes.get(names.RESPONSE_TIME_TO_FIRST_CHUNK) or 0) > 0,
    }


def _parts(attributes: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for message in json.loads(attributes.get(names.OUTPUT_MESSAGES) or "[]"):
        yield from message["parts"]
