"""No body of a call through the proxy, however broken, costs its span or says what did not happen."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tests.support import llm_requests
from tests.support.exchanges import asked, exchange, seen
from untrace_pipeline.data import Batch, Signal
from untrace_pipeline.data.compose import Scope, compose_spans
from untrace_plugins.genai import names
from untrace_plugins.genai.providers.exchange import Api, Capture, Exchange
from untrace_plugins.genai.providers.span import to_span, usage_of

APIS = st.sampled_from(list(Api))
CAPTURES = st.sampled_from(list(Capture))
ENCODINGS = st.sampled_from(["", "gzip", "deflate", "zstd", "br", "none"])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**65), 2**65) | st.floats() | st.text() | st.sampled_from(["", "text"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
CALLS = st.builds(
    lambda make, more: seen(*asked(*make(llm_requests.QUESTION, **more))),
    st.sampled_from(llm_requests.APIS),
    st.sampled_from(
        [{}, {"stream": True}, {"tools": True, "thinks": True}, {"tools": True, "thinks": True, "stream": True}]
    ),
)


def check(call: Exchange, capture: Capture = Capture.FULL) -> None:
    """Make a span, as OTLP, and the budget; every attribute that is JSON is JSON."""
    span = to_span(call, capture, estimate=True)
    assert Batch(Signal.TRACES, compose_spans({}, Scope("proxy"), [span])).item_count == 1
    for name in names.JSON_ATTRIBUTES & span.attributes.keys():
        json.loads(str(span.attributes[name]))
    for name in {*names.USAGE} & span.attributes.keys():
        assert isinstance(span.attributes[name], int)
    usage_of(call)


@given(APIS, CAPTURES, st.binary(max_size=200), st.lists(st.binary(max_size=50)), ENCODINGS)
def test_any_bytes(api: Api, capture: Capture, request: bytes, response: list[bytes], encoding: str) -> None:
    """Bodies may be anything."""
    check(exchange(api, request, response, encoding=encoding), capture)


@given(APIS, JSON, JSON)
def test_any_json(api: Api, request: Any, response: Any) -> None:
    """JSON may be of any shape."""
    bodies = [json.dumps(body).encode() for body in (request, response)]
    check(exchange(api, *bodies))
    check(exchange(api, bodies[0], b"data: " + bodies[1] + b"\n\n"))
    check(exchange(api, bodies[0], b"[" + bodies[1] + b"]"))


@given(CALLS, st.data())
def test_any_value_anywhere(call: Exchange, data: st.DataObject) -> None:
    """Any field of a real body may hold anything else."""
    call.request.chunks = [_mutated(chunk, data) for chunk in call.request.chunks]
    place = data.draw(st.integers(0, len(call.response.chunks) - 1))
    call.response.chunks[place] = _mutated(call.response.chunks[place], data)
    check(call)


def _mutated(chunk: bytes, data: st.DataObject) -> bytes:
    """Replace one value within the JSON that a chunk has, in a line of its own or all over it."""
    head, start, text = chunk.partition(b"data: ") if chunk.startswith((b"data:", b"event:")) else (b"", b"", chunk)
    try:
        value = json.loads(text)
    except ValueError:
        return chunk
    places = list(_places(value))
    if not places:
        return chunk
    holder, key = data.draw(st.sampled_from(places))
    holder[key] = data.draw(JSON)
    return head + start + json.dumps(value).encode() + b"\n\n"


def _places(value: Any) -> Any:
    for key, one in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield value, key
        yield from _places(one)


@given(CALLS, CAPTURES, st.data())
def test_any_damage(call: Exchange, capture: Capture, data: st.DataObject) -> None:
    """Bytes may be lost, changed or doubled, and chunks may end anywhere."""
    for body in (call.request, call.response):
        text = bytearray(b"".join(body.chunks))
        for _ in range(data.draw(st.integers(0, 3))):
            place = data.draw(st.integers(0, len(text)))
            text[place : place + data.draw(st.integers(0, 40))] = data.draw(st.binary(max_size=4))
        ends = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=4)))
        starts = [0, *ends]
        body.chunks = [bytes(text[start:end]) for start, end in zip(starts, [*ends, len(text)], strict=True)]
        body.times = list(range(len(body.chunks)))
        body.gap = data.draw(st.none() | st.integers(0, len(body.chunks)))
    check(call, capture)


@given(CALLS, st.data())
def test_any_chunks(call: Exchange, data: st.DataObject) -> None:
    """How a body was cut on its way makes no difference, but for when content had come."""
    whole = dict(to_span(call, Capture.FULL).attributes)
    text = b"".join(call.response.chunks)
    ends = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=20)))
    starts = [0, *ends]
    call.response.chunks = [text[start:end] for start, end in zip(starts, [*ends, len(text)], strict=True)]
    call.response.times = [call.started + 1] * len(call.response.chunks)
    other = dict(to_span(call, Capture.FULL).attributes)
    first = whole.pop(names.RESPONSE_TIME_TO_FIRST_CHUNK, None), other.pop(names.RESPONSE_TIME_TO_FIRST_CHUNK, None)
    assert first == (None, None) or first[1] == 1e-9
    assert other == whole
