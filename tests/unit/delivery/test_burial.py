"""What goes to the dead-letter queue, and what happens while that cannot take it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from tests.support.senders import Bench, ScriptedSender
from untrace_pipeline.data import Batch, Context, Field, Level, attribute
from untrace_pipeline.delivery import DeadLetter, Delivery, Outcome, Refused
from untrace_pipeline.errors import Code, OversizeError, PermanentError, QueueFullError, RetryableError, StartError
from untrace_pipeline.testing import StubHost, make_batch, run_with_fake_clock


class Graveyard:
    """A storage of dead letters in memory that fails as often as it is told."""

    def __init__(self, failures: int = 0) -> None:
        self.failures = failures
        self.letters: list[DeadLetter] = []

    async def start(self, host: Any) -> None: ...

    async def shutdown(self) -> None: ...

    def dead_letters(self) -> Graveyard:
        return self

    async def bury(self, letters: Sequence[DeadLetter]) -> None:
        if self.failures:
            self.failures -= 1
            raise RetryableError("the disk is full")
        self.letters += letters


def make(sender: ScriptedSender, graveyard: Any, **options: Any) -> Bench:
    bench = Bench(sender, dead_letter_queue={"storage": "file_storage"}, **options)
    bench.host = StubHost({"file_storage": graveyard})
    return bench


def ended(bench: Bench) -> dict[str, int]:
    return {str(state): items for state, items in bench.delivery.accounting.ended.items() if items}


@pytest.mark.parametrize(
    ("error", "retry", "reason", "code"),
    [
        (PermanentError("HTTP 400: bad", code=Code.INVALID_ARGUMENT), {}, "permanent", "INVALID_ARGUMENT"),
        (OversizeError("too large"), {}, "too_large", "RESOURCE_EXHAUSTED"),
        (RetryableError("down"), {"max_elapsed_time": "60s"}, "expired", "UNAVAILABLE"),
    ],
)
def test_what_is_given_up_becomes_a_letter(error: Exception, retry: dict[str, Any], reason: str, code: str) -> None:
    """A letter has the reason, the destination's answer, the attempts, the tenant and the original bytes."""

    async def main() -> None:
        error.detail = "the whole answer"  # type: ignore[attr-defined]
        graveyard = Graveyard()
        sender = ScriptedSender(forever=error)
        context = Context(tenant="acme", metadata={"x-tenant": ("acme",)})
        batch = make_batch(items=1, context=context)
        payload = batch.to_otlp()
        async with make(sender, graveyard, retry_on_failure=retry) as bench:
            await bench.delivery.consume(batch)
            await bench.until_idle()
        (letter,) = graveyard.letters
        assert (letter.exporter, letter.destination) == ("otlp/backend", "backend:4317")
        assert (letter.reason, letter.code, letter.message) == (reason, code, "the whole answer")
        assert letter.attempts == len(sender.times)
        assert (letter.tenant, letter.metadata, letter.items) == ("acme", {"x-tenant": ("acme",)}, 1)
        assert letter.payload == payload
        assert ended(bench) == {"dead_lettered": 1}
        assert bench.meter.value("exporter_dead_lettered_items", reason=reason) == 1
        assert bench.meter.value("dropped_items") == 0

    run_with_fake_clock(main())


def test_only_what_failed_is_buried() -> None:
    """Of a split request the halves that arrived are delivered, the item that is too large is a letter."""

    async def main() -> None:
        class Picky(ScriptedSender):
            async def answer(self, request: Any, step: Any) -> Any:
                if request.batch.byte_size > 50_000:
                    raise OversizeError("too large")
                return await super().answer(request, step)

        graveyard, sender = Graveyard(), Picky()
        large = make_batch(items=1)
        large.set(attribute("prompt"), ["x" * 100_000])
        async with make(sender, graveyard) as bench:
            await bench.delivery.consume(Batch.merge([make_batch(items=5), large]))
            await bench.until_idle()
        assert ended(bench) == {"delivered": 5, "dead_lettered": 1}
        assert [letter.items for letter in graveyard.letters] == [1]

    run_with_fake_clock(main())


def test_a_storage_that_fails_is_asked_again() -> None:
    """While the letters cannot be written the request stays in the queue; nothing is dropped."""

    async def main() -> None:
        graveyard = Graveyard(failures=3)
        async with make(ScriptedSender(PermanentError("bad")), graveyard) as bench:
            await bench.delivery.consume(make_batch(items=4))
            await asyncio.sleep(10)
            assert bench.delivery.pending_items() == 4
            await bench.until_idle()
        assert ended(bench) == {"dead_lettered": 4}

    run_with_fake_clock(main())


def test_a_deadline_ends_the_attempts_to_bury() -> None:
    """When the time for stopping is over, what could not be buried counts as dropped by its own reason."""

    async def main() -> None:
        bench = make(ScriptedSender(PermanentError("bad")), Graveyard(failures=10**6))
        await bench.delivery.start(bench.host)
        await bench.delivery.consume(make_batch(items=4))
        await asyncio.sleep(7)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(5):
                await bench.delivery.shutdown()
        assert bench.dropped == {"permanent": 4}
        assert bench.delivery.accounting.balance == 0

    run_with_fake_clock(main())


def test_overflow_goes_to_the_dead_letters() -> None:
    """With ``overflow: dead_letter`` what does not fit is accepted and becomes a letter."""

    async def main() -> None:
        graveyard, sender = Graveyard(), ScriptedSender()
        sender.gate.clear()
        queue = {"queue_size": 2, "overflow": "dead_letter"}
        async with make(sender, graveyard, sending_queue=queue, timeout="0s") as bench:
            for _ in range(5):
                bench.delivery.admit(100)
                await bench.delivery.consume(make_batch(items=3))
            assert [letter.reason for letter in graveyard.letters] == ["queue_full"] * 3
            graveyard.failures = 1
            with pytest.raises(QueueFullError):
                await bench.delivery.consume(make_batch(items=3))
            sender.gate.set()
            await bench.until_idle()
        assert ended(bench) == {"delivered": 6, "dead_lettered": 9}

    run_with_fake_clock(main())


def test_a_caller_who_waits_gets_it_back_instead() -> None:
    """With ``wait_for_result`` a failure is the sender's to know, and no letter is written."""

    async def main() -> None:
        graveyard = Graveyard()
        queue = {"wait_for_result": True}
        async with make(ScriptedSender(forever=PermanentError("bad")), graveyard, sending_queue=queue) as bench:
            with pytest.raises(PermanentError, match="bad"):
                await bench.delivery.consume(make_batch(items=2))
        assert graveyard.letters == []
        assert ended(bench) == {"refused": 2}

    run_with_fake_clock(main())


def test_oversize_drop_is_not_buried() -> None:
    """``oversize: drop`` says what to do with large items although there is a dead-letter queue."""

    async def main() -> None:
        graveyard = Graveyard()
        async with make(ScriptedSender(forever=OversizeError("large")), graveyard, oversize="drop") as bench:
            await bench.delivery.consume(make_batch(items=1))
            await bench.until_idle()
        assert graveyard.letters == []
        assert bench.dropped == {"too_large": 1}

    run_with_fake_clock(main())


def test_the_extension_must_keep_dead_letters() -> None:
    """Another extension of that name is told at start."""

    async def main() -> None:
        bench = make(ScriptedSender(), object())
        delivery: Delivery = bench.delivery
        with pytest.raises(StartError, match="keeps no dead letters"):
            await delivery.start(bench.host)

    run_with_fake_clock(main())


class RefusesOne(ScriptedSender):
    """Takes the first half of a request for good, refuses the next item, and asks for the rest to come again."""

    error: PermanentError = PermanentError("mapper_parsing_exception: no number", code=Code.INVALID_ARGUMENT)

    async def answer(self, request: Any, step: Any) -> Outcome:
        await super().answer(request, step)
        if request.items < 4:
            return Outcome()
        half = request.items // 2
        parts = request.batch.copy().partition(["taken"] * half + ["refused"] + ["rest"] * (half - 1))
        refused = Refused(parts["refused"], self.error)
        return Outcome(rest=parts["rest"], cause=RetryableError("busy"), refused=(refused,))


def test_what_a_destination_singles_out_is_buried_alone() -> None:
    """The refused item with its reason, while what was taken is not sent again and the rest is."""

    async def main() -> None:
        graveyard, sender, batch = Graveyard(), RefusesOne(), make_batch(items=6)
        ids = batch.column(Field(Level.ITEM, "span_id"))
        async with make(sender, graveyard) as bench:
            await bench.delivery.consume(batch.copy())
            await bench.until_idle()
        [letter] = graveyard.letters
        assert (letter.reason, letter.code, letter.items) == ("permanent", "INVALID_ARGUMENT", 1)
        assert letter.message == "mapper_parsing_exception: no number"
        assert Batch(letter.signal, letter.payload).column(Field(Level.ITEM, "span_id")) == [ids[3]]
        assert [request.items for request in sender.sent] == [6, 2]
        assert ended(bench) == {"delivered": 5, "dead_lettered": 1}
        assert bench.delivery.accounting.balance == 0

    run_with_fake_clock(main())


def test_what_is_singled_out_as_too_large_is_called_so() -> None:
    """As it is where the whole request was too large."""

    async def main() -> None:
        graveyard, sender = Graveyard(), RefusesOne()
        sender.error = OversizeError("too long")
        async with make(sender, graveyard) as bench:
            await bench.delivery.consume(make_batch(items=6))
            await bench.until_idle()
        [letter] = graveyard.letters
        assert (letter.reason, letter.items) == ("too_large", 1)
        assert bench.delivery.accounting.balance == 0

    run_with_fake_clock(main())
