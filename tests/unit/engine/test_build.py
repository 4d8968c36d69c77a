"""From a spec to wired units: one instance where there must be one, and data that flows."""

from __future__ import annotations

import pytest

from tests.support.components import FACTORIES, FakeConfig, World, make_spec
from untrace_pipeline.api import ExporterFactory, Kind
from untrace_pipeline.config.model import ServiceSpec
from untrace_pipeline.data import Signal
from untrace_pipeline.engine.bookkeeping import Bookkeeping
from untrace_pipeline.engine.build import Builder
from untrace_pipeline.engine.unit import Graph
from untrace_pipeline.engine.wiring import Wiring
from untrace_pipeline.errors import InternalError, PluginError, QueueFullError, RetryableError, StartError
from untrace_pipeline.telemetry.metrics import Metrics
from untrace_pipeline.testing import make_batch


def wire(spec: ServiceSpec, metrics: Metrics | None = None) -> Graph:
    metrics = metrics or Metrics()
    graph = Builder(metrics, dict).build(spec)
    Wiring(graph, Bookkeeping(metrics)).apply(graph.units.values())
    return graph


async def test_data_flows_through_everything(world: World) -> None:
    """Receiver, transform, processor, fan-out, connector, second pipeline: each exporter gets what is due to it."""
    metrics = Metrics()
    spec = make_spec(
        {
            "traces": (["fake/in"], ["odd", "fake/p", "odd/2"], ["fake/a", "fake/c"]),
            "traces/behind": (["fake/c"], [], ["fake/b"]),
            "traces/beside": (["fake/in"], [], ["fake/a"]),
            "logs": (["fake/in"], [], ["fake/logs"]),
        },
        connectors=["fake/c"],
    )
    wire(spec, metrics)
    await world.get("receiver fake/in").next.consume(make_batch(items=12))
    assert world.get("exporter fake/a").item_count == 3 + 12
    assert world.get("exporter fake/b").item_count == 3
    assert world.get("exporter fake/logs").item_count == 0
    assert metrics.value("processor_incoming_items", processor="odd", pipeline="traces") == 12
    assert metrics.value("processor_incoming_items", processor="fake/p") == 6
    assert metrics.value("processor_outgoing_items", processor="fake/p") == 6
    assert metrics.value("dropped_items", component="odd", kind="processor", reason="filtered", signal="traces") == 6
    assert metrics.value("dropped_items", component="odd/2") == 3
    assert metrics.value("receiver_accepted_spans", receiver="fake/in") == 12


def test_instances(world: World) -> None:
    """Processors exist once per pipeline; everything else once, told of all its signals."""
    wire(
        make_spec(
            {
                "traces": (["fake"], ["fake/p"], ["fake/out"]),
                "logs": (["fake"], ["fake/p"], ["fake/out"]),
            }
        )
    )
    assert {name: len(made) for name, made in world.made.items()} == {
        "receiver fake": 1,
        "processor fake/p": 2,
        "exporter fake/out": 1,
    }
    assert world.get("receiver fake").settings.signals == {Signal.TRACES, Signal.LOGS}
    assert {one.settings.signals for one in world.made["processor fake/p"]} == {
        frozenset({Signal.TRACES}),
        frozenset({Signal.LOGS}),
    }


def test_a_connector_is_given_the_pipelines_that_name_it(world: World) -> None:
    """Its outputs are those pipelines, and nothing else."""
    spec = make_spec(
        {
            "traces/in": (["fake"], [], ["fake/c"]),
            "traces/x": (["fake/c"], [], ["fake"]),
            "traces/y": (["fake/c", "fake"], [], ["fake"]),
        },
        connectors=["fake/c"],
    )
    wire(spec)
    assert [str(pipeline) for pipeline in world.get("connector fake/c").outputs] == ["traces/x", "traces/y"]


async def test_admission_asks_limiters_and_reachable_exporters(world: World) -> None:
    """Limiters of the receiver's own pipelines refuse alone; exporters, also behind connectors, only all together."""
    spec = make_spec(
        {
            "traces": (["fake/in"], ["fake/limiter"], ["fake/c", "fake/a"]),
            "traces/behind": (["fake/c"], [], ["fake/b"]),
        },
        connectors=["fake/c"],
    )

    def refuse(byte_size: int) -> None:
        msg = "full"
        raise RetryableError(msg)

    wire(spec)
    intake = world.get("receiver fake/in").next
    a, b = world.get("exporter fake/a"), world.get("exporter fake/b")
    a.admit = refuse
    intake.admit(1)
    b.admit = refuse
    with pytest.raises(RetryableError):
        intake.admit(1)


async def test_a_full_queue_is_counted_for_the_exporter(world: World) -> None:
    """The name travels from the exporter's link through connectors and pipelines to the fan-out that decides."""
    spec = make_spec(
        {
            "traces": (["fake/in"], [], ["fake/c", "fake/a"]),
            "traces/behind": (["fake/c"], [], ["fake/b"]),
        },
        connectors=["fake/c"],
    )
    metrics = Metrics()
    wire(spec, metrics)
    world.get("exporter fake/b").error = QueueFullError("full")
    await world.get("receiver fake/in").next.consume(make_batch(items=5))
    assert metrics.sums("dropped_items", ("kind", "component", "signal", "reason")) == {
        ("exporter", "fake/b", "traces", "queue_full"): 5
    }
    assert world.get("exporter fake/a").item_count == 5


async def test_a_full_queue_behind_a_filter_is_counted_for_what_came_to_it(world: World) -> None:
    """What the filter dropped is counted there, and not a second time where the rest was refused."""
    metrics = Metrics()
    spec = make_spec({"traces": (["fake/in"], ["odd"], ["fake/a"]), "traces/2": (["fake/in"], [], ["fake/b"])})
    wire(spec, metrics)
    world.get("exporter fake/a").error = QueueFullError("full")
    await world.get("receiver fake/in").next.consume(make_batch(items=10))
    assert metrics.sums("dropped_items", ("component",), reason="queue_full") == {("fake/a",): 5}
    assert world.get("exporter fake/b").item_count == 10


async def test_a_broken_component_cannot_kill_the_receiver(world: World) -> None:
    """Whatever an exporter or a transform raises, the receiver sees an internal error without its text."""
    wire(make_spec({"traces": (["fake/in"], [], ["fake/a"]), "traces/2": (["fake/in2"], ["broken"], ["fake/b"])}))
    world.get("exporter fake/a").error = ZeroDivisionError("secret payload")
    for receiver in ("receiver fake/in", "receiver fake/in2"):
        with pytest.raises(InternalError) as refused:
            await world.get(receiver).next.consume(make_batch())
        assert "secret" not in str(refused.value)


@pytest.mark.parametrize(
    ("error", "expected", "text"),
    [
        (
            ImportError("No module named 'kafka'", name="kafka"),
            PluginError,
            r"exporter bad/x cannot be created: No module named 'kafka'; the extra \[kafka\] brings it",
        ),
        (ValueError("odd"), StartError, "exporter bad/x cannot be created: ValueError: odd"),
        (StartError("no such directory"), StartError, "exporter bad/x: no such directory"),
    ],
)
def test_creating_fails_with_the_name_of_the_component(error, expected, text: str, world: World) -> None:
    """The message says which component cannot be made, why, and what would mend it."""

    def create(config: FakeConfig, settings: object) -> object:
        raise error

    factory = ExporterFactory(type_name="bad", config=FakeConfig, description="", create=create, extra="kafka")
    spec = make_spec({"traces": (["fake"], [], ["bad/x"])}, factories={**FACTORIES, (Kind.EXPORTER, "bad"): factory})
    with pytest.raises(expected, match=text):
        wire(spec)
