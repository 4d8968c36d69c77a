"""The workers together: start, death, rolling change, stop, sums."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from tests.support.components import until
from tests.support.workers import FakeWorker, Workshop
from untrace_pipeline.api import Status
from untrace_pipeline.engine.account import Left
from untrace_pipeline.errors import WorkerError
from untrace_pipeline.supervisor.fleet import Fleet
from untrace_pipeline.supervisor.messages import Orders
from untrace_pipeline.telemetry.metrics import Metrics

Play = Callable[[Callable[[Workshop], Awaitable[None]]], None]
FIRST, SECOND = (Orders(2, ("c.yaml",), contents={Path("c.yaml"): text}) for text in (b"first", b"second"))


def orders(count: int, text: bytes = b"first") -> Orders:
    return Orders(count, ("c.yaml",), contents={Path("c.yaml"): text})


def running_config(workshop: Workshop) -> list[bytes]:
    """Return the configuration of each running worker, by place."""
    running = sorted((one for one in workshop.made if one.running), key=lambda one: one.index)
    return [one.orders.contents[Path("c.yaml")] for one in running]


async def started(workshop: Workshop, first: Orders = FIRST) -> tuple[Fleet, Metrics]:
    metrics = Metrics()
    fleet = Fleet(workshop.launch, metrics.meter())
    await fleet.start(first)
    return fleet, metrics


def test_all_are_started_with_the_same_orders(play: Play) -> None:
    """Each place gets a process; the gauges say how many are wanted and ready."""

    async def scene(workshop: Workshop) -> None:
        fleet, metrics = await started(workshop, orders(3))
        assert workshop.running() == [(0, 0), (1, 1), (2, 2)]
        assert metrics.value("workers", state="wanted") == metrics.value("workers", state="ready") == 3
        assert await fleet.stop("SIGTERM") == Left()
        assert workshop.running() == []
        assert [one.stops for one in workshop.made] == [[("SIGTERM", True)]] * 3

    play(scene)


@pytest.mark.parametrize(("code", "exit_code"), [(2, 2), (1, 1), (7, 1), (-9, 1)])
def test_a_start_that_nobody_survives(play: Play, code: int, exit_code: int) -> None:
    """The first that ends before any was ready ends them all, with its code if it is one of ours."""

    async def begin(worker: FakeWorker) -> None:
        if worker.index == 1:
            worker.end(code)
        await asyncio.Event().wait()

    async def scene(workshop: Workshop) -> None:
        workshop.begin = begin
        with pytest.raises(WorkerError, match=r"^worker 1 .* before any was ready") as caught:
            await started(workshop)
        assert caught.value.exit_code == exit_code
        assert workshop.running() == []
        assert len(workshop.made) == 2

    play(scene)


def test_a_start_that_is_interrupted(play: Play) -> None:
    """Workers that are ready already are stopped, and are not told that something had failed."""

    async def begin(worker: FakeWorker) -> None:
        if worker.index == 1:
            await asyncio.Event().wait()

    async def scene(workshop: Workshop) -> None:
        workshop.begin = begin
        metrics = Metrics()
        starting = asyncio.create_task(Fleet(workshop.launch, metrics.meter()).start(FIRST))
        await until(lambda: metrics.value("workers", state="ready") == 1)
        starting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await starting
        assert workshop.running() == []
        assert workshop.made[0].stops == [("told to stop while starting", True)]

    play(scene)


def test_a_start_that_one_survives(play: Play, caplog: pytest.LogCaptureFixture) -> None:
    """Once one is ready, whoever fails is started again, and the service begins."""

    async def begin(worker: FakeWorker) -> None:
        if worker.number == 1:
            await asyncio.sleep(0.5)
            worker.end(1)
            await asyncio.Event().wait()

    async def scene(workshop: Workshop) -> None:
        workshop.begin = begin
        fleet, metrics = await started(workshop)
        assert metrics.value("workers", state="ready") == 1
        assert "worker 1 ended with code 1; it is started again" in caplog.text
        await until_clock(lambda: metrics.value("workers", state="ready") == 2)
        assert metrics.value("worker_restarts", worker="1") == 1
        await fleet.stop("test")

    play(scene)


async def until_clock(condition: Callable[[], object]) -> None:
    """Let time pass until a condition holds."""
    async with asyncio.timeout(100):
        while not condition():
            await asyncio.sleep(0.05)


def test_a_dead_worker_comes_back(play: Play, caplog: pytest.LogCaptureFixture) -> None:
    """The end is told with its cause, the place is not ready meanwhile, and waits grow while it keeps dying."""

    async def scene(workshop: Workshop) -> None:
        fleet, metrics = await started(workshop)
        loop, times = asyncio.get_running_loop(), []
        for death in range(3):
            [victim] = [one for one in workshop.made if one.running and one.index == 1]
            victim.kill()
            begin = loop.time()
            await until(lambda: fleet.slots[1].event.status is Status.STARTING)
            assert fleet.slots[1].event.message == f"was killed by SIGKILL; is started again in {2**death} s"
            assert not fleet.slots[1].up
            assert fleet.slots[0].up
            await until_clock(lambda: fleet.slots[1].up)
            times.append(round(loop.time() - begin))
        assert times == [1, 2, 4]
        assert metrics.value("worker_restarts", worker="1") == 3
        assert caplog.text.count("worker 1 was killed by SIGKILL") == 3
        await fleet.stop("test")

    with caplog.at_level(logging.ERROR):
        play(scene)


def test_a_place_where_no_process_starts_is_tried_again(play: Play) -> None:
    """The system has no more processes for a while: the place waits as after a death."""

    async def scene(workshop: Workshop) -> None:
        fleet, _ = await started(workshop)
        workshop.cannot_start = True
        workshop.made[0].kill()
        await asyncio.sleep(2)
        assert "no more processes" in fleet.slots[0].event.message
        workshop.cannot_start = False
        await until_clock(lambda: fleet.slots[0].up)
        await fleet.stop("test")

    play(scene)


def test_what_a_dead_worker_counted_stays_in_the_sums(play: Play) -> None:
    """Sums never go down: neither when a worker is killed nor when its successor begins at zero."""

    async def scene(workshop: Workshop) -> None:
        fleet, _ = await started(workshop)
        collector = asyncio.create_task(fleet.keep_collecting())

        async def total() -> float:
            snapshot = {spec.name: samples for spec, samples in await fleet.collect([])}
            return snapshot["exporter_sent_spans"][0].value

        workshop.made[0].sent, workshop.made[1].sent = 100, 20
        assert await total() == 120
        workshop.made[1].sent = 25
        await asyncio.sleep(5)
        workshop.made[1].kill()
        await until(lambda: not fleet.slots[1].up)
        assert await total() == 125
        await until_clock(lambda: fleet.slots[1].up)
        workshop.made[2].sent = 3
        assert await total() == 128
        await fleet.stop("test")
        assert await total() == 128
        collector.cancel()

    play(scene)


def test_who_goes_on_with_what_others_had_is_told_so(play: Play) -> None:
    """What is found on a disk was counted by processes of this service: all but those that it began with."""

    async def begin(worker: FakeWorker) -> None:
        if worker.number == 1:
            worker.end(1)
            await asyncio.Event().wait()

    async def scene(workshop: Workshop) -> None:
        workshop.begin = begin
        fleet, _ = await started(workshop)
        await until_clock(lambda: fleet.slots[1].up)
        assert [one.successor for one in workshop.made] == [False, False, False]  # the second one counted nothing
        workshop.made[2].kill()
        await until_clock(lambda: fleet.slots[1].process is not None and len(workshop.made) == 4)
        await fleet.change(orders(3))
        assert [one.successor for one in workshop.made[3:]] == [True] * 4
        await fleet.stop("test")

    play(scene)


def test_a_worker_that_does_not_answer_does_not_hold_up_a_scrape(play: Play) -> None:
    """After two seconds the page shows what it said last."""

    async def scene(workshop: Workshop) -> None:
        fleet, _ = await started(workshop)
        workshop.made[0].sent = workshop.made[1].sent = 10
        first = await fleet.collect([])
        workshop.made[1].deaf = True
        workshop.made[1].sent = 1000
        begin = asyncio.get_running_loop().time()
        assert await fleet.collect([]) == first
        assert asyncio.get_running_loop().time() - begin == pytest.approx(2)
        workshop.made[1].kill()
        await fleet.stop("test")

    play(scene)


def test_a_worker_that_does_not_answer_is_not_well(play: Play) -> None:
    """After ten seconds of silence its place is in error, until it answers again."""

    async def scene(workshop: Workshop) -> None:
        fleet, _ = await started(workshop)
        collector = asyncio.create_task(fleet.keep_collecting())
        workshop.made[1].deaf = True
        await asyncio.sleep(15)
        assert fleet.slots[0].event.status is Status.OK
        assert fleet.slots[1].event.status is Status.RECOVERABLE_ERROR
        assert fleet.slots[1].event.message.startswith("has not answered for 1")
        workshop.made[1].deaf = False
        await asyncio.sleep(3)
        assert fleet.slots[1].event.status is Status.OK
        collector.cancel()
        await fleet.stop("test")

    play(scene)


def test_a_worker_that_hangs_while_it_starts_fails_the_change(play: Play) -> None:
    """A reload does not wait for ever for a worker that is being started again."""

    async def begin(worker: FakeWorker) -> None:
        if worker.number >= 2:
            await asyncio.Event().wait()

    async def scene(workshop: Workshop) -> None:
        workshop.begin = begin
        fleet, _ = await started(workshop)
        workshop.made[0].kill()
        await until_clock(lambda: len(workshop.made) == 3)
        with pytest.raises(WorkerError, match="worker 0 has not become ready within 120 s"):
            await fleet.change(SECOND)
        workshop.made[2].kill()
        await fleet.stop("test")

    play(scene)


def test_a_change_goes_from_one_to_the_next(play: Play) -> None:
    """All of them end up with the new orders, in the same processes."""

    async def scene(workshop: Workshop) -> None:
        fleet, _ = await started(workshop)
        await fleet.change(SECOND)
        assert running_config(workshop) == [b"second", b"second"]
        assert workshop.running() == [(0, 0), (1, 1)]
        await fleet.stop("test")

    play(scene)


@pytest.mark.parametrize("refusing", [0, 1])
def test_a_change_that_one_refuses_changes_nothing(play: Play, refusing: int) -> None:
    """If the first refuses, the rest never hear of it; if a later one does, those before go back."""

    async def scene(workshop: Workshop) -> None:
        fleet, _ = await started(workshop)
        workshop.made[refusing].refuses = "receiver otlp: cannot listen"
        with pytest.raises(WorkerError, match=rf"^worker {refusing}: receiver otlp: cannot listen$"):
            await fleet.change(SECOND)
        assert running_config(workshop) == [b"first", b"first"]
        assert all(slot.orders is FIRST for slot in fleet.slots)
        await fleet.stop("test")

    play(scene)


def test_a_worker_that_dies_during_the_change_fails_it(play: Play) -> None:
    """The others go back, and so does the one that is started again."""

    async def scene(workshop: Workshop) -> None:
        fleet, _ = await started(workshop)
        workshop.made[1].deaf = True
        change = asyncio.create_task(fleet.change(SECOND))
        await until(lambda: fleet.slots[1].orders is SECOND)
        workshop.made[1].kill()
        with pytest.raises(WorkerError, match="worker 1 was killed by SIGKILL during the reload"):
            await change
        await until_clock(lambda: fleet.slots[1].up)
        assert running_config(workshop) == [b"first", b"first"]
        await fleet.stop("test")

    play(scene)


def test_a_worker_that_hangs_during_the_change_fails_it(play: Play) -> None:
    """The others are not kept waiting for ever."""

    async def scene(workshop: Workshop) -> None:
        fleet, _ = await started(workshop)
        workshop.made[0].deaf = True
        with pytest.raises(WorkerError, match="worker 0 has not finished the reload within 120 s"):
            await fleet.change(SECOND)
        for worker in workshop.made:
            worker.kill()

    play(scene)


def test_a_dead_worker_comes_back_with_the_newest_orders(play: Play) -> None:
    """A worker that waits to be started again does not hold up the change, takes it, and is tried at once."""

    async def scene(workshop: Workshop) -> None:
        fleet, _ = await started(workshop)
        workshop.made[0].kill()
        await until(lambda: fleet.slots[0].event.status is Status.STARTING)
        begin = asyncio.get_running_loop().time()
        await fleet.change(SECOND)
        await until(lambda: fleet.slots[0].up)
        assert asyncio.get_running_loop().time() == begin
        assert running_config(workshop) == [b"second", b"second"]
        await fleet.stop("test")

    play(scene)


def test_more_workers(play: Play) -> None:
    """Those that run are exchanged one after the other, because each must know how many there are; then more start."""

    async def scene(workshop: Workshop) -> None:
        fleet, metrics = await started(workshop)
        await fleet.change(orders(4))
        assert workshop.running() == [(0, 2), (1, 3), (2, 4), (3, 5)]
        assert [one.orders.count for one in workshop.made[2:]] == [4] * 4
        assert [one.stops for one in workshop.made[:2]] == [[("the number of workers changes", False)]] * 2
        assert metrics.value("worker_restarts", worker="0") == 0
        await fleet.stop("test")

    play(scene)


def test_fewer_workers(play: Play) -> None:
    """Those that are too many drain and end before the others start anew and look for what they left."""

    async def scene(workshop: Workshop) -> None:
        fleet, metrics = await started(workshop, orders(3))
        await fleet.change(orders(1))
        assert workshop.running() == [(0, 3)]
        assert metrics.value("workers", state="wanted") == 1
        assert workshop.made[2].stops == [("fewer workers are wanted", False)]
        await fleet.stop("test")

    play(scene)


def test_a_new_number_that_does_not_work_is_undone(play: Play) -> None:
    """A worker that does not start with the new number brings the old number back."""

    async def begin(worker: FakeWorker) -> None:
        if worker.index == 2:
            worker.end(1)
            await asyncio.Event().wait()

    async def scene(workshop: Workshop) -> None:
        workshop.begin = begin
        fleet, metrics = await started(workshop)
        with pytest.raises(WorkerError, match="worker 2 ended with code 1 instead of becoming ready"):
            await fleet.change(orders(3))
        assert [(slot.up, slot.orders) for slot in fleet.slots] == [(True, FIRST), (True, FIRST)]
        assert metrics.value("workers", state="wanted") == 2
        await fleet.stop("test")

    play(scene)


def test_an_exchange_that_does_not_work_is_undone(play: Play) -> None:
    """The first that does not come back with the new number is the last; it comes back with the old one."""

    async def begin(worker: FakeWorker) -> None:
        if worker.orders.count == 3:
            worker.end(1)
            await asyncio.Event().wait()

    async def scene(workshop: Workshop) -> None:
        workshop.begin = begin
        fleet, _ = await started(workshop)
        with pytest.raises(WorkerError, match="worker 0 ended with code 1 instead of becoming ready"):
            await fleet.change(orders(3))
        assert fleet.slots[1].up
        await until_clock(lambda: fleet.slots[0].up)
        assert [slot.orders for slot in fleet.slots] == [FIRST, FIRST]
        await fleet.stop("test")

    play(scene)


def test_workers_are_introduced_to_each_other_once(play: Play) -> None:
    """Each two have one connection, and one that is started again gets new ones."""

    async def scene(workshop: Workshop) -> None:
        fleet, _ = await started(workshop, orders(3))
        assert [sorted(one.met()) for one in workshop.made] == [[1, 2], [0, 2], [0, 1]]
        workshop.made[1].kill()
        await until(lambda: not fleet.slots[1].up)
        await until_clock(lambda: fleet.slots[1].up)
        assert [sorted(one.met()) for one in workshop.made if one.running] == [[1], [1], [0, 2]]
        await fleet.stop("test")

    play(scene)


def test_what_was_left_is_summed_up(play: Play) -> None:
    """What each worker could not deliver, by component."""

    async def scene(workshop: Workshop) -> None:
        fleet, _ = await started(workshop)
        workshop.made[0].lost, workshop.made[1].lost = {"exporter a": 3}, {"exporter a": 4, "exporter b": 1}
        assert (await fleet.stop("test")).lost == {"exporter a": 7, "exporter b": 1}

    play(scene)


def test_a_worker_that_does_not_stop_is_killed(play: Play, caplog: pytest.LogCaptureFixture) -> None:
    """Five seconds after its time for draining; what it held is said to be lost."""

    async def scene(workshop: Workshop) -> None:
        fleet, _ = await started(workshop)
        workshop.made[1].deaf = True
        begin = asyncio.get_running_loop().time()
        await fleet.stop("test")
        assert asyncio.get_running_loop().time() - begin == pytest.approx(FIRST.shutdown_timeout + 5)
        assert "worker 1 ended out of order; what it held in memory is lost" in caplog.text

    play(scene)


def test_a_second_signal_hurries(play: Play) -> None:
    """Every worker hears it, and one that does not react is killed after five seconds."""

    async def scene(workshop: Workshop) -> None:
        fleet, _ = await started(workshop)
        workshop.made[0].deaf = workshop.made[1].deaf = True
        begin = asyncio.get_running_loop().time()
        stop = asyncio.create_task(fleet.stop("test"))
        await asyncio.sleep(1)
        fleet.hurry("SIGTERM")
        await stop
        assert asyncio.get_running_loop().time() - begin == pytest.approx(6)

    play(scene)


def test_a_stop_during_the_start(play: Play) -> None:
    """Cancelling the start ends all that has been started."""

    async def begin(_worker: FakeWorker) -> None:
        await asyncio.Event().wait()

    async def scene(workshop: Workshop) -> None:
        workshop.begin = begin
        fleet = Fleet(workshop.launch, Metrics().meter())
        start = asyncio.create_task(fleet.start(FIRST))
        await until(lambda: len(workshop.made) == 2)
        start.cancel()
        await asyncio.wait([start])
        assert start.cancelled()
        assert workshop.running() == []

    play(scene)
