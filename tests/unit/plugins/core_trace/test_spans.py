"""The core trace as a span: ids, times, and what becomes of each field."""

from __future__ import annotations

import json
from typing import Any

import pytest

from untrace_pipeline.data import Batch, Field, Level, Signal
from untrace_pipeline.data.compose import NewSpan, Scope, compose_spans
from untrace_plugins.core_trace.checking import InvalidError, load
from untrace_plugins.core_trace.ids import span_id, trace_id
from untrace_plugins.core_trace.model import nanoseconds, read_trace
from untrace_plugins.core_trace.spans import Origin, resource_of, span_of, trace_ids

NOW = 1_800_000_000_000_000_000
ORIGIN = Origin("made-up", NOW, {})
REQUIRED: dict[str, Any] = {"provider": "openai", "model": "gpt-4o", "request": {}}


def span(**fields: Any) -> NewSpan:
    """Return the span of a trace with some fields."""
    trace = read_trace({**REQUIRED, **fields})
    made = span_of(trace, ORIGIN, trace_ids([trace]))
    # every span can be written and read again
    batch = Batch(Signal.TRACES, compose_spans(resource_of(trace, ORIGIN), Scope("test"), [made]))
    batch.validate()
    assert batch.column(Field(Level.ITEM, "name")) == [made.name]
    return made


def attributes(**fields: Any) -> dict[str, Any]:
    """Return the attributes of a trace with some fields."""
    return dict(span(**fields).attributes)


def test_ids_of_uuids_and_digits_are_their_bytes() -> None:
    """A UUID is the trace id that it is; of a span, 16 digits are; anything else is hashed, always to the same."""
    uuid = "b1946ac9-2efd-4e84-8ff3-30a1f1a4f7a7"
    assert trace_id(uuid).hex() == uuid.replace("-", "")
    assert trace_id(uuid.upper()) == trace_id(uuid) == trace_id(uuid.replace("-", ""))
    assert span_id(uuid.upper()) == span_id(uuid)
    assert span_id("00F067AA0BA902B7").hex() == "00f067aa0ba902b7"
    assert trace_id("run-1") == trace_id("run-1") != trace_id("run-2")
    assert (len(trace_id("run-1")), len(span_id("run-1"))) == (16, 8)


@pytest.mark.parametrize("zero", ["0" * 32, "0" * 16])
def test_ids_are_never_zero(zero: str) -> None:
    """Ids of zeros, which are none, are hashed."""
    assert any(trace_id(zero))
    assert any(span_id(zero))


@pytest.mark.parametrize(
    ("fields", "start", "end"),
    [
        ({"startTime": 1000, "endTime": 1500}, 1_000_000_000, 1_500_000_000),
        ({"start_time": 1000.25, "metrics": {"latency_ms": 0.5}}, 1_000_250_000, 1_000_750_000),
        ({"timestamp": "1970-01-01T00:00:02Z"}, 2_000_000_000, 2_000_000_000),
        ({"timestamp": "1970-01-01T01:00:02+01:00", "endTime": 3000}, 2_000_000_000, 3_000_000_000),
        ({"endTime": 3000, "metrics": {"latency_ms": 1000}}, 2_000_000_000, 3_000_000_000),
        ({"metrics": {"latency_ms": 1000}}, NOW - 1_000_000_000, NOW),
        ({"startTime": 1000, "endTime": 999}, 1_000_000_000, 1_000_000_000),
        ({}, NOW, NOW),
    ],
)
def test_times(fields: dict[str, Any], start: int, end: int) -> None:
    """Of start, end and latency, two say the third; what arrives without any ended now."""
    made = span(**fields)
    assert (made.start_time_unix_nano, made.end_time_unix_nano) == (start, end)


@pytest.mark.parametrize("text", ["2024-02-29T00:00:00Z", "1971-01-01T00:00:00.123456789Z", "2199-12-31T23:59:59Z"])
def test_times_of_the_document_are_taken(text: str) -> None:
    """What the schema allows is a time, and leap days are, too."""
    assert nanoseconds(text) > 0
    assert span(timestamp=text).start_time_unix_nano == nanoseconds(text)


def test_whole_milliseconds_are_exact() -> None:
    """No digit is lost of a time in milliseconds."""
    assert nanoseconds(1_767_225_600_123) == 1_767_225_600_123_000_000


def test_error_is_told_three_ways() -> None:
    """An error is the status, ``error.type``, and an event with its stack."""
    made = span(error={"type": "RateLimitError", "message": "slow down", "stack": "at f()", "code": 429})
    assert (made.status_code, made.status_message) == (2, "slow down")
    assert made.attributes["error.type"] == "RateLimitError"
    (event,) = made.events
    assert event.attributes["exception.stacktrace"] == "at f()"
    assert attributes(error={"code": 429})["error.type"] == "429"
    assert attributes(error={})["error.type"] == "_OTHER"


def test_answers_in_each_shape() -> None:
    """Choices, messages and a text become the same answer."""
    message = {"role": "assistant", "content": "Hi"}
    for response in (
        {"choices": [{"message": message, "finish_reason": "stop"}]},
        {"messages": [message]},
        {"content": "Hi"},
    ):
        (found,) = json.loads(attributes(response=response)["gen_ai.output.messages"])
        assert (found["role"], found["parts"]) == ("assistant", [{"type": "text", "content": "Hi"}])


def test_finish_reason() -> None:
    """Why an answer ended is read of the response, else of its choices."""
    assert attributes(response={"finish_reason": "max_tokens"})["gen_ai.response.finish_reasons"] == ["length"]
    choices = [{"finish_reason": "tool_calls"}]
    assert attributes(response={"choices": choices})["gen_ai.response.finish_reasons"] == ["tool_call"]


def test_parameters_may_stand_beside_messages() -> None:
    """A provider's request may be sent as it is: what is no message is a parameter."""
    found = attributes(request={"prompt": "Hi", "temperature": 0, "stop": "END", "response_format": {"type": "json"}})
    assert found["gen_ai.operation.name"] == "text_completion"
    assert found["gen_ai.request.temperature"] == 0
    assert found["gen_ai.request.stop_sequences"] == ["END"]
    assert found["gen_ai.request.response_format"] == '{"type":"json"}'


def test_unknown_names_are_kept() -> None:
    """What the form has no word for is an attribute all the same."""
    found = attributes(
        shard=7, response={"object": "chat.completion"}, metrics={"queue_ms": 1.5}, error={"hint": ["a", "b"]}
    )
    assert found["untrace.trace.shard"] == 7
    assert found["untrace.response.object"] == "chat.completion"
    assert found["untrace.metrics.queue_ms"] == 1.5
    assert found["untrace.error.hint"] == ["a", "b"]


def test_content_that_is_no_message_is_kept() -> None:
    """Answers in a shape that nobody knows stay as they are."""
    assert attributes(response={"choices": [5]})["untrace.output"] == "[5]"


def test_numbers_beyond_64_bits_are_text() -> None:
    """An integer that OTLP has no room for is kept as text."""
    assert attributes(shard=1 << 63)["untrace.trace.shard"] == str(1 << 63)


@pytest.mark.parametrize(
    ("operation", "key", "value"),
    [
        ("embedding", "gen_ai.operation.name", "embeddings"),
        ("tool", "gen_ai.operation.name", "execute_tool"),
        ("chain", "untrace.span.kind", "chain"),
        ("something", "gen_ai.operation.name", "something"),
    ],
)
def test_operation(operation: str, key: str, value: str) -> None:
    """The words of all dialects say what a call is."""
    assert attributes(operation=operation)[key] == value


def test_tags_are_words() -> None:
    """Tags of the trace, and of its metadata as a list or a map, are found by rules."""
    assert attributes(tags=["a"], metadata={"tags": {"b": "c"}})["untrace.tags"] == ["a", "b:c"]
    assert attributes(metadata={"tags": ["d"]})["untrace.tags"] == ["d"]


def test_own_parent_is_none() -> None:
    """What names itself as its parent has none."""
    made = span(id="a", parentId="a")
    assert (made.parent_span_id, made.trace_id) == (b"", trace_id("a"))


def test_roots_follow_parents() -> None:
    """The id of a trace is that of the topmost parent that is known; circles end somewhere."""
    given = [("a", None, None), ("b", "a", None), ("c", "b", None), ("d", "away", None), ("e", "d", "t")]
    traces = [read_trace({**REQUIRED, "id": own, "parentId": up, "traceId": root}) for own, up, root in given]
    assert trace_ids(traces) == {"a": "a", "b": "a", "c": "a", "d": "away", "e": "t"}
    circle = [read_trace({**REQUIRED, "id": own, "parentId": up}) for own, up in [("x", "y"), ("y", "x")]]
    assert len(set(trace_ids(circle).values())) == 1


def test_deep_json_is_refused() -> None:
    """What could be read but never be written again is refused; nothing of it is lost unseen."""
    with pytest.raises(InvalidError, match="nested too deeply"):
        load(b"[" * 250 + b"]" * 250)
    assert load(b"[" * 200 + b"]" * 200)


def test_many_errors_are_cut() -> None:
    """An answer names twenty fields at most."""
    with pytest.raises(InvalidError) as caught:
        read_trace({**REQUIRED, "request": {"messages": [{}] * 100}})
    assert len(caught.value.fields) == 20
    assert str(caught.value) == "request.messages[0].role: Field required, and 99 more"
