"""Links count, guard and tell when nothing is under way; ports can be switched."""

from __future__ import annotations

import asyncio
import logging

import pytest

from tests.support.components import until
from untrace_pipeline.api import ComponentId, Consumer, Kind
from untrace_pipeline.data import Batch
from untrace_pipeline.engine.link import LOG_EVERY, Faults, Link, Port
from untrace_pipeline.errors import Code, InternalError, PermanentError, QueueFullError, RetryableError
from untrace_pipeline.testing import BlockingSink, FailingSink, RecordingMeter, Sink, make_batch

EXPORTER = ComponentId.parse(Kind.EXPORTER, "fake/x")


class Broken:
    """Raises what no component should."""

    async def consume(self, batch: Batch) -> None:
        msg = "the text of a prompt"
        raise KeyError(msg)


def make_link(target: Consumer, meter: RecordingMeter | None = None, clock=lambda: 0.0) -> Link:
    meter = meter or RecordingMeter()
    faults = Faults(EXPORTER, meter, logging.getLogger("untrace_pipeline.component.exporter.fake/x"), clock)
    return Link(EXPORTER, target, faults, meter.counter("processor_incoming_items"))


async def test_items_are_counted_before_the_component_runs() -> None:
    """Refused items have still come in."""
    meter = RecordingMeter()
    link = make_link(FailingSink(PermanentError("never")), meter)
    with pytest.raises(PermanentError):
        await link.consume(make_batch(items=6))
    assert meter.value("processor_incoming_items") == 6


async def test_unexpected_exceptions_become_internal_errors() -> None:
    """The caller sees a consume error without the exception's text, which may hold data."""
    with pytest.raises(InternalError) as refused:
        await make_link(Broken()).consume(make_batch())
    assert refused.value.code is Code.INTERNAL
    assert str(refused.value) == "internal error in exporter fake/x (KeyError)"


async def test_unexpected_exceptions_are_logged_once_in_a_while(caplog: pytest.LogCaptureFixture) -> None:
    """The first is logged with its traceback, the next of the same component only after a pause; all are counted."""
    meter, now = RecordingMeter(), [0.0]
    link = make_link(Broken(), meter, lambda: now[0])
    for moment in (0.0, 0.1, LOG_EVERY, LOG_EVERY + 0.1):
        now[0] = moment
        with pytest.raises(InternalError):
            await link.consume(make_batch())
    assert len(caplog.records) == 2
    assert caplog.records[0].exc_info
    assert meter.value("component_exceptions") == 4


async def test_consume_errors_pass_unchanged() -> None:
    """The retry delay and the code that a component chose reach the receiver."""
    error = RetryableError("later", retry_after=3.5)
    with pytest.raises(RetryableError) as refused:
        await make_link(FailingSink(error)).consume(make_batch())
    assert refused.value is error


async def test_a_full_queue_carries_the_name_of_its_component() -> None:
    """The fan-out counts the drop for the exporter that refused; names given further in are kept."""
    error = QueueFullError("full")
    with pytest.raises(QueueFullError):
        await make_link(FailingSink(error)).consume(make_batch())
    assert error.refused == {"exporter:fake/x": 10}
    error.refused = {"exporter:inner": 3}
    with pytest.raises(QueueFullError):
        await make_link(FailingSink(error)).consume(make_batch())
    assert error.refused == {"exporter:inner": 3}


async def test_cancellation_from_inside_is_a_retryable_refusal() -> None:
    """A component that cancels what its callers wait for (at shutdown, say) does not cancel the receiver's request."""
    waiting: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    class Cancelling:
        async def consume(self, batch: Batch) -> None:
            await waiting

    call = asyncio.create_task(make_link(Cancelling()).consume(make_batch()))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(RetryableError) as refused:
        await call
    assert refused.value.code is Code.CANCELLED


async def test_cancellation_of_the_caller_stays_a_cancellation() -> None:
    """Deadlines and disconnects of clients are not swallowed."""
    sink = BlockingSink()
    call = asyncio.create_task(make_link(sink).consume(make_batch()))
    await until(lambda: sink.waiting)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call


async def test_idle_waits_for_everything_under_way() -> None:
    """A reload stops an old component only when the batches inside it have left."""
    sink = BlockingSink()
    link = make_link(sink)
    await link.idle()
    calls = [asyncio.create_task(link.consume(make_batch())) for _ in range(2)]
    await until(lambda: sink.waiting == 2)
    idle = asyncio.create_task(link.idle())
    calls[0].cancel()
    await until(lambda: sink.waiting == 1)
    assert not idle.done()
    sink.release.set()
    await calls[1]
    await idle


async def test_a_port_leads_to_its_newest_target() -> None:
    """Batches passed on after a switch go the new way, and all are counted."""
    meter, old, new = RecordingMeter(), Sink(), Sink()
    port = Port(meter.counter("processor_outgoing_items"))
    port.target = old
    await port.consume(make_batch(items=2))
    port.target = new
    await port.consume(make_batch(items=3))
    assert (old.item_count, new.item_count, meter.value("processor_outgoing_items")) == (2, 3, 5)
