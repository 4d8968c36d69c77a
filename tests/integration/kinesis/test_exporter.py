"""The exporter ``kinesis`` against moto: what went in comes out of the stream, by trace."""

from __future__ import annotations

import gzip
import uuid
import zlib
from collections.abc import Callable
from typing import Any

import pytest
import zstandard

from tests.support.exporters import QUICK_RETRY, running
from tests.support.kinesis import Stream
from tests.support.peers import Moto
from tests.support.spans import SpanOf, spans_batch, trace_id
from untrace_pipeline.data import Batch, Field, Level, Signal
from untrace_pipeline.testing import make_batch
from untrace_plugins.exporters.kinesis import FACTORY

SPAN_ID = Field(Level.ITEM, "span_id")
TRACE_ID = Field(Level.ITEM, "trace_id")


def batches_of(stream: Stream, signal: Signal = Signal.TRACES) -> list[tuple[str, Batch]]:
    return [(key, Batch(signal, data)) for rows in stream.records().values() for key, data in rows]


async def test_a_record_per_trace(stream: Stream) -> None:
    """Spans of a trace are in one record, whose key is the trace id, and nothing is missing."""
    batch = spans_batch([SpanOf(trace=number % 7, name=f"{number}") for number in range(50)])
    async with running(FACTORY, stream.options) as exporter:
        await exporter.consume(batch.copy())
    found = batches_of(stream)
    assert sorted(key for key, _ in found) == sorted(trace_id(number).hex() for number in range(7))
    assert all({key} == {one.hex() for one in part.column(TRACE_ID)} for key, part in found)  # type: ignore[union-attr]
    assert sorted(Batch.merge([part for _, part in found]).column(SPAN_ID)) == sorted(batch.column(SPAN_ID))  # type: ignore[type-var]
    assert exporter.meter.value("kinesis_exporter_records", outcome="success") == 7


async def test_more_than_a_call_takes(stream: Stream) -> None:
    """1,200 traces go in calls of 500 records at most."""
    batch = spans_batch([SpanOf(trace=number) for number in range(1200)])
    async with running(FACTORY, stream.options) as exporter:
        await exporter.consume(batch)
        await exporter.until_idle()
    assert sum(map(len, stream.records().values())) == 1200
    assert not exporter.dropped


async def test_large_records_are_cut(stream: Stream) -> None:
    """A trace that is larger than a record becomes several, and a call holds no more than it may."""
    batch = spans_batch([SpanOf(trace=1, name=f"{n}", attributes={"text": "x" * 300_000}) for n in range(20)])
    async with running(FACTORY, stream.options) as exporter:
        await exporter.consume(batch.copy())
        await exporter.until_idle()
    found = batches_of(stream)
    assert all(part.byte_size <= 1024 * 1024 - 32 for _, part in found)
    assert Batch.merge([part for _, part in found]).item_count == 20


async def test_too_large_item(stream: Stream) -> None:
    """An item that no record can hold is given up alone."""
    large, small = SpanOf(trace=1, attributes={"text": "x" * 1_100_000}), [SpanOf(trace=n) for n in range(2, 9)]
    async with running(FACTORY, stream.options) as exporter:
        await exporter.consume(spans_batch([large, *small]))
        await exporter.until_idle()
    assert sum(part.item_count for _, part in batches_of(stream)) == 7
    assert exporter.dropped == {"too_large": 1}


@pytest.mark.parametrize(
    ("name", "unpack"),
    [
        ("none", bytes),
        ("gzip", gzip.decompress),
        ("zlib", zlib.decompress),
        ("flate", lambda data: zlib.decompress(data, wbits=-15)),
        ("zstd", lambda data: zstandard.ZstdDecompressor().decompress(data)),
    ],
)
@pytest.mark.parametrize("encoding", ["otlp", "otlp_json"])
async def test_encodings(stream: Stream, encoding: str, name: str, unpack: Callable[[bytes], bytes]) -> None:
    """Records are OTLP in the form and the compression that the options name."""
    options = stream.options | {"encoding": {"name": encoding, "compression": name}, "partition_key": "random"}
    batch = make_batch(items=20)
    async with running(FACTORY, options) as exporter:
        await exporter.consume(batch.copy())
    ((_, data),) = [row for rows in stream.records().values() for row in rows]
    plain = unpack(data)
    found = Batch.from_json(Signal.TRACES, plain) if encoding == "otlp_json" else Batch(Signal.TRACES, plain)
    assert found.column(SPAN_ID) == batch.column(SPAN_ID)


@pytest.mark.parametrize("signal", [Signal.METRICS, Signal.LOGS], ids=str)
async def test_other_signals(stream: Stream, signal: Signal) -> None:
    """Metrics and logs arrive; what has no trace has some other key."""
    async with running(FACTORY, stream.options) as exporter:
        await exporter.consume(make_batch(signal, items=9))
    found = batches_of(stream, signal)
    assert sum(part.item_count for _, part in found) == 9
    assert all(len(key) == 32 for key, _ in found)


async def test_stream_that_is_made_later(moto: Moto) -> None:
    """A missing stream keeps the data waiting; it goes out when somebody has made it."""
    name = f"s{uuid.uuid4().hex[:12]}"
    aws: dict[str, Any] = {"stream_name": name, "kinesis_endpoint": moto.url, "access_key_id": "k"}
    options = {"aws": aws | {"secret_access_key": "s"}, "retry_on_failure": QUICK_RETRY}
    async with running(FACTORY, options) as exporter:
        await exporter.consume(make_batch(items=3))
        await exporter.until(lambda: exporter.meter.value("exporter_retries") > 0)
        stream = Stream(moto.url, name)
        await exporter.until_idle()
    assert sum(part.item_count for _, part in batches_of(stream)) == 3
