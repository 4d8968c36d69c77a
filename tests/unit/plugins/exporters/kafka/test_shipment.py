"""Messages of one request over several attempts: nothing is sent twice that a broker has or may get."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from untrace_pipeline.api import Code, OversizeError, PermanentError, RetryableError
from untrace_pipeline.errors import ConsumeError
from untrace_pipeline.testing import make_batch
from untrace_plugins.exporters.kafka.messages import Message
from untrace_plugins.exporters.kafka.shipment import Parcel, Shipment

Answer = ConsumeError | None
LATER = "later"


class Broker:
    """Answers each message as scripted, by its topic; without a script left it takes the message."""

    def __init__(self, **scripts: list[Answer | str]) -> None:
        self._scripts = scripts
        self.sent: list[tuple[str, bool]] = []
        self.open: list[Parcel] = []

    async def hand_over(self, parcel: Parcel) -> None:
        topic = parcel.message.topic
        self.sent.append((topic, parcel.alone))
        script = self._scripts.get(topic)
        answer = script.pop(0) if script else None
        if isinstance(answer, str):
            self.open.append(parcel)
        else:
            parcel.settle(answer)


def shipment(*topics: str) -> Shipment:
    parts = [make_batch(items=number + 1, seed=number) for number in range(len(topics))]
    return Shipment(Message(topic, None, b"value", [], part) for topic, part in zip(topics, parts, strict=True))


async def test_all_taken() -> None:
    """The attempt ends when every message was taken."""
    broker = Broker()
    outcome = await shipment("a", "b").attempt(broker.hand_over)
    assert (outcome.rejected, outcome.message) == (0, "")
    assert broker.sent == [("a", False), ("b", False)]


async def test_waits_for_the_last_answer() -> None:
    """Whatever their order, the attempt ends with the last one."""
    broker = Broker(a=[LATER], b=[LATER])
    attempt = asyncio.create_task(shipment("a", "b").attempt(broker.hand_over))
    await asyncio.sleep(0)
    broker.open[1].settle(None)
    await asyncio.sleep(0)
    assert not attempt.done()
    broker.open[0].settle(None)
    await attempt


async def test_a_retry_sends_only_what_failed() -> None:
    """A broker that has its messages does not get them again because another one was down."""
    broker = Broker(a=[RetryableError("down"), None])
    sending = shipment("a", "b")
    with pytest.raises(RetryableError, match="down"):
        await sending.attempt(broker.hand_over)
    await sending.attempt(broker.hand_over)
    assert broker.sent == [("a", False), ("b", False), ("a", False)]


async def test_a_retry_waits_for_what_is_under_way() -> None:
    """After a time-out the messages are not sent a second time: their first copy may still arrive."""
    broker = Broker(a=[LATER])
    sending = shipment("a", "b")
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await sending.attempt(broker.hand_over)
    again = asyncio.create_task(sending.attempt(broker.hand_over))
    await asyncio.sleep(0)
    broker.open[0].settle(None)
    assert (await again).rejected == 0
    assert broker.sent == [("a", False), ("b", False)]


async def test_an_answer_between_attempts_counts() -> None:
    """What was answered while nobody waited is known to the next attempt."""
    broker = Broker(a=[LATER])
    sending = shipment("a")
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await sending.attempt(broker.hand_over)
    broker.open[0].settle(None)
    await sending.attempt(broker.hand_over)
    assert broker.sent == [("a", False)]


async def test_cancelled_while_it_waits_for_room() -> None:
    """A message that nobody took is sent by the next attempt, and those behind it."""
    full = asyncio.Event()
    broker = Broker()

    async def wait_for_room(parcel: Parcel) -> None:
        await full.wait()
        await broker.hand_over(parcel)

    sending = shipment("a", "b")
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await sending.attempt(wait_for_room)
    full.set()
    await sending.attempt(wait_for_room)
    assert broker.sent == [("a", False), ("b", False)]


async def test_too_large_together_is_tried_alone() -> None:
    """Brokers judge batches: the verdict on a message is that on a batch which has no other."""
    broker = Broker(a=[OversizeError("large"), None], b=[OversizeError("large"), None])
    await shipment("a", "b").attempt(broker.hand_over)
    assert broker.sent == [("a", False), ("b", False), ("a", True), ("b", True)]


async def test_too_large_alone_is_too_large() -> None:
    """Then the delivery must cut the request; it is not tried alone a second time."""
    broker = Broker(a=[OversizeError("large"), OversizeError("alone")])
    with pytest.raises(OversizeError, match="alone"):
        await shipment("a").attempt(broker.hand_over)
    assert broker.sent == [("a", False), ("a", True)]


async def test_too_large_among_others_is_the_rest() -> None:
    """Only what was too large comes again, to be cut: the others are not sent a second time."""
    large = [OversizeError("large"), OversizeError("alone")]
    broker = Broker(b=[*large], c=[PermanentError("no")], d=[*large])
    outcome = await shipment("a", "b", "c", "d").attempt(broker.hand_over)
    assert (outcome.rejected, outcome.message) == (3, "no")
    assert outcome.rest is not None
    assert outcome.rest.item_count == 2 + 4
    assert isinstance(outcome.cause, RetryableError)
    assert (outcome.cause.retry_after, outcome.cause.code) == (0.0, Code.RESOURCE_EXHAUSTED)


async def test_all_refused_for_good() -> None:
    """With nothing taken, the refusal is the request's."""
    refusal = PermanentError("no", code=Code.PERMISSION_DENIED)
    with pytest.raises(PermanentError) as caught:
        await shipment("a").attempt(Broker(a=[refusal]).hand_over)
    assert caught.value.code is Code.PERMISSION_DENIED


async def test_part_refused_for_good() -> None:
    """With others taken, it is a partial success: what was refused is counted by its items."""
    broker = Broker(b=[PermanentError("no")], c=[PermanentError("no")])
    outcome = await shipment("a", "b", "c").attempt(broker.hand_over)
    assert (outcome.rejected, outcome.message) == (2 + 3, "no")


async def test_what_may_pass_comes_first() -> None:
    """A refusal for good does not keep the others from being tried again, and is not asked for again."""
    broker = Broker(a=[PermanentError("no")], b=[RetryableError("down"), None])
    sending = shipment("a", "b")
    with pytest.raises(RetryableError):
        await sending.attempt(broker.hand_over)
    assert (await sending.attempt(broker.hand_over)).rejected == 1
    assert broker.sent == [("a", False), ("b", False), ("b", False)]


async def test_nothing_to_send() -> None:
    """A request without messages is delivered."""
    refuse: Callable[[Parcel], None] = lambda _parcel: pytest.fail("nothing to hand over")  # noqa: E731
    assert (await shipment().attempt(refuse)).rejected == 0  # type: ignore[arg-type]
