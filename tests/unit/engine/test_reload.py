"""A reload keeps what it can, changes what it must, and undoes itself when something fails."""

from __future__ import annotations

import asyncio

import pytest

from tests.support.components import FACTORIES, FakeConfig, World, make_spec, until
from untrace_pipeline.api import ExporterFactory, Kind, Status
from untrace_pipeline.config.model import ServiceSpec
from untrace_pipeline.data import Signal
from untrace_pipeline.engine.bookkeeping import Bookkeeping
from untrace_pipeline.engine.build import Builder
from untrace_pipeline.engine.describe import statuses
from untrace_pipeline.engine.lifecycle import Deadline, start_all
from untrace_pipeline.engine.reload import Exchange
from untrace_pipeline.engine.unit import Graph
from untrace_pipeline.engine.wiring import Wiring
from untrace_pipeline.errors import StartError
from untrace_pipeline.telemetry.metrics import Metrics
from untrace_pipeline.testing import make_batch

METRICS = Metrics()
BUILDER = Builder(METRICS, dict)
BOOKS = Bookkeeping(METRICS)


async def run(spec: ServiceSpec) -> Graph:
    graph = BUILDER.build(spec)
    Wiring(graph, BOOKS).apply(graph.units.values())
    await start_all(graph.units.values())
    return graph


async def reload(graph: Graph, spec: ServiceSpec) -> Graph:
    exchange = Exchange(BUILDER, graph, spec, BOOKS)
    await exchange.switch()
    deadline = Deadline(5)
    await exchange.drain(deadline)
    deadline.close()
    return exchange.new


async def push(world: World, receiver: str = "receiver fake/in", items: int = 10) -> None:
    await world.get(receiver).next.consume(make_batch(items=items))


async def test_unchanged_components_keep_running(world: World) -> None:
    """Receivers keep their sockets and exporters their queues; only what changed is made anew."""
    pipelines = {"traces": (["fake/in"], ["fake/p", "odd"], ["fake/a", "fake/b"])}
    graph = await run(make_spec(pipelines, {"exporter fake/b": {"option": "1"}}))
    await push(world)
    await reload(graph, make_spec(pipelines, {"exporter fake/b": {"option": "2"}}))
    await push(world)
    assert {name: len(made) for name, made in world.made.items()} == {
        "receiver fake/in": 1,
        "processor fake/p": 1,
        "exporter fake/a": 1,
        "exporter fake/b": 2,
    }
    assert world.get("exporter fake/a").item_count == 10
    assert [one.item_count for one in world.made["exporter fake/b"]] == [5, 5]
    assert world.events[-2:] == ["start exporter fake/b", "stop exporter fake/b"]


async def test_a_changed_chain_takes_effect_for_kept_receivers(world: World) -> None:
    """Processors come and go between components that stay."""
    graph = await run(make_spec({"traces": (["fake/in"], [], ["fake/a"])}))
    await push(world, items=8)
    graph = await reload(graph, make_spec({"traces": (["fake/in"], ["odd", "fake/p"], ["fake/a"])}))
    await push(world, items=8)
    assert world.get("exporter fake/a").item_count == 8 + 4
    await reload(graph, make_spec({"traces": (["fake/in"], [], ["fake/a"])}))
    await push(world, items=8)
    assert world.get("exporter fake/a").item_count == 8 + 4 + 8
    assert len(world.made["exporter fake/a"]) == 1
    assert not world.get("processor fake/p").running


async def test_pipelines_come_and_go(world: World) -> None:
    """A new pipeline of a kept receiver gets data, a removed one gets none and its exporter stops."""
    one = {"traces": (["fake/in"], [], ["fake/a"])}
    two = {**one, "traces/2": (["fake/in"], [], ["fake/b"])}
    graph = await reload(await run(make_spec(one)), make_spec(two))
    await push(world)
    await reload(graph, make_spec(one))
    await push(world)
    assert (world.get("exporter fake/a").item_count, world.get("exporter fake/b").item_count) == (20, 10)
    assert not world.get("exporter fake/b").running
    assert len(world.made["receiver fake/in"]) == 1


async def test_batches_inside_an_old_processor_leave_by_the_old_way(world: World) -> None:
    """What a removed processor holds back reaches the exporter it led to, and its sender is acknowledged."""
    old = make_spec({"traces": (["fake/in"], ["fake/hold"], ["fake/a"])}, {"processor fake/hold": {"blocked": True}})
    graph = await run(old)
    held = asyncio.create_task(push(world, items=7))
    await until(lambda: world.get("processor fake/hold").waiting)
    reloading = asyncio.create_task(reload(graph, make_spec({"traces": (["fake/in"], [], ["fake/b"])})))
    await until(lambda: "start exporter fake/b" in world.events)
    await push(world, items=3)
    world.get("processor fake/hold").release.set()
    await reloading
    await held
    assert world.get("exporter fake/a").item_count == 7
    assert world.get("exporter fake/b").item_count == 3
    assert world.events.index("stop processor fake/hold") < world.events.index("stop exporter fake/a")


async def test_a_changed_receiver_gets_the_port_of_the_old_one(world: World) -> None:
    """The old one releases the port before the new one binds; a renamed receiver works the same."""
    pipelines = {"traces": (["fake/in"], [], ["fake/a"])}
    graph = await run(make_spec(pipelines, {"receiver fake/in": {"port": "4317"}}))
    graph = await reload(graph, make_spec(pipelines, {"receiver fake/in": {"port": "4317", "option": "x"}}))
    renamed = {"traces": (["fake/renamed"], [], ["fake/a"])}
    await reload(graph, make_spec(renamed, {"receiver fake/renamed": {"port": "4317"}}))
    await push(world, "receiver fake/renamed")
    assert world.get("exporter fake/a").item_count == 10
    assert world.ports == {"4317"}
    assert len(world.made["exporter fake/a"]) == 1


@pytest.mark.parametrize("culprit", ["exporter fake/new", "receiver fake/in", "extension fake/e2"])
async def test_a_failed_start_leaves_the_old_graph_running(culprit: str, world: World) -> None:
    """Whatever fails, the error names it, data flows as before, and nothing new keeps running."""
    before = make_spec(
        {"traces": (["fake/in"], [], ["fake/a"])}, {"receiver fake/in": {"port": "4317"}}, extensions=["fake/e1"]
    )
    after = make_spec(
        {"traces": (["fake/in"], [], ["fake/a", "fake/new"])},
        {"receiver fake/in": {"port": "4317", "option": "x"}, culprit: {"fail_start": True, "port": "4317"}},
        extensions=["fake/e1", "fake/e2"],
    )
    graph = await run(before)
    with pytest.raises(StartError, match=f"^{culprit}: "):
        await reload(graph, after)
    await push(world)
    assert world.get("exporter fake/a").item_count == 10
    assert world.ports == {"4317"}
    assert not any(one.running for one in world.made.get("exporter fake/new", []))
    assert {event.status for group in statuses(graph).values() for event in group.values()} == {Status.OK}


async def test_a_component_that_cannot_be_created_changes_nothing(world: World) -> None:
    """Errors of creation come before anything is started or stopped."""
    graph = await run(make_spec({"traces": (["fake/in"], [], ["fake/a"])}))
    events = list(world.events)
    broken = ExporterFactory(type_name="bad", config=FakeConfig, description="", create=lambda *_: 1 // 0)
    factories = {**FACTORIES, (Kind.EXPORTER, "bad"): broken}
    bad = make_spec({"traces": (["fake/in"], [], ["fake/a", "bad/b"])}, factories=factories)
    with pytest.raises(StartError, match="bad/b cannot be created"):
        await reload(graph, bad)
    await push(world)
    assert world.events == events
    assert world.get("exporter fake/a").item_count == 10


async def test_a_changed_extension_renews_those_who_use_it(world: World) -> None:
    """An authenticator with new users is the one that the receiver asks; others keep running."""
    pipelines = {"traces": (["fake/in", "fake/other"], [], ["fake/a"])}
    uses = {"receiver fake/in": {"uses": ("fake/auth",)}}
    graph = await run(make_spec(pipelines, uses, extensions=["fake/auth"]))
    await reload(
        graph, make_spec(pipelines, {**uses, "extension fake/auth": {"option": "x"}}, extensions=["fake/auth"])
    )
    assert len(world.made["receiver fake/in"]) == 2
    assert len(world.made["receiver fake/other"]) == 1
    assert world.get("receiver fake/in").host.extension("fake/auth") is world.get("extension fake/auth")


async def test_a_changed_extension_gets_the_port_of_the_old_one(world: World) -> None:
    """It is tried beside the old one first; where that holds the port, it takes its place."""
    pipelines = {"traces": (["fake/in"], [], ["fake/a"])}
    graph = await run(make_spec(pipelines, {"extension fake/health": {"port": "13133"}}, extensions=["fake/health"]))
    changed = {"extension fake/health": {"port": "13133", "option": "x"}}
    graph = await reload(graph, make_spec(pipelines, changed, extensions=["fake/health"]))
    assert world.get("extension fake/health").running
    assert world.get("extension fake/health").config.option == "x"
    broken = {**changed, "exporter fake/a": {"fail_start": True}, "extension fake/health": {"port": "13133"}}
    with pytest.raises(StartError):
        await reload(graph, make_spec(pipelines, broken, extensions=["fake/health"]))
    assert world.get("extension fake/health").running
    assert world.get("extension fake/health").config.option == "x"
    assert world.ports == {"13133"}


async def test_a_changed_page_gets_the_port_of_the_old_one(world: World) -> None:
    """An exporter that runs once takes the place of its predecessor where that holds the port, and gives it back."""
    pipelines = {"metrics": (["fake/in"], [], ["single/page", "fake/b"])}
    graph = await run(make_spec(pipelines, {"exporter single/page": {"port": "8889"}}))
    changed = {"exporter single/page": {"port": "8889", "option": "x"}}
    graph = await reload(graph, make_spec(pipelines, changed))
    assert world.get("exporter single/page").config.option == "x"
    await world.get("receiver fake/in").next.consume(make_batch(Signal.METRICS, 10))
    assert world.get("exporter single/page").item_count == 10
    broken = {"exporter single/page": {"port": "8889"}, "exporter fake/b": {"fail_start": True}}
    with pytest.raises(StartError):
        await reload(graph, make_spec(pipelines, broken))
    (running,) = [one for one in world.made["exporter single/page"] if one.running]
    assert running.config.option == "x"
    before = running.item_count
    await world.get("receiver fake/in").next.consume(make_batch(Signal.METRICS, 5))
    assert running.item_count == before + 5
    assert world.ports == {"8889"}


async def test_kept_components_see_the_extensions_of_the_new_graph(world: World) -> None:
    """An extension added later is found by a component that has been running all the time."""
    pipelines = {"traces": (["fake/in"], [], ["fake/a"])}
    graph = await run(make_spec(pipelines))
    await reload(graph, make_spec(pipelines, extensions=["fake/late"]))
    assert world.get("receiver fake/in").host.extension("fake/late") is world.get("extension fake/late")


async def test_nothing_is_lost_while_switching_back_and_forth(world: World) -> None:
    """Senders that never pause find every batch at exactly one exporter, however often the graph changes."""
    specs = [make_spec({"traces": (["fake/in"], [f"fake/p{n}"], [f"fake/out{n}"])}) for n in range(2)]
    graph = await run(specs[0])
    sent, done = 0, asyncio.Event()

    async def send() -> None:
        nonlocal sent
        while not done.is_set():
            await push(world, items=1)
            sent += 1
            await asyncio.sleep(0)

    senders = [asyncio.create_task(send()) for _ in range(3)]
    for number in range(1, 9):
        graph = await reload(graph, specs[number % 2])
    done.set()
    await asyncio.gather(*senders)
    arrived = sum(one.item_count for name, made in world.made.items() if name.startswith("exporter") for one in made)
    assert arrived == sent > 0
