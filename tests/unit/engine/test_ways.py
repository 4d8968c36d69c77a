"""Ways of connectors through transforms, and dry runs."""

from __future__ import annotations

import pytest

from tests.support.components import World, make_spec
from untrace_pipeline.api import PipelineId
from untrace_pipeline.data import Batch, Context, Signal
from untrace_pipeline.engine.bookkeeping import Bookkeeping
from untrace_pipeline.engine.build import Builder
from untrace_pipeline.engine.lifecycle import Deadline, start_all, stop_all
from untrace_pipeline.engine.reload import Exchange
from untrace_pipeline.engine.unit import Graph
from untrace_pipeline.engine.wiring import Wiring
from untrace_pipeline.errors import StartError
from untrace_pipeline.telemetry.ledger import Account, read_ledger
from untrace_pipeline.telemetry.metrics import Metrics
from untrace_pipeline.testing import make_batch

OUT = PipelineId(Signal.TRACES, "out")
PIPELINES = {
    "traces/in": (["fake/in"], ["together"], ["fake/c"]),
    "traces/out": (["fake/c"], [], ["fake/sink"]),
    "traces/unused": (["fake/in"], ["odd", "fake/other"], ["fake/sink"]),
}
DRY = Context(metadata={"x-untrace-dry-run": ("true",)})


class Service:
    """A graph with its own metrics."""

    def __init__(self, options: dict[str, dict[str, str]] | None = None) -> None:
        self.metrics = Metrics()
        self.books = Bookkeeping(self.metrics)
        self.builder = Builder(self.metrics, dict)
        self.graph: Graph = self.builder.build(self.spec(options))

    @staticmethod
    def spec(options: dict[str, dict[str, str]] | None = None):
        return make_spec(PIPELINES, options or {}, connectors=["fake/c"])

    async def start(self) -> None:
        Wiring(self.graph, self.books).apply(self.graph.units.values())
        await start_all(self.graph.units.values())

    def account(self, component: str) -> Account:
        return next(one for one in read_ledger(self.metrics.snapshot()) if one.component == component)


async def test_way_leads_through_transforms(world: World) -> None:
    """A connector's batch passes the transforms that it names, and the ledger of what stands behind knows the drops."""
    service = Service()
    await service.start()
    way = await world.get("connector fake/c").host.through(["odd"], OUT)
    await way.consume(make_batch(items=10))
    assert world.get("exporter fake/sink").item_count == 5
    account = service.account("fake/sink")
    assert (account.states["accepted"], account.states["filtered"]) == (10, 5)


async def test_way_without_transforms_is_the_output(world: World) -> None:
    """No transforms, no detour; and the same way is the same object."""
    service = Service()
    await service.start()
    host = world.get("connector fake/c").host
    assert await host.through([], OUT) is world.get("connector fake/c").outputs[OUT]
    assert await host.through(["odd"], OUT) is await host.through(["odd"], OUT)


@pytest.mark.parametrize(
    ("names", "output", "words"),
    [
        (["nothing"], OUT, "nothing is not configured; there: together, odd, fake/other"),
        (["together"], OUT, "holds back what it gets"),
        ([], PipelineId(Signal.TRACES, "in"), "does not have this connector as receiver; there: traces/out"),
    ],
)
async def test_way_that_cannot_be_is_refused(world: World, names: list[str], output: PipelineId, words: str) -> None:
    """What is not configured, no transform, or no output, is told."""
    await Service().start()
    with pytest.raises(StartError, match=words):
        await world.get("connector fake/c").host.through(names, output)


async def test_others_have_no_ways(world: World) -> None:
    """Only connectors have outputs."""
    await Service().start()
    with pytest.raises(StartError, match="only connectors"):
        await world.get("exporter fake/sink").host.through([], OUT)


async def test_reload_exchanges_transforms_of_a_kept_connector(world: World) -> None:
    """A connector that stays gets the transforms of the new configuration, without being made anew."""
    service = Service()
    await service.start()
    connector = world.get("connector fake/c")
    before = await connector.host.through(["odd"], OUT)
    exchange = Exchange(service.builder, service.graph, service.spec({"processor odd": {"option": "2"}}), service.books)
    await exchange.switch()
    assert world.get("connector fake/c") is connector
    assert await connector.host.through(["odd"], OUT) is not before


async def test_processors_of_a_way_live_as_long_as_it(world: World) -> None:
    """They start when they are first asked for, before what leads to them, and stop after the connector."""
    service = Service()
    await service.start()
    host = world.get("connector fake/c").host
    world.events.clear()
    way = await host.through(["fake/other", "odd"], OUT)
    assert world.events == ["start processor fake/other"]
    await way.consume(make_batch(items=10))
    assert world.get("exporter fake/sink").item_count == 5
    deadline = Deadline(5)
    await stop_all(list(service.graph.units.values()), {}, deadline)
    deadline.close()
    stops = [event for event in world.events if event in {"stop connector fake/c", "stop processor fake/other"}]
    assert stops.index("stop connector fake/c") < len(stops) - 1
    assert stops.count("stop processor fake/other") == 2  # that of the pipeline, and that of the way


async def test_reload_stops_what_it_puts_out_of_use(world: World) -> None:
    """Processors of a way that the new configuration changes are stopped once nothing is under way in them."""
    service = Service()
    await service.start()
    connector = world.get("connector fake/c")
    await connector.host.through(["fake/other"], OUT)
    old = world.get("processor fake/other")
    spec = service.spec({"processor fake/other": {"option": "2"}})
    exchange = Exchange(service.builder, service.graph, spec, service.books)
    await exchange.switch()
    await connector.host.through(["fake/other"], OUT)
    deadline = Deadline(5)
    await exchange.drain(deadline)
    deadline.close()
    assert not old.running
    assert world.get("processor fake/other").running


async def test_processor_that_does_not_start_is_no_way(world: World) -> None:
    """A failure to start is told, and the next one who asks tries again."""
    service = Service({"processor fake/other": {"port": "taken"}})
    await service.start()
    for _ in range(2):
        with pytest.raises(StartError, match="cannot listen"):
            await world.get("connector fake/c").host.through(["fake/other"], OUT)


async def test_dry_run_sends_nothing(world: World) -> None:
    """A dry run takes its way, past processors that hold back, and ends before exporters, counted."""
    service = Service({"processor together": {"blocked": True}})
    await service.start()
    batch = Batch(Signal.TRACES, make_batch(items=10).to_otlp(), DRY)
    await world.get("receiver fake/in").next.consume(batch)
    assert world.get("exporter fake/sink").item_count == 0
    assert sorted(DRY.remarks) == [
        "exporter fake/sink: 10 spans",
        "exporter fake/sink: 5 spans",
        "processor together is passed by",
    ]
    account = service.account("fake/sink")
    assert account.states["dry_run"] == 15
    assert account.balance == 0


@pytest.mark.parametrize(
    ("value", "dry"), [("true", True), ("1", True), ("yes", True), ("", True), ("false", False), (" 0 ", False)]
)
def test_header_asks_for_a_dry_run(value: str, dry: bool) -> None:
    """Whatever does not say no asks for one: who mistypes it wants nothing sent."""
    assert Context(metadata={"x-untrace-dry-run": (value,)}).dry_run is dry
    assert not Context().dry_run
