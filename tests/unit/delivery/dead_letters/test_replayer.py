"""Replays: each letter once, what is accepted goes, what is refused stays."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path

import pytest

from tests.unit.delivery.dead_letters.conftest import NOW, Clock, Make, every, letter
from untrace_pipeline.data import Batch, Signal
from untrace_pipeline.delivery.dead_letters import DeadLetterStore, FiledLetter, LetterFilter, Replayer, replayer
from untrace_pipeline.errors import Code, OversizeError, PermanentError, RetryableError
from untrace_pipeline.testing import BlockingSink, FailingSink, Sink, make_batch

ALL = LetterFilter()


def replay(store: DeadLetterStore, sink: Sink, **options: float) -> Replayer:
    return Replayer(store, lambda _: sink, **options)  # type: ignore[arg-type]


def seeds(sink: Sink) -> list[bytes]:
    return [batch.to_otlp() for batch in sink.batches]


async def test_everything_is_sent_once_and_gone(make: Make) -> None:
    """Every letter arrives once, as it was and with its context; afterwards the store is empty."""
    store, sink = make(), Sink()
    await store.bury([letter(n, tenant=f"t{n}", metadata={"x-n": (str(n),)}) for n in range(23)])
    done = await replay(store, sink).run(ALL)
    assert sorted(seeds(sink)) == sorted(letter(n).payload for n in range(23))
    assert {batch.context.tenant for batch in sink.batches} == {f"t{n}" for n in range(23)}
    assert {batch.context.first("X-N") for batch in sink.batches} == {str(n) for n in range(23)}
    assert (done.delivered.letters, done.delivered.items, done.failed.letters) == (23, 230, 0)
    assert await every(store) == []


async def test_order_and_signal(make: Make) -> None:
    """One at a time, letters come in the order in which they were buried, each with its signal."""
    store, sink = make(), Sink()
    kinds = [Signal.TRACES, Signal.LOGS, Signal.METRICS]
    await store.bury([letter(n, signal=s, payload=make_batch(s, 10).to_otlp()) for n, s in enumerate(kinds)])
    await replay(store, sink, concurrency=1).run(ALL)
    assert [batch.signal for batch in sink.batches] == kinds


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (PermanentError("HTTP 400: bad", code=Code.INVALID_ARGUMENT), "permanent"),
        (RetryableError("HTTP 503"), "expired"),
        (OversizeError("HTTP 413"), "too_large"),
    ],
)
async def test_refused_letters_stay(make: Make, clock: Clock, error: PermanentError, reason: str) -> None:
    """What is refused stays with what was said this time and one attempt more; the others are sent."""
    store, sink = make(), FailingSink([error])
    await store.bury([letter(1, attempts=3), letter(2), letter(3)])
    clock.now += 60
    done = await replay(store, sink, concurrency=1).run(ALL)
    assert (done.delivered.letters, done.failed.letters) == (2, 1)
    assert list(done.errors.values()) == [1]
    (left,) = await every(store)
    assert (left.id, left.attempts, left.reason, left.code) == (1, 4, reason, error.code.name)
    assert (left.message, left.replayed_at) == (str(error), NOW + 60)
    clock.now += 1
    assert (await replay(store, sink).run(ALL)).delivered.letters == 1
    assert await every(store) == []


async def test_damaged_letter(make: Make, tmp_path: Path) -> None:
    """A letter whose request is damaged is never sent; it stays and says so, and the others are sent."""
    store, sink = make(), Sink()
    await store.bury([letter(1), letter(2), letter(3)])
    with sqlite3.connect(tmp_path / "dead_letters.db") as connection:
        connection.execute("UPDATE letters SET crc = crc + 1 WHERE id = 2")
    connection.close()
    done = await replay(store, sink).run(ALL)
    assert (done.delivered.letters, done.failed.letters, len(sink.batches)) == (2, 1, 2)
    (left,) = await every(store)
    assert (left.id, left.reason, left.code) == (2, "damaged", "DATA_LOSS")


async def test_exporter_with_a_bug(make: Make) -> None:
    """A letter that makes an exporter crash stays, and the others are sent."""

    class Buggy(Sink):
        async def consume(self, batch: Batch) -> None:
            if batch.context.tenant == "bad":
                raise ZeroDivisionError("oops")
            await super().consume(batch)

    store, sink = make(), Buggy()
    await store.bury([letter(1), letter(2, tenant="bad"), letter(3)])
    done = await replay(store, sink).run(ALL)
    assert (done.delivered.letters, done.failed.letters) == (2, 1)
    assert "ZeroDivisionError: oops" in (await every(store))[0].message


async def test_new_letters_wait_for_the_next_replay(make: Make) -> None:
    """What is buried meanwhile, by this very replay perhaps, is not part of it."""
    store = make()

    class Digging(Sink):
        async def consume(self, batch: Batch) -> None:
            await store.bury([letter(100)])
            await super().consume(batch)

    sink = Digging()
    await store.bury([letter(n) for n in range(5)])
    await replay(store, sink).run(ALL)
    assert len(sink.batches) == 5
    assert [one.key for one in await every(store)] == ["key-100"] * 5


async def test_two_replays_at_once(make: Make) -> None:
    """Two replays of the same letters share them: none is sent twice, and both end when all were sent."""
    stores, sink = [make(), make()], Sink()
    await stores[0].bury([letter(n) for n in range(40)])
    done = await asyncio.gather(*(replay(one, sink).run(ALL) for one in stores))
    assert sorted(seeds(sink)) == sorted(letter(n).payload for n in range(40))
    assert sum(one.delivered.letters for one in done) == 40
    assert await every(stores[0]) == []


async def test_replay_that_died_is_continued(make: Make, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a replay had claimed when it was killed is sent by the next one, as soon as the claim has ended."""
    monkeypatch.setattr(replayer, "WAIT_SECONDS", 0.01)
    store, sink = make(), Sink()
    await store.bury([letter(n) for n in range(6)])
    dead = await store.begin(ALL)
    assert len(await store.claim(dead, limit=2)) == 2
    second = replay(store, sink)
    task = asyncio.create_task(second.run(ALL))
    async with asyncio.timeout(20):
        while second.progress.waiting != 2:
            await asyncio.sleep(0.01)
    assert len(sink.batches) == 4
    clock.now += 16
    assert (await task).delivered.letters == 6
    assert sorted(seeds(sink)) == sorted(letter(n).payload for n in range(6))


async def test_cancelled_replay_leaves_what_was_under_way(make: Make) -> None:
    """A replay that is cancelled keeps what was not accepted, and releases it at once."""
    store, sink = make(), BlockingSink()
    await store.bury([letter(n) for n in range(10)])
    task = asyncio.create_task(replay(store, sink, concurrency=3).run(ALL))
    async with asyncio.timeout(20):
        while sink.waiting < 3:
            await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert len(await every(store)) == 10
    after = Sink()
    assert (await replay(store, after).run(ALL)).delivered.letters == 10


async def test_stop_finishes_what_is_under_way(make: Make) -> None:
    """A replay that is told to stop begins with nothing new, and counts what was under way."""
    store, sink = make(), BlockingSink()
    await store.bury([letter(n) for n in range(10)])
    run = replay(store, sink, concurrency=3)
    task = asyncio.create_task(run.run(ALL))
    async with asyncio.timeout(20):
        while sink.waiting < 3:
            await asyncio.sleep(0.01)
    run.stop()
    sink.release.set()
    assert (await task).delivered.letters == 3
    assert len(await every(store)) == 7
    assert await store.claimed_by_others(await store.begin(ALL)) == 0


async def test_destination_that_takes_nothing_is_left_alone(make: Make) -> None:
    """After some letters in a row that might succeed later, the replay ends instead of trying all of them."""
    store, sink = make(), FailingSink(RetryableError("connection refused"))
    await store.bury([letter(n) for n in range(50)])
    done = await replay(store, sink, concurrency=2).run(ALL)
    assert done.unavailable
    assert replayer.FAILURES_IN_A_ROW <= done.failed.letters <= replayer.FAILURES_IN_A_ROW + 2
    assert len(await every(store)) == 50


async def test_limit(make: Make) -> None:
    """A limit takes the oldest."""
    store, sink = make(), Sink()
    await store.bury([letter(n) for n in range(10)])
    assert (await replay(store, sink, limit=3).run(ALL)).delivered.letters == 3
    assert [one.id for one in await every(store)] == [4, 5, 6, 7, 8, 9, 10]


async def test_rate(make: Make) -> None:
    """A rate bounds items per second, however many letters are under way."""
    store, sink = make(), Sink()
    await store.bury([letter(n) for n in range(5)])
    loop = asyncio.get_running_loop()
    begin = loop.time()
    await replay(store, sink, rate=200.0).run(ALL)
    assert loop.time() - begin >= 0.19  # the last of five letters of ten items begins after forty


async def test_letter_that_vanishes(make: Make) -> None:
    """A letter that somebody purges while it waits its turn is neither sent nor counted as failed."""
    store = make()

    class Purging(Sink):
        async def consume(self, batch: Batch) -> None:
            await super().consume(batch)
            await store.remove([2, 3])

    sink = Purging()
    await store.bury([letter(n) for n in range(4)])
    done = await replay(store, sink, concurrency=1).run(ALL)
    assert len(sink.batches) == 2
    assert (done.delivered.letters, done.failed.letters, done.gone) == (2, 0, 2)


async def test_each_letter_has_its_target(make: Make) -> None:
    """The consumer is chosen letter by letter."""
    store = make()
    sinks = {"a": Sink(), "b": Sink()}

    def target(one: FiledLetter) -> Sink:
        return sinks[one.exporter]

    await store.bury([letter(n, exporter="ab"[n % 2]) for n in range(6)])
    await Replayer(store, target).run(ALL)
    assert [len(sink.batches) for sink in sinks.values()] == [3, 3]
