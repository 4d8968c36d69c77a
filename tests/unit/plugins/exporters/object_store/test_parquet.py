"""Parquet: what a span or a log record says is in its row, in a column or in a map, and pyarrow reads it back."""

from __future__ import annotations

import io
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from untrace_pipeline.data import Batch, Field, Level, Signal, Value
from untrace_pipeline.data.compose import NewEvent, NewLink, NewLog, NewSpan, Scope, compose_logs, compose_spans
from untrace_pipeline.testing import make_batch
from untrace_plugins.exporters.object_store.config import ObjectStoreConfig
from untrace_plugins.exporters.object_store.parquet import PROMOTED, ParquetWriter

START = 1_764_417_600_123_456_789
TRACE, SPAN, PARENT = b"\x01" * 16, b"\x02" * 8, b"\x03" * 8
CALL: dict[str, Value] = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "openai",
    "gen_ai.request.model": "gpt-4o",
    "gen_ai.response.finish_reasons": ["stop", "length"],
    "gen_ai.usage.input_tokens": 1200,
    "gen_ai.usage.output_tokens": 34,
    "untrace.cost.total": 0.0123,
    "gen_ai.request.temperature": 1,
    "gen_ai.input.messages": '[{"role":"user"}]',
    "session.id": "s-1",
}


def rows(batch: Batch, codec: str = "zstd") -> list[dict[str, Any]]:
    """Return the rows as pyarrow reads them; times as nanoseconds, because Python's end at microseconds."""
    table = pq.read_table(io.BytesIO(ParquetWriter(codec, None)(batch)))
    plain = table.cast(pa.schema([(field.name, _plain(field.type)) for field in table.schema]))
    found: list[dict[str, Any]] = plain.to_pylist(maps_as_pydicts="strict")
    return found


def _plain(kind: pa.DataType) -> pa.DataType:
    if pa.types.is_timestamp(kind):
        return pa.int64()
    if pa.types.is_struct(kind):
        return pa.struct([(field.name, _plain(field.type)) for field in kind])
    return pa.list_(_plain(kind.value_type)) if pa.types.is_list(kind) else kind


def span(**options: Any) -> NewSpan:
    return NewSpan(TRACE, SPAN, "chat gpt-4o", START, START + 1_500_000_000, **options)


def spans(*given: NewSpan, resource: dict[str, Value] | None = None) -> Batch:
    return Batch(Signal.TRACES, compose_spans(resource or {}, Scope("openai", "1.2"), given))


def test_span() -> None:
    """The fields of a span are columns; times keep their nanoseconds."""
    status: dict[str, Any] = {"status_code": 2, "status_message": "refused"}
    one = span(kind=3, parent_span_id=PARENT, trace_state="a=b", flags=1, attributes=CALL, **status)
    (row,) = rows(spans(one, resource={"service.name": "bot", "replicas": 3}))
    expected = {
        "trace_id": TRACE.hex(),
        "span_id": SPAN.hex(),
        "parent_span_id": PARENT.hex(),
        "trace_state": "a=b",
        "flags": 1,
        "name": "chat gpt-4o",
        "kind": "CLIENT",
        "duration_nanos": 1_500_000_000,
        "status_code": "ERROR",
        "status_message": "refused",
        "scope_name": "openai",
        "scope_version": "1.2",
        "service_name": "bot",
        "resource_attributes": {"service.name": "bot", "replicas": "3"},
        "operation": "chat",
        "provider": "openai",
        "request_model": "gpt-4o",
        "finish_reasons": ["stop", "length"],
        "input_tokens": 1200,
        "output_tokens": 34,
        "cost_total": 0.0123,
        "temperature": 1.0,
        "input_messages": '[{"role":"user"}]',
        "session_id": "s-1",
        "attributes": {},
        "events": [],
        "links": [],
    }
    assert {name: row[name] for name in expected} == expected
    assert row["start_time"] == START
    assert row["response_model"] is None


@pytest.mark.parametrize(
    ("key", "value", "text"),
    [
        ("gen_ai.usage.input_tokens", "12", "12"),
        ("gen_ai.usage.input_tokens", 1.5, "1.5"),
        ("gen_ai.usage.input_tokens", True, "true"),
        ("gen_ai.request.model", 4, "4"),
        ("gen_ai.response.finish_reasons", "stop", "stop"),
        ("gen_ai.response.finish_reasons", ["stop", 1], '["stop",1]'),
        ("untrace.cost.total", "free", "free"),
        ("my.text", "{}", "{}"),
        ("my.bool", False, "false"),
        ("my.map", {"a": [1, {"b": b"\x01\xff"}]}, '{"a":[1,{"b":"01ff"}]}'),
        ("my.bytes", b"\x00\xff", "00ff"),
    ],
)
def test_what_has_no_column(key: str, value: Value, text: str) -> None:
    """A value that its column cannot hold, or that has none, is in the map: a text as it is, anything else as JSON."""
    (row,) = rows(spans(span(attributes={key: value})))
    assert row["attributes"] == {key: text}
    if key in PROMOTED:
        assert row[PROMOTED[key][0]] is None


def test_events_and_links() -> None:
    """Events and links stay with their span."""
    event = NewEvent("gen_ai.choice", START + 1, {"index": 0})
    link = NewLink(b"\x09" * 16, b"\x08" * 8, {"why": "retry"})
    first, second, third = rows(spans(span(events=[event, event]), span(), span(links=[link])))
    assert [one["name"] for one in first["events"]] == ["gen_ai.choice"] * 2
    assert first["events"][0]["attributes"] == {"index": "0"}
    assert first["events"][0]["time"] == START + 1
    assert (second["events"], second["links"]) == ([], [])
    assert third["links"] == [
        {"trace_id": "09" * 16, "span_id": "08" * 8, "trace_state": "", "attributes": {"why": "retry"}}
    ]


def test_log() -> None:
    """Log records have their own columns; a body that is no text is JSON."""
    one = NewLog(START, {"a": 1}, {"gen_ai.provider.name": "openai"}, severity_number=9, severity_text="INFO")
    two = NewLog(0, "text", {}, observed_time_unix_nano=START, trace_id=TRACE, span_id=SPAN, event_name="e")
    batch = Batch(Signal.LOGS, compose_logs({"service.name": "bot"}, Scope("s"), [one, two]))
    first, second = rows(batch)
    assert (first["body"], first["severity_number"], first["severity_text"]) == ('{"a":1}', 9, "INFO")
    assert (first["provider"], first["service_name"], first["trace_id"]) == ("openai", "bot", None)
    assert first["time"] == START
    assert (second["time"], second["body"], second["event_name"], second["trace_id"]) == (
        None,
        "text",
        "e",
        TRACE.hex(),
    )
    assert second["observed_time"] == START


@pytest.mark.parametrize("signal", [Signal.TRACES, Signal.LOGS], ids=str)
@pytest.mark.parametrize("codec", ["none", "gzip", "zstd"])
def test_everything_comes_back(signal: Signal, codec: str) -> None:
    """Row by row, columns and map together hold every attribute of realistic data."""
    batch = make_batch(signal, items=100)
    attributes = batch.column(Field(Level.ITEM, "attributes"))
    back = rows(batch, codec)
    assert len(back) == len(attributes)
    names = {column: key for key, (column, _) in PROMOTED.items()}
    for row, expected in zip(back, attributes, strict=True):
        assert isinstance(expected, dict)
        found = {names[column]: value for column, value in row.items() if column in names and value is not None}
        found |= {key: _typed(text, expected[key]) for key, text in row["attributes"].items()}
        assert found == expected


def _typed(text: str, like: Value) -> Value:
    return text if isinstance(like, str) else orjson.loads(text)


def test_times_that_are_none() -> None:
    """Zero is no time, and what no column can hold is none either."""
    one = NewSpan(TRACE, SPAN, "x", 0, 2**64 - 1)
    (row,) = rows(spans(one))
    assert (row["start_time"], row["end_time"]) == (None, None)


def test_same_bytes() -> None:
    """The same batch makes the same file."""
    writer = ParquetWriter("zstd", 3)
    assert writer(make_batch(items=5)) == writer(make_batch(items=5))


def test_no_metrics() -> None:
    """Parquet has no form for metrics: validation says so."""
    config = ObjectStoreConfig.model_validate({"url": "file:///a", "format": "parquet"})
    assert list(config.excludes()) == [Signal.METRICS]
