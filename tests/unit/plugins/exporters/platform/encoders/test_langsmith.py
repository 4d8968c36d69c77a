"""Spans as LangSmith's runs, and runs that were spans as spans again."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from tests.support.captures import captures
from tests.support.destinations.fields import OTLP, canonical
from tests.support.destinations.native import form_of, langsmith, records
from tests.support.llm_calls import SpanView, spans_by_id
from tests.support.vendor_api import VendorApi, normalised, serving
from untrace_pipeline.api import Kind
from untrace_pipeline.cli.examples import example_trace
from untrace_pipeline.data import Batch, Field, Level, Signal
from untrace_pipeline.data.compose import NewSpan, Scope, compose_spans
from untrace_pipeline.delivery import Request
from untrace_pipeline.registry import Registry
from untrace_plugins.exporters.platform.encoders import Encoder, make_encoder
from untrace_plugins.exporters.platform.preparation import Preparation
from untrace_plugins.genai import names
from untrace_plugins.genai.emit.openai import answered, asked
from untrace_plugins.genai.emit.span import Span
from untrace_plugins.receivers.langsmith import FACTORY as RECEIVER
from untrace_plugins.runs.times import nanoseconds

CONFIG: Any = Registry().load(Kind.EXPORTER, "langsmith_runs").config.model_validate({"api_key": "secret"})
TRACE = bytes(range(16))
ROOT = "00010203-0405-0607-0809-0a0b0c0d0e0f"
CRLF = b"\r\n"
SECOND = 1_000_000_000


def span(number: int, parent: int, start: int) -> NewSpan:
    above = parent.to_bytes(8, "big") if parent else b""
    times = start * SECOND, (start + 1) * SECOND
    return NewSpan(TRACE, number.to_bytes(8, "big"), f"span {number}", *times, parent_span_id=above)


def batch(*spans: NewSpan) -> Batch:
    return Batch(Signal.TRACES, compose_spans({"service.name": "shop"}, Scope("test"), spans))


async def bodies(encoder: Encoder, *batches: Batch) -> list[bytes]:
    """Return the requests that these make, one after another."""
    preparation = Preparation(CONFIG, None, encoder)
    found = []
    for one in batches:
        prepared = await preparation(Request(one, one.item_count))
        found += [encoder.encode(request.batch).data for request in prepared.requests]
    return found


async def runs(encoder: Encoder, *batches: Batch) -> dict[str, dict[str, Any]]:
    """Return runs by name, as LangSmith would keep them: it would refuse what makes no sense."""
    found = {}
    for data in await bodies(encoder, *batches):
        kept = langsmith("", {"content-type": encoder.encode(batch(span(1, 0, 1))).content_type}, data)
        assert isinstance(kept, Batch), kept
        found |= {run["name"]: run for run in records([kept])}
    return found


def path(run: Mapping[str, Any]) -> list[str]:
    """Return the ids of a dotted order."""
    return [step[22:] for step in run["dotted_order"].split(".")]


async def test_ids_follow_from_those_of_spans() -> None:
    """The root has the trace's; below, the last half is the span's; the path leads down from the root."""
    found = await runs(make_encoder(CONFIG), batch(span(1, 0, 1), span(2, 1, 2), span(3, 2, 3)))
    second, third = "00010203-0405-0607-0000-000000000002", "00010203-0405-0607-0000-000000000003"
    assert [run["id"] for run in found.values()] == [ROOT, second, third]
    assert path(found["span 3"]) == [ROOT, second, third]
    assert found["span 3"]["dotted_order"].startswith("19700101T000001000000Z")
    assert {run["trace_id"] for run in found.values()} == {ROOT}
    assert found["span 3"]["parent_run_id"] == second


async def test_the_same_spans_make_the_same_bytes() -> None:
    """Whoever sends them again, LangSmith sees that it has them."""
    first = await bodies(make_encoder(CONFIG), example_trace(TRACE, 10 * SECOND))
    again = await bodies(make_encoder(CONFIG), example_trace(TRACE, 10 * SECOND))
    assert first == again


async def test_ancestors_of_earlier_requests_are_known() -> None:
    """A child that comes later has the whole path."""
    found = await runs(make_encoder(CONFIG), batch(span(1, 0, 1), span(2, 1, 2)), batch(span(3, 2, 3)))
    assert path(found["span 3"]) == [ROOT, found["span 2"]["id"], found["span 3"]["id"]]


async def test_a_child_before_its_parent_is_below_the_root() -> None:
    """It shows, though one level too high."""
    found = await runs(make_encoder(CONFIG), batch(span(3, 2, 3)), batch(span(2, 1, 2), span(1, 0, 1)))
    assert found["span 3"]["parent_run_id"] == ROOT
    assert path(found["span 2"]) == [ROOT, found["span 2"]["id"]]


async def test_a_second_root_is_below_the_first() -> None:
    """Both would have the trace's id."""
    found = await runs(make_encoder(CONFIG), batch(span(1, 0, 1), span(2, 0, 2), span(3, 2, 3)))
    assert [run.get("parent_run_id") for run in found.values()] == [None, ROOT, found["span 2"]["id"]]


async def test_circles_end() -> None:
    """Spans that are above each other, or above themselves, are runs like others."""
    found = await runs(make_encoder(CONFIG), batch(span(1, 0, 1), span(4, 4, 4)))
    assert found["span 4"]["parent_run_id"] == ROOT
    data = await bodies(make_encoder(CONFIG), batch(span(5, 6, 1), span(6, 5, 1)))
    assert len(data) == 1


async def test_what_an_example_says() -> None:
    """Kinds, inputs and outputs, usage, the error as Python writes it, and where things are grouped by."""
    content_type = make_encoder(CONFIG).encode(example_trace()).content_type
    (data,) = await bodies(make_encoder(CONFIG), example_trace(TRACE))
    parts = dict(form_of(content_type, data))
    heads = [part for name, part in parts.items() if name.count(".") == 1]
    assert [run["run_type"] for run in heads] == ["chain", "llm", "tool", "llm", "llm"]
    agent, call, tool, _, failed = (f"post.{run['id']}" for run in heads)
    assert parts[f"{agent}.inputs"] == {"input": "What is the weather in Lisbon?"}
    assert parts[f"{tool}.inputs"] == {"city": "Lisbon"}
    assert parts[f"{tool}.outputs"] == {"degrees": 21, "sky": "sunny"}
    assert parts[f"{call}.inputs"]["messages"] == [{"role": "user", "content": "What is the weather in Lisbon?"}]
    usage = parts[f"{call}.outputs"]["usage_metadata"]
    assert (usage["input_tokens"], usage["output_tokens"], usage["total_tokens"]) == (58, 17, 75)
    assert usage["total_cost"] == pytest.approx(58 * 0.15e-6 + 17 * 0.6e-6)
    assert parts[f"{failed}.error"] == "RateLimitError('rate limit reached (an example)')"
    assert f"{failed}.outputs" not in parts
    metadata = parts[f"{call}.extra"]["metadata"]
    assert metadata["session_id"] == "untrace-example-session"
    assert (metadata["ls_provider"], metadata["ls_model_name"]) == ("openai", "gpt-4o-mini")


# ----------------------------------------------------------------- there and back


def said(view: SpanView) -> dict[str, Any]:
    """Return what a span says, whichever way the canonical form says it."""
    attributes = view.attributes
    found: dict[str, Any] = {"name": view.name, "failed": view.failed}
    for name in (names.SESSION_ID, names.USER_ID, names.PROVIDER):
        found[name] = attributes.get(name)
    if attributes.get(names.OPERATION) in names.LLM_CALLS:
        one = Span(attributes)
        found |= {"asked": plain(asked(one)), "answered": plain(answered(one))}
        found |= {name: attributes.get(name) for name in (names.USAGE_COST, names.COST_INPUT, names.COST_OUTPUT)}
    return found


def plain(value: dict[str, Any]) -> Any:
    """Return JSON in which no content is always null."""
    return json.loads(json.dumps(value).replace('"content": ""', '"content": null'))


async def returned(batches: list[Batch]) -> dict[str, SpanView]:
    """Return spans that went to LangSmith's API as runs, and into our own receiver of it."""
    encoder = make_encoder(CONFIG)
    async with serving(RECEIVER) as api:
        for data in await bodies(encoder, *batches):
            await taken(api, data, encoder.encode(batch(span(1, 0, 1))).content_type)
        return {id_: normalised(view) for id_, view in api.spans().items()}


async def taken(api: VendorApi, data: bytes, content_type: str) -> None:
    answer = await api.send("POST", "/runs/multipart", data, content_type=content_type)
    assert answer.status == 202


@pytest.mark.parametrize("capture", OTLP)
async def test_calls_come_back_as_they_were(capture: str) -> None:
    """Messages, tools, parameters, models, tokens, cost, session, user and errors of what instrumentations sent."""
    whole = Batch.merge(await canonical(capture))
    fields = [Field(Level.ITEM, name) for name in ("trace_id", "span_id", "parent_span_id")]
    columns: Any = whole.columns(fields)
    moved = {own.hex(): trace[8:].hex() for trace, own, parent in zip(*columns, strict=True) if not any(parent)}
    back = await returned([whole])
    different = []
    for id_, view in spans_by_id([whole]).items():
        if view.attributes.get(names.DUPLICATE):
            continue  # its tokens are another's
        before, after = said(view), said(back.get(id_) or back[moved[id_]])
        different += [(view.name, key, before[key], after.get(key)) for key in before if before[key] != after.get(key)]
    assert different == []


async def test_runs_of_langsmiths_sdk_stay_as_they_were() -> None:
    """Ids, paths, names, types, times, errors, tags, messages and answers, through our receiver and out again."""
    sent: dict[str, dict[str, Any]] = {}
    async with serving(RECEIVER) as api:
        for data in captures()["langsmith-runs-0.14.17"].bodies.values():
            content_type = f"multipart/form-data; boundary={data[2 : data.index(CRLF)].decode()}"
            await taken(api, data, content_type)
            for name, value in form_of(content_type, data):
                _, id_, *field = name.split(".")
                sent.setdefault(id_, {}).update({field[0]: value} if field else value)
        encoder = make_encoder(CONFIG)
        found = {}
        for one in await bodies(encoder, *api.batches):
            kept = langsmith("", {"content-type": encoder.encode(batch(span(1, 0, 1))).content_type}, one)
            assert isinstance(kept, Batch), kept
            found |= {run["id"]: run for run in records([kept])}
    assert found.keys() == sent.keys()
    for id_, run in sent.items():
        for name in ("trace_id", "parent_run_id", "dotted_order", "name", "run_type", "session_name"):
            assert found[id_].get(name) == run.get(name), (run["name"], name)
        for name in ("start_time", "end_time"):
            assert nanoseconds(found[id_][name]) == nanoseconds(run[name])
        assert found[id_].get("tags", []) == (run.get("tags") or [])
        assert (found[id_].get("error") or "").split("\n")[0] == (run.get("error") or "").split("\n")[0]
        if run["run_type"] == "llm":
            for name in ("inputs", "outputs"):
                assert set(texts(run.get(name))) <= set(texts(found[id_].get(name)))


def texts(value: Any) -> list[str]:
    """Return what is said in messages, at any depth."""
    if isinstance(value, dict):
        own = [value["content"]] if value.get("role") and isinstance(value.get("content"), str) else []
        return [text for text in own if text] + [text for one in value.values() for text in texts(one)]
    return [text for one in value for text in texts(one)] if isinstance(value, list) else []
