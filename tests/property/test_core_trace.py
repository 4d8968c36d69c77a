"""Core trace to span and back: nothing is lost, nothing changes."""

from __future__ import annotations

from typing import Any

import orjson
from hypothesis import given
from hypothesis import strategies as st

from untrace_pipeline.data import Batch, Signal
from untrace_pipeline.data.compose import NewSpan, Scope, compose_spans
from untrace_plugins.core_trace.model import read_trace
from untrace_plugins.core_trace.spans import Origin, resource_of, span_of, trace_ids
from untrace_plugins.core_trace.traces import trace_of
from untrace_plugins.rows.spans import read_spans

ORIGIN = Origin("made-up", 1_800_000_000_000_000_000, {})

texts = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=20)
ids = st.one_of(st.uuids().map(str), texts, st.binary(min_size=8, max_size=8).map(bytes.hex))
numbers = st.one_of(st.integers(0, 10_000), st.floats(0, 1e6, allow_nan=False))
counts = st.integers(0, 10**6)
millis = st.integers(0, 4_000_000_000_000)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**62), 2**62) | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=5,
)
words = st.from_regex(r"x_[a-z]{1,8}", fullmatch=True)
"""Names that the core trace does not have."""
extra = st.dictionaries(
    words, st.booleans() | st.integers(-(2**62), 2**62) | texts.map(lambda text: f"t{text}"), max_size=2
)


def some(required: dict[str, Any], optional: dict[str, Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Objects with unknown names besides."""
    return st.builds(lambda known, more: {**more, **known}, st.fixed_dictionaries(required, optional=optional), extra)


messages = st.lists(
    st.fixed_dictionaries({"role": st.sampled_from(["system", "user", "assistant"]), "content": texts}), max_size=3
)
choices = st.lists(
    st.fixed_dictionaries(
        {
            "message": st.fixed_dictionaries({"role": st.just("assistant"), "content": texts}),
            "finish_reason": st.sampled_from(["stop", "length", "tool_call"]),
        }
    ),
    max_size=2,
)
parameters = st.dictionaries(st.sampled_from(["temperature", "top_p", "max_tokens", "seed", "x_other"]), numbers)
usage = st.fixed_dictionaries({"prompt_tokens": counts, "completion_tokens": counts})
traces = some(
    {
        "provider": st.sampled_from(["openai", "anthropic", "cohere", "mine"]),
        "model": texts,
        "request": some({}, {"messages": messages, "parameters": parameters, "prompt": texts}),
    },
    {
        "id": ids,
        "parentId": ids,
        "traceId": ids,
        "sessionId": texts,
        "userId": texts,
        "name": texts,
        "operation": st.sampled_from(["chat", "embeddings", "chain", "execute_tool"]),
        "startTime": millis,
        "endTime": millis,
        "response": some({}, {"id": texts, "model": texts, "choices": choices, "content": texts, "usage": usage}),
        "metadata": st.dictionaries(words, json_values, max_size=3)
        | st.fixed_dictionaries({"applicationId": texts, "environment": texts, "tags": st.lists(texts, max_size=2)}),
        "tags": st.lists(texts, max_size=2),
        "metrics": some(
            {}, {"latency_ms": st.integers(0, 10**6), "estimated_cost": numbers, "tokens_per_second": numbers}
        ),
        "error": some({}, {"type": texts, "message": texts, "stack": texts}),
        "attributes": st.dictionaries(words, st.booleans() | texts, max_size=2),
    },
)


def there(given: Any) -> tuple[dict[str, Any], NewSpan]:
    """Return resource and span of a core trace."""
    trace = read_trace(orjson.loads(orjson.dumps(given)))
    return resource_of(trace, ORIGIN), span_of(trace, ORIGIN, trace_ids([trace]))


def back(resource: dict[str, Any], span: NewSpan) -> dict[str, Any]:
    """Return the core trace of a span."""
    batch = Batch(Signal.TRACES, compose_spans(resource, Scope("test"), [span]))
    (row,) = read_spans(batch)
    return trace_of(row)


@given(traces)
def test_what_went_out_comes_in_the_same(given: dict[str, Any]) -> None:
    """A span that was said as a core trace is the same span when it comes in again."""
    resource, span = there(given)
    said = back(resource, span)
    resource_again, again = there(said)
    for field in ("trace_id", "span_id", "parent_span_id", "start_time_unix_nano", "end_time_unix_nano", "name"):
        assert getattr(again, field) == getattr(span, field), field
    assert (again.status_code, again.status_message) == (span.status_code, span.status_message)
    first, second = dict(span.attributes), dict(again.attributes)
    assert second == first
    assert resource_again == resource
    assert back(resource_again, again) == said
