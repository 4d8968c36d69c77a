"""What comes in parts waits for the rest: how long, in how much memory, and what becomes of it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import orjson
import pytest

from untrace_pipeline.api import Kind, PermanentError, RetryableError
from untrace_pipeline.data import EMPTY_CONTEXT, Context
from untrace_pipeline.data.compose import NewSpan, Scope, compose_spans
from untrace_pipeline.testing import (
    BlockingSink,
    FailingSink,
    RecordingMeter,
    Sink,
    StubHost,
    make_settings,
    run_with_fake_clock,
)
from untrace_plugins.receivers.langfuse.spans import Traces
from untrace_plugins.receivers.langsmith.spans import Runs
from untrace_plugins.runs import shelf
from untrace_plugins.runs.config import HoldConfig
from untrace_plugins.runs.held import OVERHEAD_BYTES, Assembly, Held, Part
from untrace_plugins.runs.shelf import Shelf
from untrace_plugins.runs.timetable import MOST_OLD_ENTRIES


class Pairs:
    """Things of a begin and an end; the end alone waits 10 s, the begin alone 100 s."""

    def due(self, held: Held) -> float:
        if self.is_whole(held) or held.earlier is not None:
            return held.last
        return held.first + (10 if held.parts[0].ends else 100)

    def is_whole(self, held: Held) -> bool:
        return {part.ends for part in held.parts} == {True, False}

    def compose(self, held: Sequence[Held]) -> bytes:
        spans = [NewSpan(b"\1" * 16, b"\1" * 8, one.key, 1, 2) for one in held]
        return compose_spans({}, Scope("test"), spans)

    def remembered(self, held: Held) -> Sequence[Part]:
        return held.parts[:1]


def begin(key: str, size: int = 0) -> Part:
    return Part(key, f"{key} begins", "begin", b"{}" + b" " * size)


def end(key: str) -> Part:
    return Part(key, f"{key} ends", "end", b"{}", ends=True)


class Bench:
    """A shelf between ``start`` and ``close``."""

    def __init__(self, sink: Any = None, assembly: Assembly | None = None, **options: Any) -> None:
        self.sink: Any = sink or Sink()
        self.meter = RecordingMeter()
        self.host = StubHost()
        settings = make_settings(Kind.RECEIVER, "test", meter=self.meter)
        self.shelf = Shelf(HoldConfig.model_validate(options), settings, self.sink, assembly or Pairs())

    async def __aenter__(self) -> Bench:
        self.shelf.start(self.host, "test")
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.shelf.close()
        assert all(task.done() for task in self.host.tasks)

    async def take(self, *parts: Part, context: Context = EMPTY_CONTEXT) -> None:
        await self.shelf.take(parts, context)

    def counts(self) -> dict[str, float]:
        outcomes = ("complete", "incomplete", "late", "duplicate", "dropped")
        found = {one: self.meter.value("receiver_parts", outcome=one) for one in outcomes}
        return {one: count for one, count in found.items() if count}


def test_each_goes_on_when_its_time_has_come() -> None:
    """What is whole goes on at once, the others when they have waited long enough, and no sooner."""

    async def run() -> None:
        loop = asyncio.get_running_loop()
        async with Bench() as bench:
            await bench.take(begin("a"), end("b"), begin("c"), end("c"))
            assert bench.sink.item_count == 1
            await bench.sink.wait_for_items(2, timeout=11)
            assert loop.time() == pytest.approx(10)
            await bench.sink.wait_for_items(3, timeout=101)
            assert loop.time() == pytest.approx(100)
            assert bench.counts() == {"complete": 2, "incomplete": 2}
            assert bench.meter.value("receiver_held_bytes") == 0

    run_with_fake_clock(run())


def test_what_has_gone_on_is_not_remembered_until_its_time() -> None:
    """A run that ends takes no memory, however long it might have waited; those that wait keep their time."""

    async def run() -> None:
        loop = asyncio.get_running_loop()
        async with Bench() as bench:
            await bench.take(begin("waits"))
            for number in range(3 * MOST_OLD_ENTRIES):
                await bench.take(begin(str(number)))
                await bench.take(end(str(number)))
            assert len(bench.shelf._timetable) <= MOST_OLD_ENTRIES + 5
            await bench.sink.wait_for_items(3 * MOST_OLD_ENTRIES + 1, timeout=101)
            assert loop.time() == pytest.approx(100)

    run_with_fake_clock(run())


def test_parts_that_cannot_be_judged_leave_nothing_behind() -> None:
    """Whatever fails while parts are taken, nothing has changed."""

    class Broken(Pairs):
        def due(self, held: Held) -> float:
            raise ZeroDivisionError

    async def run() -> None:
        async with Bench(assembly=Broken()) as bench:
            with pytest.raises(ZeroDivisionError):
                await bench.take(begin("a"))
            assert bench.meter.value("receiver_held_bytes") == bench.meter.value("receiver_held_runs") == 0

    run_with_fake_clock(run())


class Watched(Part):
    """A part that counts how often anybody looks at it or any other."""

    looks = 0

    def __getattribute__(self, name: str) -> Any:
        Watched.looks += 1
        return super().__getattribute__(name)


@pytest.mark.parametrize("assembly", [Runs(3600, 5), Traces(1, 5, 3600)])
def test_what_came_before_is_not_looked_at_again(assembly: Assembly, monkeypatch: pytest.MonkeyPatch) -> None:
    """A part costs the same whether ten or a thousand of the same thing wait already."""

    async def run() -> None:
        async with Bench(assembly=assembly) as bench:
            looks = []
            for number in range(1000):
                monkeypatch.setattr(Watched, "looks", 0)
                data = b'{"word": "span", "timestamp": null, "body": {}}'
                await bench.take(Watched("a/b", str(number), "patch", data, orjson.loads(data), str(number % 3)))
                looks.append(Watched.looks)
            assert bench.meter.value("receiver_held_parts") == 1000
            assert max(looks[10:]) <= max(looks[:10])
            assert all(part.value is None for part in bench.shelf._held["a/b"].parts)

    run_with_fake_clock(run())


def test_what_is_open_follows_what_is_added_and_taken_back() -> None:
    """Begin and end, in whatever order, and of what went on before; as if only what is left had come."""
    held = Held("a", EMPTY_CONTEXT, 0, 0, earlier=[Part("a", "0", "", b"", about="y", begins=True)])
    assert held.open == {"y"}
    held.add(Part("a", "1", "", b"", about="x", ends=True))
    held.add(Part("a", "2", "", b"", about="y", ends=True))
    assert held.open == {"x"}
    held.add(Part("a", "3", "", b"", about="x", begins=True))
    held.add(Part("a", "4", "", b"", about="z"))
    assert held.open == {"z"}
    held.cut(2)
    assert held.open == {"x"}
    held.cut(1)
    assert held.open == {"x", "y"}


def test_refusal_is_tried_again_with_growing_waits() -> None:
    """What nobody waits for is offered until it is accepted, as often as the pipelines say or less and less."""

    async def run() -> None:
        loop = asyncio.get_running_loop()
        refusals = [RetryableError("no", retry_after=7), *[RetryableError("no")] * 6]
        async with Bench(FailingSink(refusals)) as bench:
            await bench.take(end("b"))
            await bench.sink.wait_for_items(1, timeout=500)
            assert loop.time() == pytest.approx(10 + 7 + 2 + 4 + 8 + 16 + 30 + 30)
            assert bench.counts() == {"incomplete": 1}

    run_with_fake_clock(run())


def test_what_is_refused_for_good_does_not_take_others_along() -> None:
    """Together refused, they are offered one by one; only the wrong one is dropped, and counted."""

    class Picky(Sink):
        async def consume(self, batch: Any) -> None:
            if b"bad" in batch.to_otlp():
                raise PermanentError("bad")
            await super().consume(batch)

    async def run() -> None:
        async with Bench(Picky()) as bench:
            await bench.take(end("good"), end("bad"), end("fine"))
            await bench.sink.wait_for_items(2, timeout=11)
            assert bench.counts() == {"incomplete": 2, "dropped": 1}

    run_with_fake_clock(run())


def test_what_cannot_be_made_a_span_does_not_take_others_along() -> None:
    """A fault in one of them costs that one, counted, and neither the others nor those that come later."""

    class Faulty(Pairs):
        def compose(self, held: Sequence[Held]) -> bytes:
            if any(one.key == "bad" for one in held):
                raise ValueError
            return super().compose(held)

    async def run() -> None:
        async with Bench(assembly=Faulty()) as bench:
            await bench.take(end("good"), end("bad"), end("fine"))
            await bench.sink.wait_for_items(2, timeout=11)
            await bench.take(end("later"))
            await bench.sink.wait_for_items(3, timeout=11)
            assert bench.counts() == {"incomplete": 3, "dropped": 1}

    run_with_fake_clock(run())


def test_senders_do_not_share_a_batch() -> None:
    """What waited together goes on under the context of who sent it."""

    async def run() -> None:
        async with Bench() as bench:
            await bench.take(end("1/a"), context=Context(tenant="1"))
            await bench.take(end("2/a"), end("2/b"), context=Context(tenant="2"))
            await bench.sink.wait_for_items(3, timeout=11)
            assert [(one.context.tenant, one.item_count) for one in bench.sink.batches] == [("1", 1), ("2", 2)]

    run_with_fake_clock(run())


def test_same_thing_is_dealt_with_by_one_at_a_time() -> None:
    """A request that is sent again while the first is under way waits for it, and then changes nothing."""

    async def run() -> None:
        async with Bench(BlockingSink()) as bench:
            await bench.take(begin("a"))
            first = asyncio.create_task(bench.take(end("a")))
            await bench.sink.wait_for_calls(1)
            second = asyncio.create_task(bench.take(end("a")))
            await asyncio.sleep(1)
            assert not second.done()
            bench.sink.release.set()
            await asyncio.gather(first, second)
            assert bench.sink.item_count == 1
            assert bench.counts() == {"complete": 2, "duplicate": 1}

    run_with_fake_clock(run())


def test_cancelled_request_changes_nothing() -> None:
    """A request that is cut off while the pipelines have it may come again."""

    async def run() -> None:
        async with Bench(BlockingSink()) as bench:
            await bench.take(begin("a"))
            request = asyncio.create_task(bench.take(end("a")))
            await bench.sink.wait_for_calls(1)
            request.cancel()
            await asyncio.wait([request])
            assert bench.meter.value("receiver_held_parts") == 1
            bench.sink.release.set()
            await bench.take(end("a"))
            assert bench.counts() == {"complete": 2}

    run_with_fake_clock(run())


def test_oldest_make_room() -> None:
    """Beyond the limit the oldest go on as they are; what is accepted is never dropped for it."""

    async def run() -> None:
        async with Bench(memory_limit="64KiB") as bench:
            size = 20 * 1024
            for key in "abcde":
                await bench.take(begin(key, size))
            await bench.sink.wait_for_items(2, timeout=1)
            assert bench.meter.value("receiver_held_bytes") == 3 * (size + 2 + OVERHEAD_BYTES)
            names = [b"a" in one.to_otlp() for one in bench.sink.batches]
            assert any(names)
            bench.shelf.admit(10)

    run_with_fake_clock(run())


def test_full_shelf_admits_nothing() -> None:
    """While the pipelines take nothing, and the limit is reached, requests are refused before they are read."""

    async def run() -> None:
        async with Bench(FailingSink([RetryableError("no")] * 2), memory_limit="64KiB") as bench:
            await bench.take(begin("a", 70_000))
            await asyncio.sleep(0.5)
            with pytest.raises(RetryableError, match="not accepted fast enough"):
                bench.shelf.admit(10)
            await bench.sink.wait_for_items(1)
            bench.shelf.admit(10)

    run_with_fake_clock(run())


def test_close_that_is_cancelled_counts_what_is_lost() -> None:
    """The deadline of a shutdown drops what no pipeline took, counted, and says so."""

    async def run() -> None:
        bench = Bench(FailingSink())
        bench.shelf.start(bench.host, "test")
        await bench.take(begin("a"), end("b"))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(5):
                await bench.shelf.close()
        assert bench.counts() == {"dropped": 2}
        with pytest.raises(RetryableError, match="shutting down"):
            await bench.take(begin("c"))
        await bench.shelf.close()

    run_with_fake_clock(run())


def test_what_is_remembered_is_bounded() -> None:
    """Only the latest that went on are known; one that was forgotten begins anew."""

    async def run() -> None:
        async with Bench(remembered=2) as bench:
            for key in "abc":
                await bench.take(begin(key), end(key))
            await bench.take(end("c"), end("b"))
            assert bench.counts() == {"complete": 6, "duplicate": 2}
            await bench.take(end("a"))
            assert bench.meter.value("receiver_held_parts") == 1

    run_with_fake_clock(run())


def test_what_is_remembered_of_all_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Things of many parts are forgotten sooner."""
    monkeypatch.setattr(shelf, "MARKS_IN_ALL", 5)

    async def run() -> None:
        async with Bench() as bench:
            for key in "abc":
                await bench.take(begin(key), end(key))
            await bench.take(end("c"), end("b"))
            assert bench.counts() == {"complete": 6, "duplicate": 2}
            await bench.take(end("a"))
            assert bench.meter.value("receiver_held_parts") == 1

    run_with_fake_clock(run())
