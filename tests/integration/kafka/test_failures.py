"""The exporter while brokers fail: what is lost (nothing), what comes twice (as little as can be), what people see."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from tests.support.exporters import QUICK_RETRY, Running, running
from tests.support.kafka_client import KafkaClient
from tests.support.peers import KafkaBroker, Kfake
from untrace_pipeline.api import Status
from untrace_pipeline.data import Batch, Field, Level, Signal
from untrace_pipeline.testing import make_batch
from untrace_plugins.exporters.kafka import FACTORY

pytestmark = pytest.mark.peer

SPAN_ID = Field(Level.ITEM, "span_id")
TRACES = [Signal.TRACES]
NOT_LEADER, NOT_ENOUGH_REPLICAS, FORBIDDEN, OUT_OF_ORDER, INVALID_RECORD = 6, 19, 29, 45, 87


def options(address: str, topic: str, **more: Any) -> dict[str, Any]:
    return {"brokers": address, "traces": {"topic": topic}, "retry_on_failure": QUICK_RETRY, **more}


def stored(address: str, topic: str) -> Counter[Any]:
    """Return the ids of the spans in a topic, and how often each is there."""
    messages = KafkaClient(address).read(topic)
    return Counter(value for one in messages for value in Batch(Signal.TRACES, one.value() or b"").column(SPAN_ID))


def wanted(batches: list[Batch]) -> Counter[Any]:
    return Counter(value for batch in batches for value in batch.column(SPAN_ID))


async def send_through(r: Running, batches: list[Batch], outage: Callable[[], None]) -> None:
    """Send batches, a third of them before an outage begins, the rest while it lasts."""
    third = len(batches) // 3
    for batch in batches[:third]:
        await r.consume(batch.copy())
    await r.until_idle(20)
    ending = asyncio.create_task(asyncio.to_thread(outage))
    for batch in batches[third:]:
        await r.consume(batch.copy())
        await asyncio.sleep(0.01)
    await ending
    await r.until_idle(60)


@pytest.mark.parametrize("how", ["stop", "kill"])
async def test_an_outage_loses_and_repeats_nothing(own_broker: KafkaBroker, topic: str, how: str) -> None:
    """The broker is away for many times the time-out of an attempt: every span is stored once, however often tried."""
    batches = [make_batch(Signal.TRACES, 5, seed=seed) for seed in range(150)]

    def outage() -> None:
        getattr(own_broker, how)()
        own_broker.start()

    async with running(FACTORY, options(own_broker.bootstrap, topic, timeout="200ms"), signals=TRACES) as r:
        await send_through(r, batches, outage)
        assert r.dropped == {}
        assert r.meter.value("exporter_retries") > 5
        assert r.meter.value("exporter_sent_spans") == 5 * 150
        assert {status for status, _ in r.host.reports} == {Status.RECOVERABLE_ERROR, Status.OK}
        assert r.host.reports[-1][0] is Status.OK
    assert await asyncio.to_thread(stored, own_broker.bootstrap, topic) == wanted(batches)


@pytest.mark.parametrize("code", [NOT_LEADER, NOT_ENOUGH_REPLICAS])
async def test_errors_that_pass(kfake: Callable[..., Kfake], code: int) -> None:
    """The library overcomes them within one attempt; nothing is stored twice."""
    broker = kfake("spans", partitions=1)
    batches = [make_batch(Signal.TRACES, 5, seed=seed) for seed in range(10)]
    async with running(FACTORY, options(broker.bootstrap, "spans"), signals=TRACES) as r:
        broker.fault(code=code, count=3)
        for batch in batches:
            await r.consume(batch.copy())
        await r.until_idle(20)
        assert r.dropped == {}
        assert r.meter.value("exporter_retries") == 0
    assert await asyncio.to_thread(stored, broker.bootstrap, "spans") == wanted(batches)


async def test_a_fatal_error_replaces_the_producer(
    kfake: Callable[..., Kfake], caplog: pytest.LogCaptureFixture
) -> None:
    """Idempotence is lost when the broker forgot us: another producer sends what was under way, and all that comes."""
    broker = kfake("spans", partitions=1)
    batches = [make_batch(Signal.TRACES, 5, seed=seed) for seed in range(30)]
    async with running(FACTORY, options(broker.bootstrap, "spans"), signals=TRACES) as r:
        await r.consume(batches[0].copy())
        await r.until_idle(20)
        first = r.exporter._together.get()
        for some in (batches[1:11], batches[11:21]):
            broker.fault(code=OUT_OF_ORDER, count=1)
            for batch in some:
                await r.consume(batch.copy())
            await r.until_idle(20)
        for batch in batches[21:]:
            await r.consume(batch.copy())
        await r.until_idle(20)
        assert r.exporter._together.get() is not first
        assert r.dropped == {}
        assert r.meter.value("exporter_sent_spans") == 5 * 30
        assert r.meter.value("kafka_exporter_outstanding_records") == 0
    assert any("the producer is replaced after a fatal error" in record.getMessage() for record in caplog.records)
    assert await asyncio.to_thread(stored, broker.bootstrap, "spans") >= wanted(batches)


@pytest.mark.parametrize(("code", "status"), [(FORBIDDEN, Status.PERMANENT_ERROR), (INVALID_RECORD, None)])
async def test_refusals_for_good(kfake: Callable[..., Kfake], code: int, status: Status | None) -> None:
    """What the broker will never take is given up at once and counted; the next request is not held up."""
    broker = kfake("spans", partitions=1)
    async with running(FACTORY, options(broker.bootstrap, "spans"), signals=TRACES) as r:
        await r.consume(make_batch(Signal.TRACES, 5, seed=0))
        await r.until_idle(20)
        broker.fault(code=code, count=1)
        await r.consume(make_batch(Signal.TRACES, 7, seed=1))
        await r.until_idle(20)
        assert r.dropped == {"permanent": 7}
        assert r.meter.value("kafka_exporter_records", outcome="failure") == 1
        assert [reported for reported, _ in r.host.reports] == ([status] if status else [])


async def test_part_of_a_request_is_refused(kfake: Callable[..., Kfake]) -> None:
    """What other partitions took is delivered; what one partition refused is counted as rejected, by its items."""
    broker = kfake("spans", partitions=4)
    batch = make_batch(Signal.TRACES, 60)
    async with running(FACTORY, options(broker.bootstrap, "spans", partition_traces_by_id=True), signals=TRACES) as r:
        broker.fault(code=INVALID_RECORD, count=-1, partition=2)
        await r.consume(batch.copy())
        await r.until_idle(20)
        rejected = r.meter.value("exporter_rejected_spans")
        assert 0 < rejected < 60
        assert r.meter.value("exporter_sent_spans") == 60 - rejected
        assert r.dropped == {}
    found = await asyncio.to_thread(stored, broker.bootstrap, "spans")
    assert found.total() == 60 - rejected
    assert set(found) < set(wanted([batch]))
    assert set(found.values()) == {1}


async def test_one_partition_that_is_down_does_not_repeat_the_others(kfake: Callable[..., Kfake]) -> None:
    """A request of many traces is tried until its last message was taken; the others are stored once."""
    broker = kfake("spans", partitions=4)
    batch = make_batch(Signal.TRACES, 60)
    more = {"partition_traces_by_id": True, "timeout": "200ms"}
    async with running(FACTORY, options(broker.bootstrap, "spans", **more), signals=TRACES) as r:
        broker.fault(code=NOT_LEADER, count=30, partition=1)
        await r.consume(batch.copy())
        await r.until_idle(40)
        assert r.meter.value("exporter_retries") > 1
        assert r.meter.value("exporter_sent_spans") == 60
    assert await asyncio.to_thread(stored, broker.bootstrap, "spans") == wanted([batch])
