"""What a platform takes, made of a request: checked, converted, cut, split."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from untrace_pipeline.cli.examples import example_trace
from untrace_pipeline.data import ATTRIBUTES, Batch, Field, Level, Signal, Value
from untrace_pipeline.data.compose import NewSpan, Scope, compose_spans
from untrace_pipeline.delivery import Prepared, Request
from untrace_pipeline.testing import make_batch
from untrace_plugins.exporters.platform import make_factory
from untrace_plugins.exporters.platform.content import ContentDirectory
from untrace_plugins.exporters.platform.preparation import Preparation

SPAN, RESOURCE = Field(Level.ITEM, ATTRIBUTES), Field(Level.RESOURCE, ATTRIBUTES)
NAME, TRACE_ID = Field(Level.ITEM, "name"), Field(Level.ITEM, "trace_id")
BASE = """
name: acme
title: Acme
category: LLM platforms
description: sends to Acme
docs: https://acme.example
options: {project: {doc: The project.}}
base: https://acme.example
urls: {traces: "{base}/v1/traces", logs: "{base}/v1/logs", metrics: "{base}/v1/metrics"}
"""
NOW = 1_700_000_000.0


def preparation(text: str = "", store: Any = None, **options: Any) -> Preparation:
    config = make_factory(BASE + text).config.model_validate(options)
    return Preparation(config, store, now=lambda: NOW)


async def prepared(batch: Batch, text: str = "", store: Any = None, **options: Any) -> Prepared:
    return await preparation(text, store, **options)(Request(batch, batch.item_count))


def spans(*attributes: Mapping[str, Value], end: float = NOW) -> Batch:
    made = [
        NewSpan(b"\1" * 16, bytes([number + 1]) * 8, f"s{number}", 1, int(end * 1e9), attributes=one)
        for number, one in enumerate(attributes)
    ]
    return Batch(Signal.TRACES, compose_spans({"service.name": "app"}, Scope("test"), made))


CHAT = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "m", "user.id": "u"}


async def test_the_shared_batch_is_left_as_it_was() -> None:
    """Other destinations have it, too; the original is what dead letters hold."""
    batch = example_trace()
    before = batch.to_otlp()
    found = await prepared(batch, "form: openinference\nresource: [{to: team, value: '{project}'}]", project="p")
    assert batch.to_otlp() == before
    (request,) = found.requests
    assert request.original is not None
    assert request.original.to_otlp() == before
    assert request.batch.to_otlp() != before
    assert request.prepared


async def test_an_unconverted_platform_gets_the_bytes() -> None:
    """Nothing to do means that nothing is decoded or copied."""
    batch = example_trace()
    (request,) = (await prepared(batch)).requests
    assert request.batch.to_otlp() is batch.to_otlp()


async def test_spans_that_no_processor_has_read_are_read() -> None:
    """OpenInference comes in, OpenLLMetry goes out, without a normaliser in between."""
    batch = spans({"openinference.span.kind": "LLM", "llm.model_name": "gpt-4o", "llm.token_count.prompt": 3})
    (request,) = (await prepared(batch, "form: openllmetry")).requests
    (attributes,) = request.batch.column(SPAN)
    assert isinstance(attributes, dict)
    assert attributes["gen_ai.request.model"] == "gpt-4o"
    assert attributes["gen_ai.usage.prompt_tokens"] == 3


async def test_tokens_that_another_span_counts_are_not_sent_twice() -> None:
    """Platforms add up what they see."""
    counted: dict[str, Value] = {**CHAT, "gen_ai.usage.input_tokens": 5, "untrace.cost.total": 1.0}
    batch = spans(counted, {**counted, "untrace.usage.duplicate": True})
    (request,) = (await prepared(batch, "form: genai")).requests
    one, two = request.batch.column(SPAN)
    assert isinstance(one, dict)
    assert isinstance(two, dict)
    assert (one["gen_ai.usage.input_tokens"], one["untrace.cost.total"]) == (5, 1.0)
    assert not {"gen_ai.usage.input_tokens", "untrace.cost.total"} & two.keys()


async def test_edits_of_spans_and_resources() -> None:
    """Copies, moves, words, values with options; what is absent or has no word is left out."""
    text = """
form: genai
spans:
  - {to: acme.user, from: user.id}
  - {to: acme.model, from: gen_ai.request.model, move: true}
  - {to: acme.kind, from: gen_ai.operation.name, words: {chat: LLM}}
  - {to: acme.absent, from: no.such}
  - {to: acme.project, value: "p-{project}"}
resource:
  - {to: acme.project, value: "{project}"}
  - {to: acme.app, from: service.name}
  - {to: service.name, value: other, overwrite: false}
"""
    batch = spans(CHAT, {**CHAT, "gen_ai.operation.name": "embeddings"}, {"http.method": "GET"})
    (request,) = (await prepared(batch, text, project="x")).requests
    one, two, three = request.batch.column(SPAN)
    assert isinstance(one, dict)
    assert isinstance(two, dict)
    assert {key: value for key, value in one.items() if key.startswith("acme.")} == {
        "acme.user": "u",
        "acme.model": "m",
        "acme.kind": "LLM",
        "acme.project": "p-x",
    }
    assert "gen_ai.request.model" not in one
    assert "acme.kind" not in two
    assert three == {"http.method": "GET"}
    assert request.batch.column(RESOURCE) == [{"service.name": "app", "acme.project": "x", "acme.app": "app"}]
    (request,) = (await prepared(batch, text)).requests
    assert request.batch.column(RESOURCE) == [{"service.name": "app", "acme.app": "app"}]


@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [("trace_id", b"", "trace id"), ("trace_id", bytes(16), "trace id"), ("span_id", b"", "span id")],
)
async def test_wrong_ids_are_given_up_alone(field: str, value: bytes, reason: str) -> None:
    """One bad span does not cost those beside it."""
    bad = spans(CHAT)
    bad.set(Field(Level.ITEM, field), [value])
    batch = Batch.merge([spans(CHAT), bad, spans(CHAT)])
    found = await prepared(batch, "checks: [ids]")
    assert [request.items for request in found.requests] == [2]
    (refused,) = found.refused
    assert refused.batch.item_count == 1
    assert reason in str(refused.error)
    assert found.filtered == 0


async def test_only_llm_spans_where_others_are_dropped() -> None:
    """They are counted as filtered, and the originals fit what is sent."""
    batch = spans(CHAT, {"http.method": "GET"}, CHAT)
    found = await prepared(batch, "checks: [llm_only]\nform: posthog")
    assert (found.filtered, found.refused) == (1, [])
    (request,) = found.requests
    assert request.original is not None
    assert request.batch.column(NAME) == request.original.column(NAME) == ["s0", "s2"]
    found = await prepared(spans({"http.method": "GET"}), "checks: [llm_only]")
    assert (found.filtered, found.requests) == (1, [])


async def test_what_is_too_old_is_given_up() -> None:
    """By the end of a span; times that are unknown are let pass."""
    batch = Batch.merge([spans(CHAT), spans(CHAT, end=NOW - 7200), spans(CHAT, end=0)])
    found = await prepared(batch, "limits: {age: 1h}")
    assert [request.items for request in found.requests] == [2]
    assert [one.batch.item_count for one in found.refused] == [1]


@pytest.mark.parametrize("signal", list(Signal))
async def test_limits_of_items_and_bytes(signal: Signal) -> None:
    """No request is larger, each item is in one of them, and has its original."""
    batch = make_batch(signal, 50)
    before = batch.to_json()
    found = await prepared(batch, "limits: {request_items: 20, request_bytes: 4000}")
    assert sum(request.items for request in found.requests) == 50
    for request in found.requests:
        assert request.items == request.batch.item_count <= 20
        assert request.batch.byte_size <= 4000
        assert request.original is not None
        assert request.original.item_count == request.items
    whole = Batch.merge([request.original.copy() for request in found.requests if request.original is not None])
    assert whole.item_count == 50
    assert batch.to_json() == before


async def test_content_is_moved_out_before_it_is_sent(tmp_path: Path) -> None:
    """The whole is in a file, and the span says where."""
    long = "word " * 2000
    batch = spans({**CHAT, "note": long})
    store = ContentDirectory(tmp_path)
    options = {"policy": "move_out", "directory": str(tmp_path)}
    (request,) = (await prepared(batch, "limits: {value_chars: 1000}", store, long_values=options)).requests
    (attributes,) = request.batch.column(SPAN)
    assert isinstance(attributes, dict)
    address = attributes["untrace.content.note"]
    assert isinstance(address, str)
    assert Path(address.removeprefix("file://")).read_text() == long
    assert attributes["untrace.truncated"] == ["note"]
    assert len(str(attributes["note"])) <= 1000
    again = await prepared(batch, "limits: {value_chars: 1000}", store, long_values=options)
    assert len(list(tmp_path.rglob("*.txt"))) == 1
    assert again.requests[0].batch.to_otlp() == request.batch.to_otlp()


async def test_long_values_may_be_sent_as_they_are() -> None:
    """Where the user says so."""
    batch = spans({**CHAT, "note": "x" * 5000})
    limit = "limits: {value_chars: 1000}"
    (request,) = (await prepared(batch, limit, long_values={"policy": "send"})).requests
    assert request.batch.to_otlp() == batch.to_otlp()


async def test_large_requests_leave_the_loop_alone() -> None:
    """What takes long is done in a thread; the result is the same."""
    batch = Batch.merge([spans({**CHAT, "note": "x" * 1000}) for _ in range(300)])
    (request,) = (await prepared(batch, "form: langfuse")).requests
    assert request.items == 300
