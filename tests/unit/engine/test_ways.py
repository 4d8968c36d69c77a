"""Ways of connectors through transforms, and dry runs."""

from __future__ import annotations

import pytest

from tests.support.components import World, make_spec
from untrace_pipeline.api import PipelineId
from untrace_pipeline.data import Batch, Context, Signal
from untrace_pipeline.engine.bookkeeping import Bookkeeping
from untrace_pipeline.engine.build import Builder
from untrace_pipeline.engine.lifecycle import start_all
from untrace_pipeline.engine.reload import Exchange
from untrace_pipeline.engine.unit import Graph
from untrace_pipeline.engine.wiring import Wiring
from untrace_pipeline.errors import StartError
from untrace_pipeline.telemetry.ledger import Account, read_ledger
from untrace_pipeline.telemetry.metrics import Metrics
from untrace_pipeline.testing import make_batch

OUT = PipelineId(Signal.TRACES, "out")
PIPELINES = {
    "traces/in": (["fake/in"], ["fake/holds"], ["fake/c"]),
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
    way = world.get("connector fake/c").host.through(["odd"], OUT)
    await way.consume(make_batch(items=10))
    assert world.get("exporter fake/sink").item_count == 5
    account = service.account("fake/sink")
    assert (account.states["accepted"], account.states["filtered"]) == (10, 5)


async def test_way_without_transforms_is_the_output(world: World) -> None:
    """No transforms, no detour; and the same way is the same object."""
    service = Service()
    await service.start()
    host = world.get("connector fake/c").host
    assert host.through([], OUT) is world.get("connector fake/c").outputs[OUT]
    assert host.through(["odd"], OUT) is host.through(["odd"], OUT)


@pytest.mark.parametrize(
    ("names", "output", "words"),
    [
        (["nothing"], OUT, "nothing is not configured; there: fake/holds, odd, fake/other"),
        (["fake/holds"], OUT, "waits or holds back"),
        ([], PipelineId(Signal.TRACES, "in"), "does not have this connector as receiver; there: traces/out"),
    ],
)
async def test_way_that_cannot_be_is_refused(world: World, names: list[str], output: PipelineId, words: str) -> None:
    """What is not configured, no transform, or no output, is told."""
    await Service().start()
    with pytest.raises(StartError, match=words):
        world.get("connector fake/c").host.through(names, output)


async def test_others_have_no_ways(world: World) -> None:
    """Only connectors have outputs."""
    await Service().start()
    with pytest.raises(StartError, match="only connectors"):
        world.get("exporter fake/sink").host.through([], OUT)


async def test_reload_exchanges_transforms_of_a_kept_connector(world: World) -> None:
    """A connector that stays gets the transforms of the new configuration, without being made anew."""
    service = Service()
    await service.start()
    connector = world.get("connector fake/c")
    before = connector.host.through(["odd"], OUT)
    exchange = Exchange(service.builder, service.graph, service.spec({"processor odd": {"option": "2"}}), service.books)
    await exchange.switch()
    assert world.get("connector fake/c") is connector
    assert connector.host.through(["odd"], OUT) is not before


async def test_dry_run_sends_nothing(world: World) -> None:
    """A dry run takes its way, past processors that hold back, and ends before exporters, counted."""
    service = Service({"processor fake/holds": {"blocked": True}})
    await service.start()
    batch = Batch(Signal.TRACES, make_batch(items=10).to_otlp(), DRY)
    await world.get("receiver fake/in").next.consume(batch)
    assert world.get("exporter fake/sink").item_count == 0
    assert sorted(DRY.remarks) == [
        "exporter fake/sink: 10 spans",
        "exporter fake/sink: 5 spans",
        "processor fake/holds is passed by",
        "processor fake/other is passed by",
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
