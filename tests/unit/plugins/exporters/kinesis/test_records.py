"""Records: none too large, nothing missing, the same at every attempt."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.spans import SpanOf, spans_batch, trace_id
from untrace_pipeline.data import Batch, Field, Level, Signal
from untrace_pipeline.delivery import Request
from untrace_pipeline.errors import OversizeError
from untrace_pipeline.testing import make_batch
from untrace_plugins.exporters.kinesis.config import KinesisConfig
from untrace_plugins.exporters.kinesis.records import Packer, Record

SPAN_ID = Field(Level.ITEM, "span_id")


def pack(batch: Batch, **options: Any) -> list[list[Record]]:
    config = KinesisConfig.model_validate({"aws": {"stream_name": "s"}} | options)
    return Packer(config).pack(Request(batch, batch.item_count))


@given(
    st.lists(st.tuples(st.integers(0, 5), st.integers(0, 900)), min_size=1, max_size=40),
    st.integers(1, 10),
    st.sampled_from(["trace_id", "random"]),
)
def test_limits_hold_and_nothing_is_missing(spans: list[tuple[int, int]], most: int, key: str) -> None:
    """Whatever the spans, records and calls keep their limits, and hold every span once, by trace."""
    batch = spans_batch([SpanOf(trace=trace, attributes={"text": "x" * size}) for trace, size in spans])
    limits = {"max_records_per_batch": most, "max_record_size": 1200, "max_request_size": 3000}
    calls = pack(batch, partition_key=key, **limits)
    assert all(len(call) <= most and sum(one.byte_size for one in call) <= 3000 for call in calls)
    records = [one for call in calls for one in call]
    assert all(one.byte_size <= 1200 for one in records)
    found = [span for one in records for span in Batch(Signal.TRACES, one.data).column(SPAN_ID)]
    assert sorted(found) == sorted(batch.column(SPAN_ID))  # type: ignore[type-var]
    if key == "trace_id":
        for one in records:
            assert {one.key} == {str(bytes(i).hex()) for i in one.part.column(Field(Level.ITEM, "trace_id"))}  # type: ignore[arg-type]


def test_too_large_item() -> None:
    """An item that no record can hold is named by its size."""
    with pytest.raises(OversizeError, match=r"one item makes a record of 2.* bytes, more than max_record_size"):
        pack(spans_batch([SpanOf(1, attributes={"text": "x" * 2000})]), max_record_size=1100, max_request_size=1100)


def test_same_keys_at_every_attempt() -> None:
    """Keys of records without a trace spread, and do not change."""
    batch = make_batch(Signal.METRICS, items=60)
    keys = [[one.key for call in pack(batch.copy(), max_record_size=1500) for one in call] for _ in range(2)]
    assert keys[0] == keys[1]
    assert len(set(keys[0])) == len(keys[0]) > 1


def test_spans_without_a_trace() -> None:
    """Log records that belong to no trace share records with a key of their own."""
    batch = make_batch(Signal.LOGS, items=6)
    batch.set(Field(Level.ITEM, "trace_id"), [trace_id(1), b"", trace_id(1), b"", b"", trace_id(2)])
    ((one, two, three),) = pack(batch)
    assert [part.part.item_count for part in (one, two, three)] == [2, 3, 1]
    assert (one.key, three.key) == (trace_id(1).hex(), trace_id(2).hex())
    assert len(two.key) == 32
