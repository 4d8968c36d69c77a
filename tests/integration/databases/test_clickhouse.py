"""The exporter ``clickhouse`` against the real engine: every column as it was sent, once, and what it refuses alone."""

from __future__ import annotations

import json
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest

from tests.support.exporters import QUICK_RETRY, Running, running
from tests.support.peers import ClickHouse
from untrace_pipeline.data import Batch, Field, Level, Signal
from untrace_pipeline.data.compose import NewEvent, NewLink, NewLog, NewSpan, Scope, compose_logs, compose_spans
from untrace_pipeline.testing import make_batch
from untrace_plugins.exporters.clickhouse import FACTORY

pytestmark = [pytest.mark.once, pytest.mark.peer, pytest.mark.timeout(240), pytest.mark.xdist_group("clickhouse")]

TRACE, SPAN = bytes(range(16)), bytes(range(8))
START = 1_760_000_000_123_456_789
KINDS = ("gauge", "sum", "histogram", "exponential_histogram", "summary")


def storing(server: ClickHouse, database: str, **options: Any) -> AbstractAsyncContextManager[Running]:
    """Run an exporter with a database of its own."""
    given = {"endpoint": server.url, "database": database, "retry_on_failure": QUICK_RETRY, **options}
    return running(FACTORY, given)


def span_batch(**changes: Any) -> Batch:
    fields: dict[str, Any] = {
        "attributes": {
            "gen_ai.usage.input_tokens": 12,
            "score": 0.5,
            "list": ["a", 1],
            'quote"d': "ü\n\\",
            "yes": True,
        },
        "events": (NewEvent("chosen", START + 5, {"index": 0}), NewEvent("done", START + 6, {})),
        "links": (NewLink(SPAN + SPAN, SPAN, {"why": "retry"}),),
        "status_code": 2,
        "status_message": "rate limited",
        "trace_state": "a=b",
        "parent_span_id": b"\x01" * 8,
        **changes,
    }
    span = NewSpan(TRACE, SPAN, "chat", START, START + 1500, kind=3, **fields)
    return Batch(Signal.TRACES, compose_spans({"service.name": "shop", "n": 3}, Scope("tests", "1.0"), [span]))


async def test_a_span_is_read_back_as_it_was_sent(clickhouse: ClickHouse) -> None:
    """Every column, nanoseconds, texts with any character, events and links."""
    async with storing(clickhouse, "spans") as r:
        await r.consume(span_batch())
        await r.until_idle(60)
        assert r.dropped == {}
        assert [one.ok for one in await r.exporter.probe()] == [True, True]
    [row] = clickhouse.query("SELECT *, toUnixTimestamp64Nano(Timestamp) AS nanos FROM spans.otel_traces")
    assert int(row.pop("nanos")) == START
    assert row == {
        "Timestamp": "2025-10-09 08:53:20.123456789",
        "TraceId": TRACE.hex(),
        "SpanId": SPAN.hex(),
        "ParentSpanId": "01" * 8,
        "TraceState": "a=b",
        "SpanName": "chat",
        "SpanKind": "Client",
        "ServiceName": "shop",
        "ResourceAttributes": {"service.name": "shop", "n": "3"},
        "ScopeName": "tests",
        "ScopeVersion": "1.0",
        "SpanAttributes": {
            "gen_ai.usage.input_tokens": "12",
            "score": "0.5",
            "list": '["a",1]',
            'quote"d': "ü\n\\",
            "yes": "true",
        },
        "Duration": 1500,
        "StatusCode": "Error",
        "StatusMessage": "rate limited",
        "Events.Timestamp": ["2025-10-09 08:53:20.123456794", "2025-10-09 08:53:20.123456795"],
        "Events.Name": ["chosen", "done"],
        "Events.Attributes": [{"index": "0"}, {}],
        "Links.TraceId": [(SPAN + SPAN).hex()],
        "Links.SpanId": [SPAN.hex()],
        "Links.TraceState": [""],
        "Links.Attributes": [{"why": "retry"}],
    }
    [times] = clickhouse.query("SELECT TraceId, toString(Start) AS s FROM spans.otel_traces_trace_id_ts")
    assert times == {"TraceId": TRACE.hex(), "s": "2025-10-09 08:53:20"}


async def test_a_log_record_is_read_back_as_it_was_sent(clickhouse: ClickHouse) -> None:
    """A structured body is JSON; without a time, the one of observation counts."""
    log = NewLog(
        0,
        {"question": "why?", "n": [1, 2]},
        {"a": 1},
        severity_number=17,
        severity_text="ERROR",
        observed_time_unix_nano=START,
        trace_id=TRACE,
        span_id=SPAN,
        event_name="asked",
    )
    async with storing(clickhouse, "records") as r:
        await r.consume(Batch(Signal.LOGS, compose_logs({"service.name": "shop"}, Scope("tests"), [log])))
        await r.until_idle(60)
    [row] = clickhouse.query("SELECT * FROM records.otel_logs")
    assert json.loads(row.pop("Body")) == {"question": "why?", "n": [1, 2]}
    assert row == {
        "Timestamp": "2025-10-09 08:53:20.123456789",
        "TimestampTime": "2025-10-09 08:53:20",
        "TraceId": TRACE.hex(),
        "SpanId": SPAN.hex(),
        "TraceFlags": 0,
        "SeverityText": "ERROR",
        "SeverityNumber": 17,
        "ServiceName": "shop",
        "ResourceSchemaUrl": "",
        "ResourceAttributes": {"service.name": "shop"},
        "ScopeSchemaUrl": "",
        "ScopeName": "tests",
        "ScopeVersion": "",
        "ScopeAttributes": {},
        "LogAttributes": {"a": "1"},
        "EventName": "asked",
    }


async def test_points_of_all_kinds_are_in_their_tables(clickhouse: ClickHouse) -> None:
    """Values, buckets, quantiles and temporality."""
    async with storing(clickhouse, "points") as r:
        await r.consume(make_batch(Signal.METRICS, 10))
        await r.until_idle(60)
        assert r.dropped == {}
        assert r.meter.value("exporter_sent_metric_points") == 10
    rows = {kind: clickhouse.query(f"SELECT * FROM points.otel_metrics_{kind} ORDER BY TimeUnix") for kind in KINDS}
    assert {kind: len(found) for kind, found in rows.items()} == dict.fromkeys(KINDS, 2)
    assert all(0 < row["Value"] < 1 for row in rows["gauge"])
    assert [(row["Value"], row["AggregationTemporality"], row["IsMonotonic"]) for row in rows["sum"]] == [
        (1, 2, True),
        (6, 2, True),
    ]
    histogram = rows["histogram"][0]
    assert (histogram["BucketCounts"], histogram["ExplicitBounds"], histogram["Sum"]) == ([1, 2], [1], 1.5)
    exponential = rows["exponential_histogram"][0]
    assert (exponential["Scale"], exponential["PositiveBucketCounts"]) == (2, [1, 1])
    assert rows["summary"][0]["ValueAtQuantiles.Quantile"] == [0.5]
    assert rows["gauge"][0]["Attributes"] == {"gen_ai.request.model": "gpt-4o", "n": "0"}


async def test_what_is_sent_again_is_there_once(clickhouse: ClickHouse) -> None:
    """Equal requests have equal tokens, and the tables that we make know them."""
    async with storing(clickhouse, "again", sending_queue={"batch": None}) as r:
        for _ in range(3):
            await r.consume(make_batch(items=7))
            await r.until_idle(60)
        assert r.meter.value("exporter_sent_spans") == 21
    [found] = clickhouse.query("SELECT count() AS n, uniqExact(SpanId) AS different FROM again.otel_traces")
    assert (int(found["n"]), int(found["different"])) == (7, 7)


async def test_a_row_that_cannot_be_taken_is_refused_alone(clickhouse: ClickHouse) -> None:
    """A constraint of the table names one: the others are inserted."""
    clickhouse.query_only("CREATE DATABASE IF NOT EXISTS strict")
    clickhouse.query_only(
        "CREATE TABLE strict.otel_logs (Timestamp DateTime64(9), Body String, SeverityNumber UInt8, "
        "CONSTRAINT no_seven CHECK Body != 'message 7') ENGINE = MergeTree ORDER BY Timestamp"
    )
    async with storing(clickhouse, "strict") as r:
        await r.consume(make_batch(Signal.LOGS, 20))
        await r.until_idle(60)
        assert r.dropped == {"permanent": 1}
        assert r.meter.value("exporter_sent_log_records") == 19
    bodies = {row["Body"] for row in clickhouse.query("SELECT Body FROM strict.otel_logs")}
    assert bodies == {f"message {number}" for number in range(20)} - {"message 7"}


async def test_attributes_may_be_of_the_type_json(clickhouse: ClickHouse) -> None:
    """Numbers stay numbers, and all signals have a place."""
    async with storing(clickhouse, "typed", json_columns=True) as r:
        await r.consume(span_batch())
        await r.consume(make_batch(Signal.LOGS, 3))
        await r.consume(make_batch(Signal.METRICS, 5))
        await r.until_idle(60)
        assert r.dropped == {}
    [row] = clickhouse.query("SELECT SpanAttributes.score AS score, SpanAttributes.yes AS yes FROM typed.otel_traces")
    assert row == {"score": 0.5, "yes": True}
    assert len(clickhouse.query("SELECT 1 FROM typed.otel_logs")) == 3


async def test_tables_that_are_missing_are_waited_for(clickhouse: ClickHouse) -> None:
    """Without create_schema nothing is made, and nothing is lost until somebody makes it."""
    async with storing(clickhouse, "later", create_schema=False, circuit_breaker={"enabled": False}) as r:
        await r.consume(make_batch(items=3))
        await r.until(lambda: r.meter.value("exporter_retries") > 0, 60)
        async with storing(clickhouse, "later") as other:
            await other.consume(make_batch(items=1, seed=5))
            await other.until_idle(60)
        await r.until_idle(60)
        assert r.dropped == {}
    assert len(clickhouse.query("SELECT 1 FROM later.otel_traces")) == 4


async def test_many_spans_are_inserted_in_several_blocks(clickhouse: ClickHouse) -> None:
    """More than one insert holds; all are there, with a TTL on the table."""
    async with storing(clickhouse, "many", max_insert_bytes=100_000, ttl="262800h", compression="gzip") as r:
        batch = make_batch(items=500)
        wanted = {value.hex() for value in batch.column(Field(Level.ITEM, "span_id")) if isinstance(value, bytes)}
        await r.consume(batch)
        await r.until_idle(60)
    rows = clickhouse.query("SELECT SpanId, Timestamp FROM many.otel_traces")
    assert {row["SpanId"] for row in rows} == wanted
    [table] = clickhouse.query(
        "SELECT create_table_query AS q FROM system.tables WHERE name = 'otel_traces' AND database = 'many'"
    )
    assert "toIntervalSecond(946080000)" in table["q"]
