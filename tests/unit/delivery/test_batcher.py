"""Merging: by size, by time, per partition; nothing lost, nothing cut without need."""

from __future__ import annotations

from typing import Any

from untrace_pipeline.data import EMPTY_CONTEXT, Batch, Context, Signal
from untrace_pipeline.delivery import BatchConfig, BatchSizer, Entry
from untrace_pipeline.delivery.batcher import MERGE_LIMIT_BYTES, Batcher
from untrace_pipeline.testing import make_batch


def batcher(sizer: BatchSizer = BatchSizer.ITEMS, **options: Any) -> Batcher:
    return Batcher(BatchConfig.model_validate(options), sizer)


def entry(items: int = 1, context: Context = EMPTY_CONTEXT, signal: Signal = Signal.TRACES) -> Entry:
    return Entry(make_batch(signal, items, context=context), items, 0.0)


def test_sends_when_large_enough() -> None:
    """A request is complete as soon as it has the least size."""
    b = batcher(min_size=10)
    first, second = entry(6), entry(6)
    expected = first.batch.to_otlp() + second.batch.to_otlp()
    assert b.add(first, 0) == []
    (request,) = b.add(second, 0)
    assert request.items == 12
    assert request.entries == [first, second]
    assert request.batch.to_otlp() == expected
    assert b.flush() == []


def test_sends_when_time_is_up() -> None:
    """What is too small goes after the flush timeout, counted from the first entry."""
    b = batcher(min_size=100, flush_timeout="200ms")
    b.add(entry(), 1.0)
    b.add(entry(), 1.1)
    assert b.deadline == 1.2
    assert b.due(1.19) == []
    assert [request.items for request in b.due(1.2)] == [2]
    assert b.deadline is None


def test_never_merges_beyond_the_greatest_size() -> None:
    """An entry that does not fit closes the request before it; nothing is cut."""
    b = batcher(min_size=10, max_size=10)
    assert b.add(entry(8), 0) == []
    (request,) = b.add(entry(5), 0)
    assert request.items == 8
    assert [request.items for request in b.flush()] == [5]


def test_splits_an_entry_that_is_too_large_alone() -> None:
    """Its parts share the entry, which ends when all of them have."""
    b = batcher(min_size=4, max_size=4)
    large = entry(10)
    requests = b.add(large, 0)
    assert [request.items for request in requests] == [4, 4, 2]
    assert large.parts == 3


def test_counts_bytes_when_told() -> None:
    """Sizes in bytes are sizes of the serialized requests."""
    size = make_batch(items=5).byte_size
    b = batcher(BatchSizer.BYTES, min_size=2 * size, max_size=2 * size)
    assert b.add(entry(5), 0) == []
    assert [request.items for request in b.add(entry(5), 0)] == [10]
    assert all(r.batch.byte_size <= 2 * size for r in b.add(entry(50), 0))


def test_one_item_larger_than_the_limit_goes_alone() -> None:
    """An item that no splitting can help is sent once, not looped over."""
    b = batcher(BatchSizer.BYTES, min_size=10, max_size=10)
    assert [request.items for request in b.add(entry(1), 0)] == [1]


def test_large_spans_are_not_merged_beyond_four_mebibytes() -> None:
    """Merging by items alone would make requests that no default gRPC server takes."""
    b = batcher(min_size=8192)
    payload = make_batch(attributes={"prompt": "x" * 200_000}, items=5).to_otlp()
    requests = [r for _ in range(20) for r in b.add(Entry(Batch(Signal.TRACES, payload), 5, 0.0), 0)]
    assert requests
    assert all(r.batch.byte_size <= MERGE_LIMIT_BYTES for r in requests)


def test_partitions_are_not_merged() -> None:
    """Requests of different tenants stay apart, and keep what they have in common."""
    b = batcher(min_size=100, partition={"metadata_keys": ["X-Tenant"]})
    acme = [Context(metadata={"x-tenant": ("acme",), "n": (str(i),)}) for i in range(2)]
    for context in (*acme, Context(metadata={"x-tenant": ("globex",)}), EMPTY_CONTEXT):
        b.add(entry(1, context), 0)
    requests = b.flush()
    assert [request.items for request in requests] == [2, 1, 1]
    assert requests[0].batch.context.metadata == {"x-tenant": ("acme",)}


def test_signals_are_not_merged() -> None:
    """A trace request never gets logs in it."""
    b = batcher(min_size=100)
    for signal in Signal:
        b.add(entry(2, signal=signal), 0)
    assert {request.batch.signal for request in b.flush()} == set(Signal)


def test_bytes_that_cannot_be_decoded_are_passed_on_whole() -> None:
    """One bad request does not hold up the queue: the destination may judge it."""
    b = batcher(min_size=1, max_size=1)
    bad = Entry(Batch(Signal.TRACES, b"\x0a\xff\xff\xff"), 3, 0.0)
    assert [request.items for request in b.add(bad, 0)] == [3]
