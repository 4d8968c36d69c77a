"""Words about a graph."""

from __future__ import annotations

from tests.support.components import FACTORIES, FakeConfig, FakeReceiver, World, make_spec
from untrace_pipeline.api import Kind, ReceiverFactory, Status
from untrace_pipeline.config.model import TelemetryConfig
from untrace_pipeline.engine.bookkeeping import Bookkeeping
from untrace_pipeline.engine.build import Builder
from untrace_pipeline.engine.describe import is_ready, line, resource, statuses
from untrace_pipeline.engine.lifecycle import start_all
from untrace_pipeline.engine.wiring import Wiring
from untrace_pipeline.telemetry.metrics import Metrics


class Listening(FakeConfig):
    """Options with an endpoint inside of another model."""

    class Protocol(FakeConfig):
        """One protocol."""

        endpoint: str = "localhost:4317"
        """Where."""

    grpc: Protocol = Protocol()
    """The protocol."""


async def test_one_line_tells_pipelines_and_endpoints(world: World) -> None:
    """Endpoints come from the options, or from what the component reported."""
    factory = ReceiverFactory(type_name="listening", config=Listening, description="", create=FakeReceiver)
    spec = make_spec(
        {"traces": (["listening"], ["odd"], ["fake/a", "fake/b"]), "logs/x": (["listening"], [], ["fake/a"])},
        extensions=["fake/health"],
        factories={**FACTORIES, (Kind.RECEIVER, "listening"): factory},
    )
    graph = Builder(Metrics(), dict).build(spec)
    Wiring(graph, Bookkeeping(Metrics())).apply(graph.units.values())
    await start_all(graph.units.values())
    world.get("extension fake/health").host.report(Status.OK, "http localhost:13133")
    assert line(graph, ["localhost:8888"]) == (
        "traces: listening > odd > fake/a + fake/b; logs/x: listening > fake/a; "
        "listening: fake/health http localhost:13133, listening localhost:4317, metrics localhost:8888"
    )


def test_statuses_before_the_start(world: World) -> None:
    """Every component of every pipeline is there, as starting; a pipeline is not ready then."""
    spec = make_spec({"traces": (["fake"], ["odd"], ["fake/a"])}, extensions=["fake/e"])
    found = statuses(Builder(Metrics(), dict).build(spec))
    assert {name: list(group) for name, group in found.items()} == {
        "traces": ["receiver:fake", "processor:odd", "exporter:fake/a"],
        "extensions": ["extension:fake/e"],
    }
    assert {event.status for group in found.values() for event in group.values()} == {Status.STARTING}
    assert not is_ready(found["traces"])
    assert not is_ready({})


def test_the_resource_of_the_daemon() -> None:
    """The Collector's defaults; the configuration adds, replaces and removes."""
    plain = resource(TelemetryConfig())
    assert plain.keys() == {"service.name", "service.version", "service.instance.id"}
    assert plain["service.name"] == "untrace-pipeline"
    given = {"service.name": "edge", "service.instance.id": None, "zone": "a"}
    changed = resource(TelemetryConfig.model_validate({"resource": given}))
    assert changed == {"service.name": "edge", "service.version": plain["service.version"], "zone": "a"}
