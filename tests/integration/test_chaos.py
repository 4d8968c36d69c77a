"""The sink and the sender of the soak tests, against each other: what they say of each other must be true."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.chaos import ChaosSink, Fault, Received, Schedule, Sender, SenderConfig, SinkProcess, Weights
from tests.support.chaos.items import find_items, request_bytes
from untrace_pipeline.data import Batch, Signal

QUICK = SenderConfig(workers=16, items=(1, 10), rate=400.0, timeout=0.5)


def test_items_survive_merging_and_splitting() -> None:
    """Spans are found with every byte in its place after batches were merged and split; an altered one is told."""
    whole = Batch.merge([Batch(Signal.TRACES, request_bytes(range(first, first + 7))) for first in (0, 100, 200)])
    parts = whole.split(max_items=4)
    found = [(item, intact) for part in parts for item, intact, _ in find_items(part.to_otlp())]
    assert sorted(found) == [(item, True) for first in (0, 100, 200) for item in range(first, first + 7)]
    data = bytearray(request_bytes([5, 6]))
    data[-3] ^= 4
    assert [(item, intact) for item, intact, _ in find_items(bytes(data))] == [(5, True), (6, False)]


def test_schedule_is_that_of_its_seed() -> None:
    """Equal seeds give equal steps, different ones do not, and every fault comes."""
    schedules = [Schedule(seed, Weights.wild()) for seed in (1, 1, 2)]
    first, again, other = ([schedule.next() for _ in range(1000)] for schedule in schedules)
    assert first == again != other
    assert {step.fault for step in first} == set(Fault)


@pytest.mark.parametrize("via", ["grpc", "http"])
@pytest.mark.parametrize("weights", [Weights.calm(), Weights.retryable()], ids=["calm", "retryable"])
async def test_what_is_acknowledged_is_recorded(via: str, weights: Weights, tmp_path: Path) -> None:
    """Every acknowledged item is in the record, and every duplicate is one whose answer was lost."""
    async with ChaosSink(Schedule(3, weights, slow_seconds=0.05), tmp_path / "sink.jsonl") as sink:
        sender = Sender(QUICK, **{via: getattr(sink, via)})
        await sender.run(0.7)
    received = Received.read(tmp_path / "sink.jsonl")
    assert len(sender.acknowledged) > 20
    assert received.accepted.keys() == sender.acknowledged
    assert received.repeated <= received.lost
    assert received.altered == 0
    assert not sender.permanent


@pytest.mark.parametrize("via", ["grpc", "http"])
async def test_large_requests_pass(via: str, tmp_path: Path) -> None:
    """Requests that are larger than the windows that HTTP/2 begins with are taken."""
    async with ChaosSink(record=tmp_path / "sink.jsonl") as sink:
        sender = Sender(SenderConfig(workers=4, items=(1000, 1000), timeout=10.0), **{via: getattr(sink, via)})
        await sender.run(0.05)
    received = Received.read(tmp_path / "sink.jsonl")
    assert received.accepted.keys() == sender.acknowledged
    assert received.largest == 1000


@pytest.mark.parametrize("via", ["grpc", "http"])
async def test_what_is_refused_is_recorded(via: str, tmp_path: Path) -> None:
    """Items that are refused for good, and those that are rejected by name, are in the record too."""
    weights = Weights.parse("accept=1,partial=1,bad_request=1,server_error=1")
    async with ChaosSink(Schedule(1, weights), tmp_path / "sink.jsonl") as sink:
        sender = Sender(QUICK, **{via: getattr(sink, via)})
        await sender.run(0.5)
    received = Received.read(tmp_path / "sink.jsonl")
    assert received.accepted.keys() | received.rejected.keys() == sender.acknowledged
    assert {"bad_request", "server_error", "partial"} <= received.steps.keys()
    given_up = {item for first, count in sender.given_up for item in range(first, first + count)}
    assert received.refused.keys() == given_up


def test_sink_comes_again_where_it_was(tmp_path: Path) -> None:
    """A sink that was stopped has its addresses again, and goes on in the same record; its faults can be changed."""
    with SinkProcess(weights=Weights.calm(), record=tmp_path / "sink.jsonl") as sink:
        addresses = sink.grpc, sink.http
        sink.stop()
        sink.start()
        assert (sink.grpc, sink.http) == addresses
        sink.set_weights(Weights.parse("unavailable=1"))
        assert sink.stats() == {"steps": {}, "accepted": 0}
