"""Starting and stopping: in order, rolled back, bounded, and safe twice."""

from __future__ import annotations

import asyncio
import logging

import pytest

from tests.support.components import World, make_spec
from untrace_pipeline.api import Status
from untrace_pipeline.config.model import ServiceSpec
from untrace_pipeline.engine.bookkeeping import Bookkeeping
from untrace_pipeline.engine.build import Builder
from untrace_pipeline.engine.graph import predecessors
from untrace_pipeline.engine.lifecycle import Deadline, start_all, stop_all
from untrace_pipeline.engine.unit import Graph
from untrace_pipeline.engine.wiring import Wiring
from untrace_pipeline.errors import StartError
from untrace_pipeline.telemetry.metrics import Metrics
from untrace_pipeline.testing import make_batch, run_with_fake_clock

CHAIN = {"traces": (["fake/in"], ["fake/p"], ["fake/out"])}


def build(spec: ServiceSpec) -> Graph:
    graph = Builder(Metrics(), dict).build(spec)
    Wiring(graph, Bookkeeping(Metrics())).apply(graph.units.values())
    return graph


async def stop(graph: Graph, seconds: float = 10.0) -> None:
    deadline = Deadline(seconds)
    await stop_all(list(graph.units.values()), predecessors(graph.spec.pipelines.values()), deadline)
    deadline.close()


async def test_order(world: World) -> None:
    """Extensions first and receivers last; stopping goes the other way."""
    graph = build(make_spec(CHAIN, extensions=["fake/e1", "fake/e2"]))
    await start_all(graph.units.values())
    await stop(graph)
    started = ["extension fake/e1", "extension fake/e2", "exporter fake/out", "processor fake/p", "receiver fake/in"]
    assert world.events[:5] == [f"start {name}" for name in started]
    assert world.events[5:8] == [f"stop {name}" for name in reversed(started[2:])]
    assert sorted(world.events[8:]) == [f"stop {name}" for name in started[:2]]


async def test_a_transform_starts_if_it_has_to(world: World) -> None:
    """One that reads something first is started before data comes, stopped after it, and may refuse to start."""
    chain = {"traces": (["fake/in"], ["odd", "prepared"], ["fake/out"])}
    graph = build(make_spec(chain))
    await start_all(graph.units.values())
    await world.get("receiver fake/in").next.consume(make_batch(items=4))
    await stop(graph)
    names = ["exporter fake/out", "processor prepared", "receiver fake/in"]
    assert world.events == [*(f"start {name}" for name in names), *(f"stop {name}" for name in reversed(names))]
    assert world.get("exporter fake/out").item_count == 2
    with pytest.raises(StartError, match=r"^processor prepared\b"):
        await start_all(build(make_spec(chain, {"processor prepared": {"fail_start": True}})).units.values())


async def test_a_failed_start_stops_what_had_started_and_names_the_component(world: World) -> None:
    """Nothing keeps running, and the message says who failed."""
    graph = build(make_spec(CHAIN, {"receiver fake/in": {"fail_start": True, "port": "4317"}}, extensions=["fake/e"]))
    with pytest.raises(StartError, match=r"^receiver fake/in: cannot listen on 4317$"):
        await start_all(graph.units.values())
    assert not any(component.running for made in world.made.values() for component in made)
    assert {unit.status.last.status for unit in graph.units.values()} == {Status.STOPPED}


async def test_an_unexpected_exception_at_start_is_a_start_error(world: World) -> None:
    """A bug in a component's start does not come out as a traceback of the engine."""

    async def start(host: object) -> None:
        msg = "oops"
        raise RuntimeError(msg)

    graph = build(make_spec(CHAIN))
    world.get("exporter fake/out").start = start
    with pytest.raises(StartError, match="exporter fake/out did not start: RuntimeError: oops"):
        await start_all(graph.units.values())


async def test_stopping_twice_is_harmless(world: World) -> None:
    """The second time nothing happens."""
    graph = build(make_spec(CHAIN))
    await start_all(graph.units.values())
    await stop(graph)
    before = list(world.events)
    await stop(graph)
    assert world.events == before


def test_a_hanging_exporter_is_cut_off_at_the_deadline(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """Shutdown takes no longer than allowed, the others have drained long before, and the log names who had not."""
    caplog.set_level(logging.INFO)

    async def main() -> tuple[float, float]:
        spec = make_spec(
            {"traces": (["fake/in"], [], ["fake/out", "fake/hangs"])}, {"exporter fake/hangs": {"hang": True}}
        )
        graph = build(spec)
        await start_all(graph.units.values())
        loop = asyncio.get_running_loop()
        begun = loop.time()
        stopping = asyncio.create_task(stop(graph, 10))
        await asyncio.sleep(0.5)
        assert "stop exporter fake/out" in world.events
        await stopping
        return begun, loop.time()

    begun, ended = run_with_fake_clock(main())
    assert ended - begun == pytest.approx(9.5, abs=0.1)
    [record] = [record for record in caplog.records if "time for stopping was over" in record.getMessage()]
    assert record.name.endswith("exporter.fake/hangs")


def test_a_hanging_receiver_leaves_time_for_the_exporters(world: World) -> None:
    """What stands before the exporters is cut off early enough for them to drain."""

    async def main() -> float:
        graph = build(make_spec(CHAIN, {"receiver fake/in": {"hang": True}}))
        await start_all(graph.units.values())
        loop = asyncio.get_running_loop()
        begun = loop.time()
        await stop(graph, 10)
        return loop.time() - begun

    assert run_with_fake_clock(main()) == pytest.approx(6, abs=0.1)
    assert world.events[-1] == "stop exporter fake/out"


def test_extensions_have_time_left_after_everybody_else_used_theirs(world: World) -> None:
    """A storage is closed properly even when exporters hang to the end, within the time allowed in all."""

    async def main() -> float:
        options = {"exporter fake/out": {"hang": True}, "extension fake/e": {"slow": True}}
        graph = build(make_spec(CHAIN, options, extensions=["fake/e"]))
        await start_all(graph.units.values())
        loop = asyncio.get_running_loop()
        begun = loop.time()
        await stop(graph, 10)
        return loop.time() - begun

    assert run_with_fake_clock(main()) <= 10.1
    assert world.events[-1] == "stop extension fake/e"


async def test_expiring_the_deadline_stops_at_once(world: World) -> None:
    """A second signal does not wait."""
    graph = build(make_spec(CHAIN, {"exporter fake/out": {"hang": True}}))
    await start_all(graph.units.values())
    deadline = Deadline(3600)
    deadline.expire()
    before = asyncio.get_running_loop().time()
    await stop_all(list(graph.units.values()), {}, deadline)
    assert asyncio.get_running_loop().time() - before < 3600 / 2
    deadline.close()


async def test_a_component_that_fails_to_stop_does_not_keep_the_others_up(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    """Errors are logged by name, and stopping goes on."""

    async def shutdown() -> None:
        msg = "disk full"
        raise OSError(msg)

    graph = build(make_spec(CHAIN))
    await start_all(graph.units.values())
    world.get("processor fake/p").shutdown = shutdown
    await stop(graph)
    assert "stop exporter fake/out" in world.events
    assert [record.getMessage() for record in caplog.records] == ["failed to stop: OSError: disk full"]


async def test_a_failed_task_makes_the_component_fatal(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """A dead background task is visible in the status and in the log; what is left of tasks goes with the component."""
    graph = build(make_spec(CHAIN))
    await start_all(graph.units.values())
    host = world.get("receiver fake/in").host

    async def fail() -> None:
        msg = "boom"
        raise RuntimeError(msg)

    await asyncio.wait([host.spawn(fail(), name="poll")])
    await asyncio.sleep(0)
    [unit] = [unit for unit in graph.units.values() if unit.id.component.kind.singular == "receiver"]
    assert unit.status.last[:2] == (Status.FATAL_ERROR, "task poll failed: RuntimeError")
    assert "task poll failed" in caplog.text
    left = host.spawn(asyncio.sleep(3600), name="left")
    await stop(graph)
    await asyncio.wait([left])
    assert left.cancelled()


async def test_an_unknown_extension_is_a_start_error_that_lists_those_there_are(world: World) -> None:
    """A typo in an extension's name is found by reading the message."""
    graph = build(make_spec(CHAIN, {"exporter fake/out": {"uses": ("auth",)}}, extensions=["fake/e"]))
    text = "^exporter fake/out: extension auth is not in service.extensions; there: fake/e$"
    with pytest.raises(StartError, match=text):
        await start_all(graph.units.values())
