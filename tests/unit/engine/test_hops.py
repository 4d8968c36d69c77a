"""Where the engine puts hops, and when what other workers send is let in and refused."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import pytest

from tests.support.components import World, make_spec, until
from untrace_pipeline.api import Consumer, Kind, PipelineId, RetryableError, StartError, Workers
from untrace_pipeline.config.loader import Loaded
from untrace_pipeline.config.model import ServiceSpec, TelemetryConfig
from untrace_pipeline.data import Batch, Signal
from untrace_pipeline.engine.build import Builder
from untrace_pipeline.engine.fanout import Drop
from untrace_pipeline.engine.hops import Elsewhere, first_places, meeting_places
from untrace_pipeline.engine.service import Service
from untrace_pipeline.telemetry.metrics import Metrics
from untrace_pipeline.testing import make_batch

TRACES, METRICS = PipelineId.parse("traces"), PipelineId.parse("metrics")


class FakeHops:
    """Passes on, and writes down what the engine asks for."""

    def __init__(self, world: World) -> None:
        self._events = world.events
        self.places: Mapping[PipelineId, Consumer] = {}
        self.passed = 0
        self.others_are_done = asyncio.Event()
        self.others_are_done.set()

    def before(self, pipeline: PipelineId, next: Consumer, overflow: Drop) -> Consumer:
        """Return a hop that counts."""
        return _FakeHop(self, next)

    def to_first(self, pipeline: PipelineId, next: Consumer) -> Consumer:
        """Return a hop that counts."""
        return _FakeHop(self, next)

    def lead(self, places: Mapping[PipelineId, Consumer]) -> None:
        """Take the places."""
        self.places = dict(places)
        self._events.append(f"lead {', '.join(map(str, places)) or 'nowhere'}")

    async def finish(self, pipeline: PipelineId) -> None:
        """Wait for the others."""
        self._events.append(f"finish {pipeline}")
        await self.others_are_done.wait()


class _FakeHop:
    def __init__(self, hops: FakeHops, next: Consumer) -> None:
        self._hops = hops
        self._next = next

    async def consume(self, batch: Batch) -> None:
        self._hops.passed += batch.item_count
        await self._next.consume(batch)


def chain(*processors: str, signal: str = "traces", option: str = "") -> ServiceSpec:
    telemetry = TelemetryConfig.model_validate({"metrics": {"level": "none"}, "logs": {"level": "error"}})
    return make_spec(
        {signal: (["fake/in"], list(processors), ["fake/out"])},
        {"processor together": {"option": option}},
        telemetry=telemetry,
        shutdown_timeout=2.0,
    )


async def started(
    spec: ServiceSpec, hops: FakeHops, reload: ServiceSpec | None = None
) -> tuple[Service, asyncio.Task[int]]:
    service = Service(Loaded(spec), lambda: Loaded(reload or spec), hops=lambda _meter: hops)
    task = asyncio.create_task(service.run())
    await until(service.is_ready)
    return service, task


@pytest.mark.parametrize(
    ("processors", "signal", "place"),
    [
        (["together"], "traces", "together"),
        (["fake/a", "odd", "together/1", "together/2"], "logs", "together/1"),
        (["fake/a", "odd"], "traces", None),
        (["together"], "metrics", None),
    ],
)
def test_one_hop_per_pipeline(processors: list[str], signal: str, place: str | None) -> None:
    """Before the first processor that needs whole traces; behind it they are whole. Metrics belong to no trace."""
    found = meeting_places(chain(*processors, signal=signal))
    assert {str(pipeline): str(one) for pipeline, one in found.items()} == ({signal: place} if place else {})


async def test_batches_pass_the_hop_and_others_come_in_behind_it(world: World, log_file: object) -> None:
    """What comes in here passes the hop; what another worker sends goes on behind it, without a second hop."""
    hops = FakeHops(world)
    service, task = await started(chain("odd", "together", "fake/after"), hops)
    await world.get("receiver fake/in").next.consume(make_batch(Signal.TRACES, items=10))
    assert hops.passed == 5
    await hops.places[TRACES].consume(make_batch(Signal.TRACES, items=10))
    assert hops.passed == 5
    assert world.get("exporter fake/out").item_count == 15
    service.request_stop("test")
    await task


async def test_others_come_in_after_the_start_and_out_before_the_stop(world: World, log_file: object) -> None:
    """Nobody is let in before all has started; a processor stops when nothing of others can come any more."""
    hops = FakeHops(world)
    hops.others_are_done.clear()
    service, task = await started(chain("fake/first", "together", "fake/after"), hops)
    assert world.events[-1] == "lead traces"
    service.request_stop("test")
    await until(lambda: "finish traces" in world.events)
    assert world.events[-3:] == ["stop receiver fake/in", "stop processor fake/first", "finish traces"]
    hops.others_are_done.set()
    await task
    assert world.events[-3:] == ["stop processor together", "stop processor fake/after", "stop exporter fake/out"]


async def test_others_that_never_finish_do_not_hold_up_the_stop(world: World, log_file: object) -> None:
    """The time for draining bounds it."""
    hops = FakeHops(world)
    hops.others_are_done.clear()
    service, task = await started(chain("together"), hops)
    service.request_stop("test")
    await until(lambda: "finish traces" in world.events)
    service.request_stop("test")
    assert await task == 0
    assert "stop processor together" in world.events


async def test_a_reload_leads_to_the_new_processor(world: World, log_file: object) -> None:
    """From the switch on, what others send goes to the new one; where the pipeline is gone, nowhere."""
    hops = FakeHops(world)
    service, task = await started(chain("together"), hops, chain("together", option="new"))
    old = hops.places[TRACES]
    service.request_reload()
    await until(lambda: service.metrics.value("config_reloads", outcome="success"))
    assert hops.places[TRACES] is not old
    await hops.places[TRACES].consume(make_batch(Signal.TRACES, items=4))
    assert world.get("exporter fake/out").item_count == 4
    service.request_stop("test")
    await task


async def test_exporters_of_one_worker_are_a_meeting_place_too(world: World, log_file: object) -> None:
    """A hop stands before those that run once, not before the others; others are let in there, and waited for."""
    hops = FakeHops(world)
    spec = make_spec(
        {"metrics": (["fake/in"], [], ["fake/out", "single/page"])},
        telemetry=TelemetryConfig.model_validate({"metrics": {"level": "none"}, "logs": {"level": "error"}}),
        shutdown_timeout=2.0,
    )
    assert first_places(spec) == {spec.pipelines[METRICS].exporters[1]: [METRICS]}
    service, task = await started(spec, hops)
    batch = make_batch(Signal.METRICS, 4)
    await world.get("receiver fake/in").next.consume(batch)
    assert hops.passed == 4
    await hops.places[METRICS].consume(make_batch(Signal.METRICS, 3))
    assert world.get("exporter single/page").item_count == 7
    assert world.get("exporter fake/out").item_count == 4
    service.request_stop("test")
    await task
    assert world.events.index("finish metrics") < world.events.index("stop exporter single/page")


async def test_elsewhere_nothing_is_created(world: World) -> None:
    """The other workers do not make an exporter that runs in the first; what came there would be refused."""
    spec = make_spec({"metrics": (["fake/in"], [], ["single/page"])})
    graph = Builder(Metrics(), dict, workers=Workers(1, 2)).build(spec)
    (exporter,) = (unit for unit in graph.units.values() if unit.kind is Kind.EXPORTER)
    assert isinstance(exporter.component, Elsewhere)
    with pytest.raises(RetryableError, match="first worker"):
        await exporter.component.consume(make_batch(Signal.METRICS))


def test_one_meeting_place_per_pipeline() -> None:
    """A pipeline that meets in all workers cannot end in one; the message says what to do."""
    spec = make_spec({"traces": (["fake/in"], ["together"], ["single/page"])})
    with pytest.raises(StartError, match="put a connector forward between"):
        first_places(spec)
