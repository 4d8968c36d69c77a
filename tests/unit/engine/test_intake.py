"""The intake admits, counts and distributes what a receiver brings."""

from __future__ import annotations

import asyncio
import logging

import pytest

from untrace_pipeline.api import ComponentId, Kind
from untrace_pipeline.data import Context, Signal
from untrace_pipeline.engine.intake import Gate, Intake
from untrace_pipeline.engine.link import Faults
from untrace_pipeline.errors import Code, ConsumeError, InternalError, PermanentError, RetryableError
from untrace_pipeline.testing import BlockingSink, FailingSink, RecordingMeter, Sink, make_batch


class Guard:
    """Admits, or refuses with an error."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.asked: list[int] = []

    def admit(self, byte_size: int) -> None:
        self.asked.append(byte_size)
        if self.error is not None:
            raise self.error


FULL = RetryableError("full", retry_after=2)


def make_intake(target, gate: Gate | None = None) -> tuple[Intake, RecordingMeter]:
    meter = RecordingMeter()
    receiver = ComponentId.parse(Kind.RECEIVER, "fake")
    intake = Intake(meter, Faults(receiver, meter, logging.getLogger("receiver"), lambda: 0.0))
    intake.switch({Signal.TRACES: target}, gate or Gate())
    return intake, meter


@pytest.mark.parametrize(
    ("gate", "admitted"),
    [
        (Gate(), True),
        (Gate(limiters=[Guard(), Guard(FULL)]), False),
        (Gate(queues=[Guard(FULL), Guard()]), True),
        (Gate(queues=[Guard(FULL), Guard(FULL)]), False),
        (Gate(limiters=[Guard(FULL)], queues=[Guard()]), False),
    ],
)
def test_admission(gate: Gate, admitted: bool) -> None:
    """One limiter is enough to refuse; of the queues all must be full."""
    intake, meter = make_intake(Sink(), gate)
    if admitted:
        intake.admit(100)
    else:
        with pytest.raises(RetryableError):
            intake.admit(100)
    assert meter.value("receiver_not_admitted_requests") == (not admitted)


def test_a_broken_limiter_refuses_and_does_not_kill_the_receiver() -> None:
    """Whatever it raises, the receiver sees a consume error, and the cause is logged."""
    intake, meter = make_intake(Sink(), Gate(limiters=[Guard(ZeroDivisionError("payload"))]))
    with pytest.raises(InternalError):
        intake.admit(100)
    assert meter.value("receiver_not_admitted_requests") == meter.value("component_exceptions") == 1


def test_the_size_reaches_those_who_are_asked() -> None:
    """A byte-sized queue can tell whether the request still fits."""
    limiter, queue = Guard(), Guard()
    make_intake(Sink(), Gate([limiter], [queue]))[0].admit(4096)
    assert limiter.asked == queue.asked == [4096]


async def test_accepted_items_are_counted_by_transport() -> None:
    """The counters are the Collector's, with the transport of the request as a label."""
    intake, meter = make_intake(Sink())
    await intake.consume(make_batch(items=3, context=Context(transport="grpc")))
    await intake.consume(make_batch(items=4, context=Context(transport="http")))
    assert meter.value("receiver_accepted_spans", transport="grpc") == 3
    assert meter.value("receiver_accepted_spans", transport="http") == 4
    assert meter.value("receiver_requests", outcome="success") == 2
    assert len(meter.recorded("processing_latency_seconds")) == 2


@pytest.mark.parametrize(
    ("error", "counter", "outcome"),
    [
        (RetryableError("later"), "receiver_refused_spans", "refused"),
        (PermanentError("never"), "receiver_refused_spans", "refused"),
        (InternalError("broken"), "receiver_failed_spans", "failure"),
    ],
)
async def test_what_is_not_accepted_is_counted_apart(error, counter: str, outcome: str) -> None:
    """Refusals are the pipelines' word; failures are faults inside the daemon."""
    intake, meter = make_intake(FailingSink(error))
    with pytest.raises(type(error)):
        await intake.consume(make_batch(items=3))
    assert meter.value(counter) == 3
    assert meter.value("receiver_requests", outcome=outcome) == 1
    assert meter.value("receiver_accepted_spans") == 0


@pytest.mark.parametrize(("error", "refused"), [(RetryableError("later"), 5), (PermanentError("never"), 0)])
async def test_merged_requests_are_counted_one_by_one(error: ConsumeError, refused: int) -> None:
    """A batch counts as the requests that it stands for, unless the receiver will bring each of them again."""
    merged = Context(requests=5)
    intake, meter = make_intake(Sink())
    await intake.consume(make_batch(items=7, context=merged))
    assert meter.value("receiver_requests", outcome="success") == 5
    intake, meter = make_intake(FailingSink(error))
    with pytest.raises(ConsumeError):
        await intake.consume(make_batch(items=7, context=merged))
    assert meter.value("receiver_requests", outcome="refused") == refused
    assert meter.value("receiver_refused_spans") == (7 if refused else 0)


async def test_a_client_that_leaves_counts_as_refused() -> None:
    """Nobody was acknowledged."""
    sink = BlockingSink()
    intake, meter = make_intake(sink)
    call = asyncio.create_task(intake.consume(make_batch(items=3)))
    await asyncio.sleep(0)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert meter.value("receiver_refused_spans") == 3


async def test_a_signal_without_pipeline_is_refused_for_good() -> None:
    """A file of metrics read by a receiver that feeds only a traces pipeline is no internal error."""
    intake, _ = make_intake(Sink())
    with pytest.raises(PermanentError) as refused:
        await intake.consume(make_batch(Signal.METRICS))
    assert refused.value.code is Code.UNIMPLEMENTED
