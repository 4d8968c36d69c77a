"""The processor: which spans it touches, what it joins, marks, inherits and emits, and what it counts."""

from __future__ import annotations

import asyncio
import itertools
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from untrace_pipeline.api import Kind, RetryableError
from untrace_pipeline.data import Batch, Field, Level, Signal, Value
from untrace_pipeline.testing import FailingSink, Sink, make_batch, make_settings
from untrace_plugins.genai import names
from untrace_plugins.processors.genai_normalizer import FACTORY
from untrace_plugins.processors.genai_normalizer.processor import GenaiNormalizer

pytestmark = pytest.mark.usefixtures("each_codec")

TRACE = "0af7651916cd43dd8448eb211c80319c"
CHAT: dict[str, Value] = {names.OPERATION: "chat", names.USAGE_INPUT: 10, names.USAGE_OUTPUT: 5}


def any_value(value: Value) -> dict[str, Any]:
    if isinstance(value, bool):
        return {"boolValue": value}
    if isinstance(value, int):
        return {"intValue": str(value)}
    if isinstance(value, float):
        return {
            "doubleValue": value
            if math.isfinite(value)
            else {"nan": "NaN", "inf": "Infinity"}.get(str(value), "-Infinity")
        }
    if isinstance(value, list):
        return {"arrayValue": {"values": [any_value(one) for one in value]}}
    if isinstance(value, dict):
        return {"kvlistValue": {"values": key_values(value)}}
    return {"stringValue": value}


def key_values(attributes: Mapping[str, Value]) -> list[dict[str, Any]]:
    return [{"key": key, "value": any_value(value)} for key, value in attributes.items()]


def span(number: int, attributes: Mapping[str, Value], parent: int = 0, **fields: Any) -> dict[str, Any]:
    """Return a span of the one trace, as OTLP/JSON."""
    return {
        "traceId": TRACE,
        "spanId": f"{number:016x}",
        "parentSpanId": f"{parent:016x}" if parent else "",
        "name": f"span {number}",
        "startTimeUnixNano": "1",
        "endTimeUnixNano": "2",
        "attributes": key_values(attributes),
        **fields,
    }


def traces(*spans: dict[str, Any]) -> Batch:
    request = {"resourceSpans": [{"scopeSpans": [{"spans": list(spans)}]}]}
    return Batch.from_json(Signal.TRACES, json.dumps(request).encode())


def record(number: int, name: str, body: Value, attributes: Mapping[str, Value] | None = None) -> dict[str, Any]:
    return {
        "traceId": TRACE,
        "spanId": f"{number:016x}",
        "eventName": name,
        "body": any_value(body) if body is not None else None,
        "attributes": key_values(attributes or {}),
    }


def logs(*records: dict[str, Any]) -> Batch:
    request = {"resourceLogs": [{"scopeLogs": [{"logRecords": list(records)}]}]}
    return Batch.from_json(Signal.LOGS, json.dumps(request).encode())


NUMBERS = itertools.count()


class Run:
    """A processor with its sink and its metrics."""

    def __init__(self, id: str = "", **options: Any) -> None:
        self.sink = Sink()
        name = id or f"genai_normalizer/{next(NUMBERS)}"  # instances with one id have their events in common
        self.settings = make_settings(Kind.PROCESSOR, name, signals=[Signal.TRACES, Signal.LOGS])
        self.processor: GenaiNormalizer = FACTORY.create(
            FACTORY.config.model_validate(options), self.settings, self.sink
        )

    async def __call__(self, *batches: Batch) -> list[dict[str, Value]]:
        """Return the attributes of all items that came out, in order, after all that came before."""
        for batch in batches:
            await self.processor.consume(batch)
        found: list[Any] = []
        for batch in self.sink.batches:
            written = Batch(batch.signal, batch.to_otlp())
            found += written.column(Field(Level.ITEM, "attributes"))
        return found


async def test_what_is_of_no_llm_passes_as_it_is() -> None:
    """A batch without LLM spans is the same object, unedited and undecoded."""
    run = Run()
    batch = traces(span(1, {"http.route": "/llm", "text": "gen_ai without a point"}))
    await run.processor.consume(batch)
    assert run.sink.batches == [batch]
    assert not batch.edited


async def test_only_llm_spans_are_changed() -> None:
    """Neighbours in a request stay as they are, even where a value looks like a key."""
    first, second = await Run()(traces(span(1, {"http.route": "/gen_ai.x"}), span(2, {names.SYSTEM: "xai", **CHAT})))
    assert first == {"http.route": "/gen_ai.x"}
    assert second[names.PROVIDER] == "x_ai"


async def test_edits_that_wait_are_read_through() -> None:
    """What a processor before this one has set is seen, though it is not written yet."""
    batch = traces(span(1, {"a": "b"}), span(2, {"c": "d"}))
    batch.set(Field(Level.ITEM, "attributes", names.SYSTEM), ["az.ai.openai", None])
    first, second = await Run()(batch)
    assert first[names.PROVIDER] == "azure.ai.openai"
    assert second == {"c": "d"}


async def test_exception_gives_the_type_of_the_error() -> None:
    """A failed call has an ``error.type``: of its last exception, or one that says that it is unknown."""
    events = [
        {"name": "exception", "attributes": key_values({"exception.type": "First"})},
        {"name": "exception", "attributes": key_values({"exception.type": "openai.RateLimitError"})},
    ]
    status = {"code": 2, "message": "429"}
    found = await Run()(
        traces(span(1, CHAT, status=status, events=events), span(2, CHAT, status=status), span(3, CHAT))
    )
    assert [one.get(names.ERROR_TYPE) for one in found] == ["openai.RateLimitError", "_OTHER", None]


async def test_inheritance() -> None:
    """Session, user, tags and metadata come from the nearest span above that has them; own ones stay."""
    found = await Run()(
        traces(
            span(3, CHAT, parent=2),
            span(2, {names.OPERATION: "invoke_agent", names.USER_ID: "nearest"}, parent=1),
            span(1, {names.SESSION_ID: "s", names.USER_ID: "u"}),
            span(4, {**CHAT, names.SESSION_ID: "own"}, parent=1),
            span(5, {"http.route": "/"}, parent=1),
        )
    )
    assert [(one.get(names.SESSION_ID), one.get(names.USER_ID)) for one in found] == [
        ("s", "nearest"),
        ("s", "nearest"),
        ("s", "u"),
        ("own", "u"),
        (None, None),
    ]


async def test_inheritance_through_any_depth() -> None:
    """Session and user of the root reach the innermost call, however long the chain; repeated ids and cycles end it."""
    chain = [span(number, CHAT, parent=number - 1) for number in range(2, 300)]
    found = await Run()(traces(*chain, span(1, {names.SESSION_ID: "s"}), span(400, CHAT, parent=401)))
    assert {one.get(names.SESSION_ID) for one in found[:-1]} == {"s"}
    circle = [span(1, CHAT, parent=3), span(2, CHAT, parent=1), span(3, {names.USER_ID: "u"}, parent=2)]
    assert [one.get(names.USER_ID) for one in await Run()(traces(*circle))] == ["u", "u", "u"]


async def test_no_inheritance_where_it_is_off() -> None:
    """``inherit: false`` leaves spans with what they have."""
    found = await Run(inherit=False)(traces(span(2, CHAT, parent=1), span(1, {names.SESSION_ID: "s"})))
    assert names.SESSION_ID not in found[0]


async def test_cycle_of_parents() -> None:
    """Spans that are each other's parents end no search and no batch."""
    found = await Run()(traces(span(1, CHAT, parent=2), span(2, CHAT, parent=1), span(3, CHAT, parent=3)))
    assert sum(names.DUPLICATE not in one for one in found) >= 1


async def test_duplicate_in_one_request() -> None:
    """A provider's span beneath an instrumentation's: the inner one counts."""
    found = await Run()(traces(span(1, CHAT), span(2, {"http.route": "/"}, parent=1), span(3, CHAT, parent=2)))
    assert [names.DUPLICATE in one for one in found] == [True, False, False]


async def test_mark_duplicates_off() -> None:
    """``mark_duplicates: false`` compares no spans; what a dialect itself says stays."""
    found = await Run(mark_duplicates=False)(traces(span(1, CHAT), span(3, CHAT, parent=1)))
    assert [names.DUPLICATE in one for one in found] == [False, False]


async def test_refused_batch_comes_again() -> None:
    """A request that was refused and sent again is marked as before: it is no duplicate of itself."""
    run = Run()
    run.processor._next = FailingSink(RetryableError("full"))
    request = traces(span(1, CHAT), span(2, CHAT, parent=1)).to_otlp()
    with pytest.raises(RetryableError):
        await run.processor.consume(Batch(Signal.TRACES, request))
    run.processor._next = run.sink
    assert [names.DUPLICATE in one for one in await run(Batch(Signal.TRACES, request))] == [True, False]


@pytest.mark.parametrize(
    "form", ["genai", "genai_legacy", "openinference", "openllmetry", "langfuse", "posthog", "untrace"]
)
async def test_emit(form: str) -> None:
    """Each form is written, and read again it is the call that it was."""
    given = {**CHAT, names.PROVIDER: "openai", names.REQUEST_MODEL: "gpt-4o", names.INPUT_MESSAGES: MESSAGES}
    emitted = Run(emit=form)
    await emitted(traces(span(1, given)))
    (found,) = await Run()(*[Batch(Signal.TRACES, batch.to_otlp()) for batch in emitted.sink.batches])
    assert found.items() >= {**CHAT, names.PROVIDER: "openai", names.REQUEST_MODEL: "gpt-4o"}.items()
    assert json.loads(str(found[names.INPUT_MESSAGES])) == json.loads(MESSAGES)


MESSAGES = '[{"role":"user","parts":[{"type":"text","content":"hi"}]}]'


async def test_mappings() -> None:
    """Own attributes are mapped by name and by path, also into JSON."""
    run = Run(
        mappings={
            "my.model": names.REQUEST_MODEL,
            "$['my.request'].usage.total": names.USAGE_INPUT,
            "$.blob.tags[*].name": "first.tag",
        }
    )
    (found,) = await run(
        traces(
            span(
                1, {"my.model": "gpt-4o", "my.request": '{"usage": {"total": 7}}', "blob": '{"tags": [{"name": "a"}]}'}
            )
        )
    )
    assert (found[names.REQUEST_MODEL], found[names.USAGE_INPUT], found["first.tag"]) == ("gpt-4o", 7, "a")
    assert found[names.DIALECT] == "custom"


async def test_mappings_of_a_collector_configuration() -> None:
    """``sources`` as the Collector's processor has it: only these dialects, each with options of its own."""
    run = Run(
        sources={
            "openinference": {
                "remove_originals": True,
                "custom_mappings": {"my.temperature": names.REQUEST_TEMPERATURE},
            },
            "custom": {"custom_mappings": {"other.model": names.RESPONSE_MODEL}},
        }
    )
    first, second = await run(
        traces(
            span(
                1,
                {
                    "openinference.span.kind": "LLM",
                    "llm.token_count.prompt": 3,
                    "my.temperature": 0.5,
                    "other.model": "m",
                },
            ),
            span(2, {"traceloop.span.kind": "workflow"}),
        )
    )
    assert first == {
        names.OPERATION: "chat",
        names.USAGE_INPUT: 3,
        names.REQUEST_TEMPERATURE: 0.5,
        names.RESPONSE_MODEL: "m",
        "other.model": "m",
        names.DIALECT: "openinference",
    }
    assert second == {"traceloop.span.kind": "workflow"}


async def test_span_events_are_joined_where_asked() -> None:
    """Content in events of the span itself, of any version, becomes its messages; the events stay."""
    events = [
        {"name": "gen_ai.content.prompt", "attributes": key_values({"gen_ai.prompt": "hi"})},
        {"name": "gen_ai.choice", "attributes": key_values({"message": '{"content": "ho"}', "finish_reason": "stop"})},
    ]
    (without,) = await Run()(traces(span(1, CHAT, events=events)))
    (found,) = await Run(join_events={})(traces(span(1, CHAT, events=events)))
    assert names.INPUT_MESSAGES not in without
    assert json.loads(str(found[names.INPUT_MESSAGES])) == json.loads(MESSAGES)
    (answer,) = json.loads(str(found[names.OUTPUT_MESSAGES]))
    assert answer["finish_reason"] == "stop"


RECORDS = (
    record(1, "gen_ai.user.message", {"content": "hi"}, {names.SYSTEM: "openai"}),
    record(1, "gen_ai.choice", {"index": 0, "finish_reason": "stop", "message": {"content": '{"json": "stays text"}'}}),
)


async def test_log_records_are_joined() -> None:
    """Content that came before its span is in the span; the records pass, with canonical names."""
    prompt, choice, found = await Run(join_events={})(logs(*RECORDS), traces(span(1, CHAT)))
    assert prompt == {names.SYSTEM: "openai", names.PROVIDER: "openai"}
    assert choice == {}
    assert json.loads(str(found[names.INPUT_MESSAGES])) == json.loads(MESSAGES)
    (answer,) = json.loads(str(found[names.OUTPUT_MESSAGES]))
    assert answer["parts"] == [{"type": "text", "content": '{"json": "stays text"}'}]


async def test_details_event_is_joined() -> None:
    """The event of v1.37 has structured messages, which are JSON text on a span."""
    messages: list[Value] = [{"role": "user", "parts": [{"type": "text", "content": "hi"}]}]
    event = record(1, "gen_ai.client.inference.operation.details", None, {names.INPUT_MESSAGES: messages})
    kept, found = await Run(join_events={})(logs(event), traces(span(1, CHAT)))
    assert kept[names.INPUT_MESSAGES] == messages
    assert json.loads(str(found[names.INPUT_MESSAGES])) == messages


async def test_waiting_for_log_records() -> None:
    """With ``wait`` a request of spans stays until the answer came; whoever has content does not wait."""
    run = Run(join_events={"wait": "60s"})
    await run.processor.consume(traces(span(2, {**CHAT, names.OUTPUT_MESSAGES: MESSAGES})))
    waiting = asyncio.create_task(run.processor.consume(traces(span(1, CHAT))))
    await asyncio.sleep(0)
    assert not waiting.done()
    await run.processor.consume(logs(RECORDS[0]))
    await asyncio.sleep(0)
    assert not waiting.done()
    await run.processor.consume(logs(RECORDS[1]))
    await waiting
    assert names.OUTPUT_MESSAGES in (await run())[-1]


async def test_what_has_no_answer_is_not_waited_for() -> None:
    """Embeddings, failed calls and spans of no LLM pass at once."""
    run = Run(join_events={"wait": "60s"})
    status = {"code": 2}
    found = await run(
        traces(span(1, {names.OPERATION: "embeddings"}), span(2, CHAT, status=status), span(3, {names.SESSION_ID: "s"}))
    )
    assert len(found) == 3


async def test_cancelled_while_waiting() -> None:
    """Whoever waits for content can be cancelled; the processor goes on."""
    run = Run(join_events={"wait": "60s"})
    waiting = asyncio.create_task(run.processor.consume(traces(span(1, CHAT))))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert len(await run(logs(*RECORDS), traces(span(1, CHAT)))) == 3


async def test_nothing_comes_within_the_wait() -> None:
    """Spans pass without content when the time is up."""
    (found,) = await Run(join_events={"wait": "1ms"})(traces(span(1, CHAT)))
    assert names.INPUT_MESSAGES not in found


async def test_two_pipelines_share_the_content() -> None:
    """The instance of the logs pipeline keeps what the instance of the traces pipeline joins."""
    for_logs, for_traces = (Run("genai_normalizer/shared", join_events={}) for _ in range(2))
    await for_logs(logs(*RECORDS))
    await for_logs.processor.shutdown()
    (found,) = await for_traces(traces(span(1, CHAT)))
    assert names.OUTPUT_MESSAGES in found
    store = for_traces.processor._store
    await for_traces.processor.shutdown()
    await for_traces.processor.shutdown()
    assert store is not None
    assert store.byte_size == 0


async def test_content_is_bounded() -> None:
    """Beyond its size the oldest content goes, and is counted."""
    run = Run(join_events={"max_bytes": "2KiB"})
    await run(logs(*[record(number, "gen_ai.user.message", {"content": "x" * 1000}) for number in range(1, 9)]))
    assert run.processor._store is not None
    assert run.processor._store.byte_size <= 2048
    assert run.settings.meter.value("genai_normalizer_unjoined_events", reason="size") == 7  # type: ignore[attr-defined]


async def test_metrics_pass() -> None:
    """A signal without LLM spans passes untouched."""
    run = Run()
    batch = make_batch(Signal.LOGS, 3)
    await run.processor.consume(batch)
    assert run.sink.batches == [batch]


async def test_counting() -> None:
    """Spans by dialect, duplicates, and attributes that made no sense are counted."""
    run = Run()
    cut = {**CHAT, names.INPUT_MESSAGES: '[{"role": "us'}
    await run(traces(span(1, CHAT), span(2, CHAT, parent=1), span(3, cut)))
    meter: Any = run.settings.meter
    assert meter.value("genai_normalizer_spans", dialect="otel_genai") == 3
    assert meter.value("genai_normalizer_duplicate_spans") == 1
    assert meter.value("genai_normalizer_malformed_attributes", dialect="otel_genai") == 1


HOSTILE: Sequence[dict[str, Value]] = [
    {names.OPERATION: "chat", names.INPUT_MESSAGES: "[" * 100_000},
    {
        names.OPERATION: "chat",
        names.INPUT_MESSAGES: '[{"role":"user","content":' + '{"a":' * 900 + "1" + "}" * 900 + "}]",
    },
    {names.OPERATION: "chat", names.USAGE_INPUT: -5, names.USAGE_CACHE_READ: 1 << 62},
    {names.OPERATION: "chat", names.USAGE_INPUT: float("nan"), names.REQUEST_TEMPERATURE: float("inf")},
    {names.OPERATION: ["chat"], names.PROVIDER: {"a": 1}, names.REQUEST_MODEL: True},
    {"openinference.span.kind": 7, "llm.input_messages.0": "x", "llm.input_messages.999999999.message.content": "hi"},
    {
        "llm.input_messages.0.message": "flat",
        "llm.input_messages.0.message.content": "deep",
        "llm.token_count.prompt": "x",
    },
    {"langfuse.observation.type": "generation", "langfuse.observation.usage_details": "[1, 2]"},
    {"langfuse.observation.type": "generation", "langfuse.observation.completion_start_time": '"yesterday"'},
    {"mlflow.spanType": '"CHAT_MODEL"', "mlflow.spanInputs": "null", "mlflow.spanOutputs": "[null]"},
    {
        "ai.operationId": "ai.generateText",
        "ai.prompt": "[]",
        "ai.response.toolCalls": '{"a": 1}',
        "ai.prompt.tools": [5],
    },
    {"litellm.call_id": "x", "metadata.usage_object": "{'a': " * 300, "hidden_params": "[5]"},
    {"langsmith.span.kind": ["llm"], "gen_ai.prompt": '{"messages": 5}', "gen_ai.completion": '{"generations": [5]}'},
    {"logfire.msg": "x", "request_data": '{"messages": [[[]]], "tools": 5}', "response_data": '{"message": [1]}'},
    {
        "traceloop.span.kind": "tool",
        "traceloop.entity.input": '{"args": [], "kwargs": 5}',
        "gen_ai.prompt.x.content": "y",
    },
]


@pytest.mark.parametrize("attributes", HOSTILE)
async def test_hostile_attributes(attributes: dict[str, Value]) -> None:
    """Nothing that a span says ends a batch; what makes no sense stays as it is, beside a neighbour that is read."""
    hostile, neighbour = await Run(join_events={})(traces(span(1, attributes), span(2, CHAT)))
    for key, value in attributes.items():
        if not key.startswith(("gen_ai.usage", "gen_ai.prov", "gen_ai.input.mess")):
            assert repr(hostile[key]) == repr(value)
    assert neighbour[names.DIALECT] == "otel_genai"


async def test_megabytes_of_text() -> None:
    """A prompt of ten megabytes is a prompt like any other."""
    text = "x" * 10_000_000
    (found,) = await Run()(
        traces(span(1, {"openinference.span.kind": "LLM", "llm.input_messages.0.message.content": text}))
    )
    (message,) = json.loads(str(found[names.INPUT_MESSAGES]))
    assert message["parts"][0]["content"] == text
