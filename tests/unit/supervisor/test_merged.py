"""The states of several workers as those of one service."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from tests.support.components import until
from tests.support.workers import Workshop
from untrace_pipeline.api import Status, StatusEvent
from untrace_pipeline.supervisor.fleet import Fleet
from untrace_pipeline.supervisor.merged import merged_statuses
from untrace_pipeline.supervisor.messages import Orders
from untrace_pipeline.telemetry.metrics import Metrics

Play = Callable[[Callable[[Workshop], Awaitable[None]]], None]
EXPORTER = "exporter:otlp"


async def started(workshop: Workshop, count: int) -> Fleet:
    fleet = Fleet(workshop.launch, Metrics().meter())
    await fleet.start(Orders(count, ("c.yaml",)))
    return fleet


async def report(workshop: Workshop, fleet: Fleet, number: int, status: Status) -> None:
    """Let one worker report another state, and wait until the supervisor knows."""
    workshop.made[number].status = status
    workshop.made[number].tell_states()
    await until(lambda: fleet.slots[number].statuses["traces"][EXPORTER].status is status)


def test_the_worst_worker_speaks_for_a_component(play: Play) -> None:
    """A component is as bad as in the worst worker, which is named."""

    async def scene(workshop: Workshop) -> None:
        fleet = await started(workshop, 3)
        groups = merged_statuses(["traces"], fleet.slots)
        assert groups["traces"] == {EXPORTER: StatusEvent(Status.OK, "", 1.0)}
        await report(workshop, fleet, 1, Status.RECOVERABLE_ERROR)
        await report(workshop, fleet, 2, Status.PERMANENT_ERROR)
        groups = merged_statuses(["traces"], fleet.slots)
        assert groups["traces"] == {EXPORTER: StatusEvent(Status.PERMANENT_ERROR, "worker 2: trouble", 1.0)}
        assert {name: event.status for name, event in groups["workers"].items()} == dict.fromkeys(
            ("worker:0", "worker:1", "worker:2"), Status.OK
        )
        await fleet.stop("test")

    play(scene)


def test_a_dead_worker_is_named_and_its_last_words_do_not_count(play: Play) -> None:
    """While others work, their states are those of the service; the dead one stands among the workers."""

    async def scene(workshop: Workshop) -> None:
        fleet = await started(workshop, 2)
        await report(workshop, fleet, 1, Status.FATAL_ERROR)
        workshop.made[1].kill()
        await until(lambda: fleet.slots[1].event.status is Status.STARTING)
        groups = merged_statuses(["traces"], fleet.slots)
        assert groups["traces"] == {EXPORTER: StatusEvent(Status.OK, "", 1.0)}
        assert groups["workers"]["worker:1"].message == "was killed by SIGKILL; is started again in 1 s"
        await fleet.stop("test")

    play(scene)


def test_without_any_worker_pipelines_are_what_workers_are(play: Play) -> None:
    """Nobody has a pipeline: it is as ready as the workers, which are not."""

    async def scene(workshop: Workshop) -> None:
        fleet = await started(workshop, 2)
        for worker in workshop.made:
            worker.kill()
        await until(lambda: all(slot.event.status is Status.STARTING for slot in fleet.slots))
        groups = merged_statuses(["traces", "logs"], fleet.slots)
        assert set(groups["traces"]) == set(groups["logs"]) == {"worker:0", "worker:1"}
        assert {event.status for event in groups["traces"].values()} == {Status.STARTING}
        await fleet.stop("test")

    play(scene)
