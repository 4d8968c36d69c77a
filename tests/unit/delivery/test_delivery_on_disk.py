"""A delivery whose queue lies in a journal: what it takes over, keeps, and hands to the one after it."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import pytest

from tests.support.model_journal import ModelDisk, ModelStorage
from tests.support.senders import Bench, ScriptedSender
from untrace_pipeline.api import Workers
from untrace_pipeline.data import Context
from untrace_pipeline.delivery import DELIVERED
from untrace_pipeline.delivery.storage import Journal
from untrace_pipeline.errors import OversizeError, PermanentError, QueueFullError, RetryableError, StartError
from untrace_pipeline.testing import StubHost, make_batch, run_with_fake_clock

FOREVER = {"max_elapsed_time": "0s"}


def make(sender: ScriptedSender, storage: Any, *, queue: dict[str, Any] | None = None, **options: Any) -> Bench:
    given = {"storage": "file_storage", "num_consumers": 2, **(queue or {})}
    bench = Bench(sender, sending_queue=given, retry_on_failure=FOREVER, **options)
    bench.host = StubHost({"file_storage": storage})
    return bench


def disk() -> ModelDisk:
    return ModelDisk(random.Random(1))


def test_what_waits_at_the_end_is_there_at_the_next_start() -> None:
    """Shutdown does not wait for a dead destination; the next process sends what is left, with its context."""

    async def main() -> None:
        medium = disk()
        sender = ScriptedSender(forever=RetryableError("down"))
        bench = make(sender, ModelStorage(medium))
        await bench.delivery.start(bench.host)
        for number in range(5):
            context = Context(tenant="acme", metadata={"x-tenant": (str(number),)})
            await bench.delivery.consume(make_batch(items=3, seed=number, context=context))
        begin = asyncio.get_running_loop().time()
        await bench.delivery.shutdown()
        assert asyncio.get_running_loop().time() - begin < 1
        assert bench.delivery.pending_items() == 15
        assert bench.dropped == {}

        second = ScriptedSender()
        async with make(second, ModelStorage(medium)) as after:
            await after.until_idle()
            assert after.meter.value("ledger_items", state="accepted") == 15
            assert after.meter.value("ledger_items", state="delivered") == 15
        assert [r.batch.context.first("x-tenant") for r in second.sent] == list("01234")
        assert {r.batch.context.tenant for r in second.sent} == {"acme"}
        assert medium.records == {}

    run_with_fake_clock(main())


def test_a_successor_counts_only_what_it_finds() -> None:
    """What became of the rest, the process before it has told the supervisor already."""

    async def main() -> None:
        medium = disk()
        sender = ScriptedSender(DELIVERED, forever=RetryableError("down"))
        bench = make(sender, ModelStorage(medium), queue={"num_consumers": 1})
        await bench.delivery.start(bench.host)
        for _ in range(2):
            await bench.delivery.consume(make_batch(items=3))
        await asyncio.sleep(1)
        await bench.delivery.shutdown()
        assert bench.delivery.pending_items() == 3

        after = make(ScriptedSender(), ModelStorage(medium))
        after.host = StubHost({"file_storage": ModelStorage(medium)}, workers=Workers(0, 2, successor=True))
        async with after:
            await after.until_idle()
            assert after.meter.value("ledger_items", state="accepted") == 3
            assert after.meter.value("ledger_items", state="delivered") == 3

    run_with_fake_clock(main())


def test_the_idempotency_key_survives_a_restart() -> None:
    """The same entry is sent with the same key by whichever process; other entries have others."""

    async def main() -> None:
        class Recorder(ScriptedSender):
            def __init__(self, *steps: Any, **options: Any) -> None:
                super().__init__(*steps, **options)
                self.keys: list[str] = []

            async def send(self, request: Any) -> Any:
                self.keys.append(request.key)
                return await super().send(request)

        medium = disk()
        first, second = Recorder(forever=RetryableError("down")), Recorder()
        bench = make(first, ModelStorage(medium), queue={"num_consumers": 1})
        await bench.delivery.start(bench.host)
        for _ in range(2):  # equal bytes
            await bench.delivery.consume(make_batch(items=1, seed=7))
        await asyncio.sleep(30)
        await bench.delivery.shutdown()
        async with make(second, ModelStorage(medium)) as after:
            await after.until_idle()
        assert set(first.keys) == {second.keys[0]}
        assert len(set(second.keys)) == 2

    run_with_fake_clock(main())


def test_a_reload_waits_for_the_exporter_before() -> None:
    """The new exporter starts at once, holds callers while the old one still has the queue, and goes on with it."""

    async def main() -> None:
        storage = ModelStorage(disk())
        old_sender, new_sender = ScriptedSender(), ScriptedSender()
        old_sender.gate.clear()
        old = make(old_sender, storage)
        await old.delivery.start(old.host)
        for _ in range(4):
            await old.delivery.consume(make_batch(items=1))
        await asyncio.sleep(0.1)
        new = make(new_sender, storage)
        await new.delivery.start(new.host)
        caller = asyncio.create_task(new.delivery.consume(make_batch(items=1)))
        await asyncio.sleep(1)
        assert not caller.done()
        stopping = asyncio.create_task(old.delivery.shutdown())
        await asyncio.sleep(0.1)
        old_sender.gate.set()
        await stopping
        await caller
        await new.until_idle()
        await new.delivery.shutdown()
        assert (old_sender.item_count, new_sender.item_count) == (2, 3), "what was under way, and the rest"
        assert old.delivery.accounting.left == 2

    run_with_fake_clock(main())


def test_a_new_exporter_that_goes_before_it_had_the_queue() -> None:
    """Stopped while it waits for the queue, it refuses its callers and leaves nothing behind."""

    async def main() -> None:
        storage = ModelStorage(disk())
        old, new = make(ScriptedSender(), storage), make(ScriptedSender(), storage)
        await old.delivery.start(old.host)
        await new.delivery.start(new.host)
        caller = asyncio.create_task(new.delivery.consume(make_batch(items=1)))
        await asyncio.sleep(1)
        await new.delivery.shutdown()
        with pytest.raises(RetryableError, match="shutting down"):
            await caller
        await old.delivery.consume(make_batch(items=1))
        await old.delivery.shutdown()
        assert all(task.done() for task in (*old.host.tasks, *new.host.tasks))

    run_with_fake_clock(main())


def test_a_queue_that_cannot_be_opened_after_a_reload() -> None:
    """Callers are refused instead of waiting for ever, and the failure is the host's to report."""

    async def main() -> None:
        class Once(ModelStorage):
            async def open_journal(self, name: str) -> Journal:
                again = self.in_use(name)
                journal = await super().open_journal(name)
                if again:
                    raise StartError("the disk is gone")
                return journal

        storage = Once(disk())
        old, new = make(ScriptedSender(), storage), make(ScriptedSender(), storage)
        await old.delivery.start(old.host)
        await new.delivery.start(new.host)
        early = asyncio.create_task(new.delivery.consume(make_batch(items=1)))
        await asyncio.sleep(1)
        await old.delivery.shutdown()
        for refused in (early, new.delivery.consume(make_batch(items=1))):
            with pytest.raises(RetryableError, match="cannot open its queue: the disk is gone"):
                await refused
        with pytest.raises(RetryableError, match="cannot open its queue"):
            new.delivery.admit(0)
        (opening,) = new.host.tasks
        assert isinstance(opening.exception(), StartError)
        await new.delivery.shutdown()
        assert new.sender.sent == []

    run_with_fake_clock(main())


def test_half_of_a_request_is_kept_as_half() -> None:
    """What a split request has delivered does not come again; the rest does, and the journal's sums hold."""

    async def main() -> None:
        medium = disk()
        sender = ScriptedSender(OversizeError("too large"), *[None], forever=RetryableError("down"))  # type: ignore[list-item]
        bench = make(sender, ModelStorage(medium))
        await bench.delivery.start(bench.host)
        await bench.delivery.consume(make_batch(items=10))
        await asyncio.sleep(3)
        await bench.delivery.shutdown()
        assert sender.item_count == 5
        assert [record.items for record in medium.records.values()] == [5]
        assert medium.appended == sum(medium.ended.values()) + 5
        second = ScriptedSender()
        async with make(second, ModelStorage(medium)) as after:
            assert after.meter.value("ledger_items", state="accepted") == 10
            await after.until_idle()
        assert second.item_count == 5

    run_with_fake_clock(main())


def test_a_full_disk_is_back_pressure() -> None:
    """The sender is told to come back; when there is room again the same batch is taken."""

    async def main() -> None:
        medium = disk()
        async with make(ScriptedSender(), ModelStorage(medium)) as bench:
            medium.full = True
            with pytest.raises(QueueFullError) as refusal:
                await bench.delivery.consume(make_batch(items=1))
            assert refusal.value.retry_after
            medium.full = False
            await asyncio.sleep(2)
            await bench.delivery.consume(make_batch(items=1))
            await bench.until_idle()

    run_with_fake_clock(main())


def test_letters_that_cannot_be_written_stay_in_the_queue() -> None:
    """With a queue on disk what cannot be buried before the end is kept, and buried by the next process."""

    async def main() -> None:
        medium = disk()
        letters = {"dead_letter_queue": {"storage": "file_storage"}}
        bench = make(ScriptedSender(forever=PermanentError("bad")), ModelStorage(medium), **letters)
        await bench.delivery.start(bench.host)
        await bench.delivery.consume(make_batch(items=4))
        medium.full = True
        await asyncio.sleep(20)
        await bench.delivery.shutdown()
        assert bench.dropped == {}
        medium.full = False
        async with make(ScriptedSender(forever=PermanentError("bad")), ModelStorage(medium), **letters) as after:
            await after.until_idle()
            assert after.meter.value("ledger_items", state="dead_lettered") == 4
        assert [letter.items for letter in medium.letters] == [4]

    run_with_fake_clock(main())


def test_the_extension_must_keep_queues() -> None:
    """Another extension of that name is told at start."""

    async def main() -> None:
        bench = make(ScriptedSender(), object())
        with pytest.raises(StartError, match="keeps no queues"):
            await bench.delivery.start(bench.host)

    run_with_fake_clock(main())
