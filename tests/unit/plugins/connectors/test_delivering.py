"""What a connector answers when its pipelines disagree."""

from __future__ import annotations

import asyncio

import pytest

from untrace_pipeline.api import ConsumeError, Consumer, Kind, PermanentError, QueueFullError, RetryableError
from untrace_pipeline.data import Signal
from untrace_pipeline.testing import BlockingSink, FailingSink, RecordingMeter, Sink, make_batch, make_settings
from untrace_plugins.connectors.delivering import Delivery


async def deliver(*consumers: Consumer) -> tuple[ConsumeError | None, float]:
    """Deliver three items to each consumer; return the answer and the items counted as dropped."""
    meter = RecordingMeter()
    delivery = Delivery(make_settings(Kind.CONNECTOR, "forward", meter=meter))
    answer = None
    try:
        await delivery.deliver([(consumer, make_batch(items=3)) for consumer in consumers])
    except ConsumeError as error:
        answer = error
    return answer, meter.value("dropped_items", signal=Signal.TRACES, reason="queue_full")


FULL, LATER, NEVER = QueueFullError("full"), RetryableError("later", retry_after=3.0), PermanentError("never")


@pytest.mark.parametrize(
    ("errors", "answer", "dropped"),
    [
        ([None], None, 0),
        ([None, None], None, 0),
        ([FULL], FULL, 0),
        ([LATER, LATER], LATER, 0),
        ([FULL, FULL], FULL, 0),
        ([FULL, LATER], LATER, 0),
        ([NEVER, LATER], LATER, 0),
        ([NEVER, NEVER], NEVER, 0),
        ([None, FULL], None, 3),
        ([None, FULL, FULL], None, 6),
        ([None, LATER], LATER, 0),
        ([None, NEVER], NEVER, 0),
        ([None, FULL, NEVER], NEVER, 3),
        ([None, FULL, LATER], LATER, 0),
    ],
)
async def test_the_answer(errors: list[ConsumeError | None], answer: ConsumeError | None, dropped: int) -> None:
    """Accepted unless a pipeline refused for another reason than a full queue, or none accepted; drops are counted."""
    sinks: list[Consumer] = [Sink() if error is None else FailingSink(error) for error in errors]
    assert await deliver(*sinks) == (answer, dropped)


async def test_a_drop_counts_for_the_exporter_that_refused() -> None:
    """The engine says in the error whose queue was full; the sum of each destination needs its own drops."""
    full = QueueFullError("full")
    full.refused = {"exporter:otlp/backend": 2, "exporter:file": 1}
    meter = RecordingMeter()
    delivery = Delivery(make_settings(Kind.CONNECTOR, "routing/tenants", meter=meter))
    await delivery.deliver([(Sink(), make_batch(items=3)), (FailingSink(full), make_batch(items=3))])
    labels = {"kind": "exporter", "reason": "queue_full", "signal": Signal.TRACES}
    assert meter.value("dropped_items", component="otlp/backend", **labels) == 2
    assert meter.value("dropped_items", component="file", **labels) == 1
    assert meter.value("dropped_items", kind="connector") == 0


async def test_nobody_waits_for_another() -> None:
    """A pipeline that hangs does not delay the data of the others, only the answer."""
    hanging, quick = BlockingSink(), Sink()
    work = asyncio.create_task(deliver(hanging, quick))
    await quick.wait_for_items(3)
    assert not work.done()
    hanging.release.set()
    assert await work == (None, 0)


async def test_cancelling_leaves_nothing_behind() -> None:
    """When the caller is cancelled, so are all parts."""
    hanging = BlockingSink()
    work = asyncio.create_task(deliver(hanging, hanging))
    for _ in range(3):  # the delivery, its parts, their first wait
        await asyncio.sleep(0)
    assert hanging.waiting == 2
    work.cancel()
    with pytest.raises(asyncio.CancelledError):
        await work
    assert hanging.waiting == 0
