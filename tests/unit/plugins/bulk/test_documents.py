"""From batches to documents and bulk requests: names, ids, fields, sizes."""

from __future__ import annotations

import json
from typing import Any

import pytest

from untrace_pipeline.data import Batch, Signal
from untrace_pipeline.data.compose import NewEvent, NewLink, NewLog, NewSpan, Scope, compose_logs, compose_spans
from untrace_pipeline.testing import make_batch
from untrace_plugins.bulk.config import BulkConfig
from untrace_plugins.bulk.documents import Document, Documents
from untrace_plugins.bulk.encoding import chunks
from untrace_plugins.bulk.flat import LONGEST_KEYWORD

TRACE, SPAN = bytes(range(16)), bytes(range(8))
START = 1_760_000_000_000_000_007
RESOURCE = {"service.name": "shop", "data_stream.namespace": "Prod"}
SCOPE = Scope("tests", "1.0")


def span_batch(**changes: Any) -> Batch:
    fields: dict[str, Any] = {
        "attributes": {"gen_ai.request.model": "gpt-4o", "gen_ai.usage.input_tokens": 12, "score": 0.5},
        "events": (NewEvent("chosen", START + 5, {"index": 0}),),
        "links": (NewLink(TRACE, SPAN, {"why": "retry"}),),
        "status_code": 2,
        "status_message": "rate limited",
        **changes,
    }
    span = NewSpan(TRACE, SPAN, "chat", START, START + 1500, kind=3, **fields)
    return Batch(Signal.TRACES, compose_spans(RESOURCE, SCOPE, [span]))


def documents(batch: Batch, *, time_series: bool = False, **options: Any) -> list[Document]:
    config = BulkConfig.model_validate({"endpoint": "http://localhost:9200", **options})
    return Documents(config, time_series=time_series).of(batch)


def test_a_span_in_the_form_otel() -> None:
    """The fields of the Collector's form; its event is a document of the stream of logs."""
    span, event = documents(span_batch())
    assert (span.target.name, span.id) == ("traces-generic.otel-prod", f"{TRACE.hex()}:{SPAN.hex()}")
    origin = {
        "resource": {"attributes": {"service.name": "shop"}},
        "scope": {"name": "tests", "version": "1.0"},
    }
    assert json.loads(span.body) == {
        "@timestamp": "1760000000000.000007",
        "data_stream": {"type": "traces", "dataset": "generic.otel", "namespace": "prod"},
        "trace_id": TRACE.hex(),
        "span_id": SPAN.hex(),
        "name": "chat",
        "kind": "Client",
        "duration": 1500,
        "attributes": {"gen_ai.request.model": "gpt-4o", "gen_ai.usage.input_tokens": 12, "score": 0.5},
        "links": [{"trace_id": TRACE.hex(), "span_id": SPAN.hex(), "attributes": {"why": "retry"}}],
        "status": {"code": "Error", "message": "rate limited"},
        **origin,
    }
    assert (event.target.name, event.id) == ("logs-generic.otel-prod", f"{TRACE.hex()}:{SPAN.hex()}:0")
    assert json.loads(event.body) == {
        "@timestamp": "1760000000000.000012",
        "data_stream": {"type": "logs", "dataset": "generic.otel", "namespace": "prod"},
        "trace_id": TRACE.hex(),
        "span_id": SPAN.hex(),
        "event_name": "chosen",
        "attributes": {"index": 0, "event.name": "chosen"},
        **origin,
    }
    assert span.items == event.items == (0,)


def test_a_span_in_the_form_flat() -> None:
    """One document; attributes are texts in one field, and what one computes with is a number of its own."""
    long = "x" * (LONGEST_KEYWORD + 1)
    batch = span_batch(attributes={"gen_ai.usage.input_tokens": 12, "gen_ai.input.messages": long, "n": {"a": 1}})
    [span] = documents(batch, mapping={"mode": "flat"})
    assert span.target.name == "traces-generic-prod"
    found = json.loads(span.body)
    assert found["@timestamp"] == "2025-10-09T08:53:20.000000007Z"
    assert found["attributes"] == {"gen_ai.usage.input_tokens": "12", "n": '{"a":1}'}
    assert found["texts"] == [{"name": "gen_ai.input.messages", "text": long}]
    assert found["llm"] == {"input_tokens": 12}
    assert found["events"] == [
        {"name": "chosen", "@timestamp": "2025-10-09T08:53:20.000000012Z", "attributes": '{"index":0}'}
    ]
    assert (found["service"], found["status_code"], found["duration"]) == ("shop", "Error", 1500)


@pytest.mark.parametrize(
    ("body", "stored"),
    [
        ("text", {"text": "text"}),
        (3, {"text": 3}),
        ({"a": 1}, {"structured": {"a": 1}}),
        ([{"a": 1}], {"structured": [{"a": 1}]}),
        ([1, "b"], {"structured": {"value": [1, "b"]}}),
        (b"\xff\x00", {"text": "/wA="}),
        (None, None),
    ],
)
def test_bodies_of_logs_are_text_or_objects(body: Any, stored: Any) -> None:
    """Two fields of two types, because one field cannot be both."""
    log = NewLog(START, body, {"event.name": "chosen"}, severity_number=9, severity_text="INFO")
    [document] = documents(Batch(Signal.LOGS, compose_logs(RESOURCE, SCOPE, [log])))
    found = json.loads(document.body)
    assert found.get("body") == stored
    assert (found["event_name"], found["severity_number"]) == ("chosen", 9)


def test_points_of_one_moment_are_one_document() -> None:
    """Same resource, time and attributes: their values lie side by side, in the kind that their template names."""
    batch = make_batch(Signal.METRICS, 5)
    stored = documents(batch, time_series=True)
    assert sorted(item for one in stored for item in one.items) == [0, 1, 2, 3, 4]
    values = {name: value for one in stored for name, value in json.loads(one.body)["metrics"].items()}
    assert values["gen_ai.metric.1"] == 1
    assert values["gen_ai.metric.2"] == {"values": [0.5, 1.0], "counts": [1, 2]}
    assert values["gen_ai.metric.3"] == {"values": pytest.approx([1.0946, 1.3017], abs=1e-4), "counts": [1, 1]}
    assert values["gen_ai.metric.4"] == {"sum": 3.0, "value_count": 2}
    named = {name: template for one in stored for name, template in (one.templates or {}).items()}
    assert named["metrics.gen_ai.metric.1"] == "counter_double"
    assert named["metrics.gen_ai.metric.2"] == "histogram"
    assert {one.id for one in stored} == {""}, "a time series data stream makes ids itself"
    merged = Batch.merge(
        [make_batch(Signal.METRICS, 1, attributes={"n": 0}), make_batch(Signal.METRICS, 1, attributes={"n": 0})]
    )
    assert [one.items for one in documents(merged)] == [[0], [1]], "each name once in a document"


@pytest.mark.parametrize(
    ("options", "attributes", "name"),
    [
        ({"traces_index": "spans"}, {}, "spans"),
        ({}, {"elasticsearch.index": "mine"}, "mine"),
        ({}, {"data_stream.dataset": "My-App/1"}, "traces-my_app_1.otel-prod"),
        ({"mapping": {"mode": "flat"}}, {"data_stream.dataset": "app"}, "traces-app-prod"),
        ({"traces_index": "spans", "logstash_format": {"enabled": True}}, {}, "spans-2025.10.09"),
        (
            {
                "traces_index": "spans",
                "logstash_format": {"enabled": True, "prefix_separator": "_", "date_format": "%Y-%m-%d-%H"},
            },
            {},
            "spans_2025-10-09-08",
        ),
    ],
)
def test_where_documents_go(options: dict[str, Any], attributes: dict[str, Any], name: str) -> None:
    """By an attribute, an option, or as a data stream; with the date of the document where that is wanted."""
    found = documents(span_batch(attributes=attributes, events=()), **options)
    assert [one.target.name for one in found] == [name]
    assert "attributes" not in json.loads(found[0].body) or options


@pytest.mark.parametrize("mode", ["otel", "flat"])
@pytest.mark.parametrize("name", ["spans", ""])
def test_senders_do_not_choose_the_index_unless_they_may(mode: str, name: str) -> None:
    """With ``index_from_attributes: false`` attributes say nothing of where documents go."""
    wishes = {"elasticsearch.index": "theirs", "data_stream.dataset": "theirs", "data_stream.namespace": "theirs"}
    event = NewEvent("chosen", START, wishes)
    span = NewSpan(TRACE, SPAN, "chat", START, START + 1, attributes=wishes, events=(event,))
    batch = Batch(Signal.TRACES, compose_spans({**RESOURCE, **wishes}, SCOPE, [span]))
    log = Batch(Signal.LOGS, compose_logs({**RESOURCE, **wishes}, SCOPE, [NewLog(START, "x", wishes)]))
    points = make_batch(Signal.METRICS, 1, attributes=wishes)
    options: dict[str, Any] = {
        "mapping": {"mode": mode},
        "traces_index": name,
        "logs_index": name,
        "metrics_index": name,
    }
    free, bound = (
        {
            one.target.name
            for each in (batch, log, points)
            for one in documents(each, index_from_attributes=may, **options)
        }
        for may in (True, False)
    )
    assert free == {"theirs"}
    suffix = ".otel" if mode == "otel" else ""
    assert bound == ({name} if name else {f"{one}-generic{suffix}-default" for one in ("traces", "logs", "metrics")})


def test_ids_are_equal_for_equal_documents_only() -> None:
    """So that what is sent again is stored once."""
    one, same, other = (documents(make_batch(Signal.LOGS, 3, seed=seed)) for seed in (1, 1, 2))
    assert [document.id for document in one] == [document.id for document in same]
    assert len({document.id for document in one + other}) == 6
    assert {document.id for document in documents(make_batch(items=3), idempotent_ids=False)} == {""}


def test_bulk_requests_are_pairs_of_lines_within_a_size() -> None:
    """The final newline, which servers insist on; a document that is too large goes alone."""
    stored = documents(make_batch(Signal.LOGS, 20))
    parts = list(chunks(stored, 3000))
    assert len(parts) > 1
    assert all(len(part.body) <= 3000 for part in parts)
    assert [document for part in parts for document in part.documents] == stored
    assert all(part.body.endswith(b"\n") for part in parts)
    lines = [json.loads(line) for part in parts for line in part.body.splitlines()]
    assert lines[0] == {"create": {"_index": "logs-generic.otel-default", "_id": stored[0].id}}
    assert len(lines) == 40
    assert [len(part.documents) for part in chunks(stored, 10)] == [1] * 20
    assert [len(part.documents) for part in chunks(stored * 300, 10**9)] == [5000, 1000]
