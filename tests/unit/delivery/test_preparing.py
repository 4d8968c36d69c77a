"""Senders that make something else of a request, and those that want their turns."""

from __future__ import annotations

from typing import Any

import pytest

from untrace_pipeline.api import Kind
from untrace_pipeline.data import Batch, Field, Level, attribute
from untrace_pipeline.delivery import DELIVERED, Delivery, DeliveryConfig, Outcome, Prepared, Refused, Request
from untrace_pipeline.errors import OversizeError, PermanentError, RetryableError
from untrace_pipeline.testing import RecordingMeter, StubHost, make_batch, make_settings

NAME = Field(Level.ITEM, "name")
QUICK = {"initial_interval": "1ms", "max_interval": "1ms"}


class Letters:
    """An extension that keeps dead letters."""

    def __init__(self) -> None:
        self.kept: list[Any] = []

    async def start(self, host: Any) -> None: ...

    async def shutdown(self) -> None: ...

    def dead_letters(self) -> Letters:
        return self

    async def bury(self, letters: Any) -> None:
        self.kept += letters


class Sender:
    """Marks every span, refuses those called ``bad``, leaves out those called ``out``; splits to ``most`` spans."""

    destination = "there:1"

    def __init__(self, *answers: Exception, most: int = 100, waits: tuple[float, ...] = ()) -> None:
        self.answers = list(answers)
        self.most = most
        self.waits = list(waits)
        self.prepared = 0
        self.sent: list[Batch] = []
        self.attempts: list[Request] = []

    async def prepare(self, request: Request) -> Prepared:
        self.prepared += 1
        names = request.batch.column(NAME)
        parts = request.batch.copy().partition([name if name in {"bad", "out"} else "" for name in names])
        refused = [Refused(parts["bad"], PermanentError("bad"))] if "bad" in parts else []
        filtered = parts["out"].item_count if "out" in parts else 0
        requests = []
        for original in parts[""].split(max_items=self.most) if "" in parts else []:
            batch = original.copy()
            batch.set(attribute("marked"), [True] * batch.item_count)
            requests.append(Request(batch, batch.item_count, original=original, prepared=True))
        return Prepared(requests, refused, filtered)

    async def send(self, request: Request) -> Outcome:
        self.attempts.append(request)
        if self.answers:
            raise self.answers.pop(0)
        self.sent.append(request.batch)
        return DELIVERED

    def wait_seconds(self) -> float:
        return self.waits.pop(0) if self.waits else 0.0


class Run:
    def __init__(self, sender: Sender, **options: Any) -> None:
        self.letters, self.meter = Letters(), RecordingMeter()
        config = DeliveryConfig.model_validate(
            {"retry_on_failure": QUICK, "dead_letter_queue": {"storage": "letters"}, **options}
        )
        self.delivery = Delivery(config, sender, make_settings(Kind.EXPORTER, "test", meter=self.meter))

    async def __call__(self, *batches: Batch) -> None:
        await self.delivery.start(StubHost({"letters": self.letters}))
        for batch in batches:
            await self.delivery.consume(batch)
        await self.delivery.shutdown()
        assert self.delivery.accounting.balance == 0
        assert self.delivery.accounting.pending == 0


def named(*names: str) -> Batch:
    batch = make_batch(items=len(names))
    batch.set(NAME, list(names))
    return Batch(batch.signal, batch.to_otlp())


async def test_a_request_is_prepared_once_for_all_attempts() -> None:
    """The conversion is not made again after a failure."""
    sender = Sender(RetryableError("busy"), RetryableError("busy"))
    await Run(sender)(named("a", "b"))
    assert (sender.prepared, len(sender.attempts)) == (1, 3)
    assert sender.sent[0].column(attribute("marked")) == [True, True]


async def test_every_item_ends_once() -> None:
    """Refused, left out and sent: the sums match, and nobody counts twice."""
    sender = Sender()
    run = Run(sender)
    await run(named("a", "bad", "out", "b", "out"))
    ended = run.delivery.accounting.ended
    assert dict(ended) == {"delivered": 2, "filtered": 2, "dead_lettered": 1}
    assert run.meter.value("dropped_items", reason="filtered") == 2
    assert [letter.items for letter in run.letters.kept] == [1]


@pytest.mark.parametrize("wait", [True, False])
async def test_what_is_left_out_is_no_failure_for_the_caller(wait: bool) -> None:
    """Who waits for the outcome hears of success, although nothing was sent."""
    run = Run(Sender(), sending_queue={"enabled": not wait, **({"wait_for_result": True} if not wait else {})})
    await run(named("out", "out"))
    assert dict(run.delivery.accounting.ended) == {"filtered": 2}


async def test_dead_letters_hold_what_the_pipeline_had() -> None:
    """Also after halving: the letter has the items of its half, unconverted."""
    sender = Sender(OversizeError("large"), PermanentError("no"))
    run = Run(sender)
    await run(named("a", "b", "c", "d"))
    (letter,) = run.letters.kept
    kept = Batch(letter.signal, letter.payload)
    assert kept.column(NAME) == ["a", "b"]
    assert kept.column(attribute("marked")) == [None, None]
    assert [batch.column(NAME) for batch in sender.sent] == [["c", "d"]]
    assert sender.prepared == 1


async def test_pieces_are_sent_in_order() -> None:
    """What is split before it is sent keeps its order."""
    sender = Sender(most=2)
    await Run(sender, sending_queue={"num_consumers": 1})(named("a", "b", "c", "d", "e"))
    assert [batch.column(NAME) for batch in sender.sent] == [["a", "b"], ["c", "d"], ["e"]]


async def test_preparing_may_fail_and_succeed_later() -> None:
    """A store that is full for a moment costs an attempt, not data."""

    class Full(Sender):
        async def prepare(self, request: Request) -> Prepared:
            if not self.prepared:
                self.prepared += 1
                raise RetryableError("the disk is full")
            return await super().prepare(request)

    sender = Full()
    run = Run(sender)
    await run(named("a"))
    assert dict(run.delivery.accounting.ended) == {"delivered": 1}


async def test_a_bug_in_preparing_ends_the_request_alone() -> None:
    """It is counted, kept as a dead letter, and what follows is sent."""

    class Broken(Sender):
        async def prepare(self, request: Request) -> Prepared:
            if not self.prepared:
                self.prepared += 1
                raise KeyError("oops")
            return await super().prepare(request)

    run = Run(Broken())
    await run(named("a"), named("b"))
    assert dict(run.delivery.accounting.ended) == {"delivered": 1, "dead_lettered": 1}


async def test_a_paced_sender_is_asked_before_each_attempt() -> None:
    """It waits as long as told, and counts the waits."""
    sender = Sender(waits=(0.001, 0.002))
    run = Run(sender)
    await run(named("a"))
    assert len(sender.sent) == 1
    assert run.meter.value("exporter_paced_waits") >= 1
