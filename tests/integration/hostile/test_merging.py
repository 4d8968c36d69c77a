"""Requests that arrive together may be merged behind the receiver; nobody can tell, except by speed."""

from __future__ import annotations

import asyncio

import pytest

from tests.integration.hostile.harness import BODY, ITEMS, JSON, Running, post, receiver, span_json
from tests.integration.hostile.test_http2_framing import MESSAGE, call, connected, opening
from untrace_pipeline.api import Code, PermanentError, RetryableError
from untrace_pipeline.data import ATTRIBUTES, Batch, Field, Level, Signal
from untrace_pipeline.engine.fanout import FanOut
from untrace_pipeline.net.http2_frames import Flag, FrameType, build
from untrace_pipeline.testing import Sink, make_batch

POISON = make_batch(Signal.TRACES, 1, attributes={"poison": "yes"}).to_otlp()
MARK = Field(Level.ITEM, ATTRIBUTES, "poison")
CALLS = range(1, 41, 2)


def poisoned_call(id: int) -> bytes:
    """Return a call whose one span no sink wants."""
    message = b"\x00" + len(POISON).to_bytes(4, "big") + POISON
    return opening(id) + build(FrameType.DATA, Flag.END_STREAM, id, message)


class Choosy(Sink):
    """Refuses batches with poison in them."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error

    async def consume(self, batch: Batch) -> None:
        if "yes" in batch.column(MARK):
            raise self.error
        await super().consume(batch)


class Both(Sink):
    """Two destinations behind one fan-out."""

    def __init__(self, choosy: Choosy, other: Sink) -> None:
        super().__init__()
        self.choosy, self.other = choosy, other
        self._fan_out = FanOut([choosy, other], lambda *_: None)

    async def consume(self, batch: Batch) -> None:
        await self._fan_out.consume(batch)


async def statuses(running: Running, frames: bytes, count: int) -> dict[int, str]:
    """Return the status of each call on one connection."""
    async with connected(running) as peer:
        peer.send(frames)
        return {stream: status for stream, status, _ in [await peer.status() for _ in range(count)]}


async def test_every_request_of_many_is_answered_and_counted() -> None:
    """Each call has its own answer, every item arrives once, and the context says how many requests there were."""
    async with receiver(grpc={}) as running:
        frames = b"".join(call(number) for number in CALLS)
        assert await statuses(running, frames, len(CALLS)) == dict.fromkeys(CALLS, "0")
        assert running.sink.item_count == len(CALLS) * ITEMS
        assert sum(batch.context.requests for batch in running.sink.batches) == len(CALLS)
        assert {batch.context.peer.partition(":")[0] for batch in running.sink.batches} == {"127.0.0.1"}


async def test_one_bad_request_spoils_no_other() -> None:
    """What the pipelines refuse for good costs its own sender only."""
    sink = Choosy(PermanentError("poison", code=Code.INVALID_ARGUMENT))
    async with receiver(sink=sink, grpc={}) as running:
        frames = b"".join(poisoned_call(number) if number == 7 else call(number) for number in CALLS)
        assert await statuses(running, frames, len(CALLS)) == dict.fromkeys(CALLS, "0") | {7: "3"}
    assert sink.item_count == (len(CALLS) - 1) * ITEMS


async def test_retryable_refusal_loses_nothing() -> None:
    """Who is told to send again has had nothing taken, who is told that all is well has had everything taken."""
    sink = Choosy(RetryableError("busy"))
    async with receiver(sink=sink, grpc={}) as running:
        frames = b"".join(poisoned_call(number) if number == 7 else call(number) for number in CALLS)
        answers = await statuses(running, frames, len(CALLS))
    assert answers[7] == "14"
    assert set(answers.values()) <= {"0", "14"}
    assert sink.item_count == ITEMS * sum(status == "0" for status in answers.values())


async def test_merging_ends_where_destinations_differ_in_what_they_refuse() -> None:
    """Innocent requests that were merged with a refused one may come to another destination twice, but only once so."""
    both = Both(Choosy(PermanentError("poison", code=Code.INVALID_ARGUMENT)), Sink())
    async with receiver(sink=both, grpc={}) as running:
        frames = b"".join(poisoned_call(number) if number == 7 else call(number) for number in CALLS)
        expected = dict.fromkeys(CALLS, "0") | {7: "3"}
        assert await statuses(running, frames, len(CALLS)) == expected
        assert both.choosy.item_count == (len(CALLS) - 1) * ITEMS
        before = both.other.item_count
        for _ in range(3):
            assert await statuses(running, frames, len(CALLS)) == expected
        assert both.choosy.item_count == 4 * (len(CALLS) - 1) * ITEMS
        assert both.other.item_count - before == 3 * ((len(CALLS) - 1) * ITEMS + 1)


@pytest.mark.parametrize("order", [[0, 1, 2], [2, 1, 0], [1, 0, 2]])
async def test_forms_may_mix(order: list[int]) -> None:
    """Protobuf, JSON and garbage on one connection are answered each in its form and in their order."""
    requests = [post(BODY), post(span_json(), JSON), post(b"\xff")]
    expected = [(200, ""), (200, "{}"), (400, None)]
    async with receiver(http={}) as running, running.client() as client:
        client.send(b"".join(requests[one] for one in order))
        for one in order:
            reply = await client.reply()
            status, text = expected[one]
            assert reply.status == status
            assert text is None or reply.text == text
        assert running.sink.item_count == ITEMS + 1


async def test_senders_that_come_together_stay_apart_in_their_answers() -> None:
    """Requests of many connections at once are all taken, and each connection reads its own answers."""
    async with receiver(grpc={}, http={}) as running:
        replies = await asyncio.gather(
            *(statuses(running, call(1) + opening(3) + build(FrameType.DATA, Flag.END_STREAM, 3, MESSAGE[:-1]), 2)
              for _ in range(20))
        )  # fmt: skip
        assert replies == [{1: "0", 3: "3"}] * 20
        assert running.sink.item_count == 20 * ITEMS
