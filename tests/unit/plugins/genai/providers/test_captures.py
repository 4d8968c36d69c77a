"""Requests that real clients have sent, as the proxy reads them and as an instrumentation within the client did."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.captures import captures
from tests.support.exchanges import exchange
from tests.support.span_sink import SeenSpan, spans_of
from untrace_pipeline.data import Signal
from untrace_plugins.genai import names
from untrace_plugins.genai.providers.exchange import Api, Capture
from untrace_plugins.genai.providers.span import to_span

pytestmark = pytest.mark.once

APIS = {
    "openai.chat.completions": Api.OPENAI_CHAT,
    "openai.responses": Api.OPENAI_RESPONSES,
    "openai.embeddings": Api.OPENAI_EMBEDDINGS,
    "anthropic.messages": Api.ANTHROPIC_MESSAGES,
}
FAITHFUL = "otel-genai-openai-1.3b0"
"""The instrumentation of OpenTelemetry itself: the one that loses nothing of a request and adds nothing."""


def calls(*folders: str) -> Iterator[Any]:
    """Yield the calls whose requests were recorded whole."""
    for folder, capture in captures().items():
        for call in capture.expect["calls"] if not folders or folder in folders else ():
            if '"$long"' not in json.dumps(call["request"]):
                yield pytest.param(call, id=f"{folder}-{call['case']}-{call['call']}")


@pytest.mark.parametrize("call", list(calls()))
def test_request(call: dict[str, Any]) -> None:
    """Nothing of a request is unreadable; model, parameters and every text of it are on the span."""
    request = call["request"]
    span = to_span(exchange(APIS[call["api"]], request), Capture.FULL)
    assert names.CAPTURE_UNREADABLE not in span.attributes
    assert span.attributes[names.REQUEST_MODEL] == call["request_model"]
    assert span.attributes[names.OPERATION] == call["operation"]
    assert span.attributes.get(names.REQUEST_TEMPERATURE) == request.get("temperature")
    assert span.attributes.get(names.REQUEST_SEED) == request.get("seed")
    told = json.dumps([json.loads(str(span.attributes[name])) for name in _CONTENT & span.attributes.keys()])
    for text in _texts({key: request.get(key) for key in ("messages", "input", "system", "instructions")}):
        assert json.dumps(text)[1:-1] in told


_CONTENT = {names.INPUT_MESSAGES, names.SYSTEM_INSTRUCTIONS}


def _texts(value: Any) -> Iterator[str]:
    """Yield what was said: texts, and content that is one."""
    if isinstance(value, list):
        for one in value:
            yield from _texts(one)
    elif isinstance(value, dict):
        for key, one in value.items():
            if isinstance(one, str) and key in ("text", "content", "input", "output", "instructions", "system"):
                yield one
            else:
                yield from _texts(one)


@pytest.mark.parametrize("call", list(calls(FAITHFUL)))
def test_same_as_within_the_client(call: dict[str, Any]) -> None:
    """The proxy and OpenTelemetry's instrumentation say the same of a request."""
    span = _spans()[call["span"]["trace_id"], call["span"]["span_id"]]
    ours = to_span(exchange(APIS[call["api"]], call["request"]), Capture.FULL)
    for name in (names.INPUT_MESSAGES, names.SYSTEM_INSTRUCTIONS):
        if name in span.attributes:
            assert json.loads(str(ours.attributes[name])) == _without_nulls(json.loads(span.attributes[name]))
    for name in (names.REQUEST_MAX_TOKENS, names.REQUEST_TOP_P, names.REQUEST_STOP_SEQUENCES, names.OUTPUT_TYPE):
        if name in span.attributes:
            assert ours.attributes[name] == span.attributes[name]


def _spans() -> dict[tuple[str, str], SeenSpan]:
    found = captures()[FAITHFUL].otlp(Signal.TRACES)
    return {(span.trace_id, span.span_id): span for _, batch in found for span in spans_of(batch.to_otlp())}


def _without_nulls(value: Any) -> Any:
    if isinstance(value, list):
        return [_without_nulls(one) for one in value]
    if isinstance(value, dict):
        return {key: _without_nulls(one) for key, one in value.items() if one is not None}
    return value
