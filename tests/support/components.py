"""Tiny components of every kind for tests of the engine, and specs made of them without YAML."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from untrace_pipeline.api import (
    Affinity,
    ComponentConfig,
    ComponentId,
    ConnectorFactory,
    Consumer,
    ExporterFactory,
    ExtensionFactory,
    Factory,
    Host,
    Intake,
    Kind,
    PipelineId,
    ProcessorFactory,
    ReceiverFactory,
    Settings,
    StartError,
    Status,
    TransformFactory,
)
from untrace_pipeline.config.model import ComponentSpec, PipelineSpec, ServiceSpec, TelemetryConfig
from untrace_pipeline.data import Batch, Signal
from untrace_pipeline.testing import Sink

__all__ = ["FACTORIES", "FakeConfig", "World", "make_spec", "new_world", "until"]


@dataclass
class World:
    """What the fake components of one test did, and the components themselves by id, newest last."""

    events: list[str] = field(default_factory=list)
    made: dict[str, list[Any]] = field(default_factory=dict)
    ports: set[str] = field(default_factory=set)
    """Ports that a running receiver or extension holds."""

    def get(self, id: str) -> Any:
        """Return the newest component of an id: ``receiver in``."""
        return self.made[id][-1]


class FakeConfig(ComponentConfig):
    """Options of all fakes."""

    option: str = ""
    """Anything: another value is another configuration."""
    port: str = ""
    """Taken from start to shutdown; a second taker fails."""
    fail_start: bool = False
    """Fail to start."""
    hang_start: bool = False
    """Never finish to start."""
    hang: bool = False
    """Never finish shutdown unless cancelled."""
    slow: bool = False
    """Take a moment to shut down."""
    uses: tuple[str, ...] = ()
    """Ids of extensions."""
    pipelines: tuple[str, ...] = ()
    """Pipelines that a connector names."""
    blocked: bool = False
    """Hold batches until released."""

    def references(self) -> Mapping[str, tuple[str, ...]]:
        """Name extensions and pipelines."""
        return {"uses": self.uses, "pipelines": self.pipelines}


WORLD = World()


def new_world() -> World:
    """Forget what happened in other tests."""
    WORLD.events.clear()
    WORLD.made.clear()
    WORLD.ports.clear()
    return WORLD


async def until(condition: Callable[[], Any]) -> None:
    """Let others run until a condition holds. Raises ``TimeoutError``."""
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0)


class _Fake:
    def __init__(self, config: FakeConfig, settings: Settings) -> None:
        self.config = config
        self.settings = settings
        self.name = f"{settings.id.kind.singular} {settings.id}"
        self.running = False
        self.host: Host | None = None
        WORLD.made.setdefault(self.name, []).append(self)

    async def start(self, host: Host) -> None:
        self.host = host
        for extension in self.config.uses:
            host.extension(extension)
        if self.config.hang_start:
            WORLD.events.append(f"hang {self.name}")
            await asyncio.Event().wait()
        if self.config.fail_start or (self.config.port and self.config.port in WORLD.ports):
            WORLD.events.append(f"fail {self.name}")
            msg = f"cannot listen on {self.config.port}"
            raise StartError(msg)
        if self.config.port:
            WORLD.ports.add(self.config.port)
        self.running = True
        WORLD.events.append(f"start {self.name}")

    async def shutdown(self) -> None:
        if not self.running:
            return
        self.running = False
        if self.config.hang:
            await asyncio.Event().wait()
        if self.config.slow:
            await asyncio.sleep(0.2)
        WORLD.ports.discard(self.config.port)
        WORLD.events.append(f"stop {self.name}")


class FakeReceiver(_Fake):
    """Tests push batches through ``next``."""

    def __init__(self, config: FakeConfig, settings: Settings, next: Intake) -> None:
        super().__init__(config, settings)
        self.next = next


class FakeProcessor(_Fake):
    """Passes on; with ``blocked`` it holds batches until :meth:`shutdown` or :attr:`release`."""

    def __init__(self, config: FakeConfig, settings: Settings, next: Consumer) -> None:
        super().__init__(config, settings)
        self.next = next
        self.release = asyncio.Event()
        self.waiting = 0

    async def consume(self, batch: Batch) -> None:
        if self.config.blocked:
            self.waiting += 1
            await self.release.wait()
        await self.next.consume(batch)

    async def shutdown(self) -> None:
        self.release.set()
        await super().shutdown()


class FakeExporter(_Fake, Sink):
    """A sink with a life."""

    def __init__(self, config: FakeConfig, settings: Settings) -> None:
        _Fake.__init__(self, config, settings)
        Sink.__init__(self)
        self.error: Exception | None = None
        self.pending = 0

    async def consume(self, batch: Batch) -> None:
        if self.error is not None:
            raise self.error
        await Sink.consume(self, batch)

    def pending_items(self) -> int:
        return self.pending


class FakeConnector(_Fake):
    """Passes on to every output of the batch's signal."""

    def __init__(self, config: FakeConfig, settings: Settings, outputs: Mapping[PipelineId, Consumer]) -> None:
        super().__init__(config, settings)
        self.outputs = outputs

    async def consume(self, batch: Batch) -> None:
        for pipeline, output in self.outputs.items():
            if pipeline.signal is batch.signal:
                await output.consume(batch.copy())


class FakeExtension(_Fake):
    """Does nothing."""

    async def report(self, status: Status) -> None:
        assert self.host is not None
        self.host.report(status)


class _KeepOdd:
    """Keeps every second item."""

    def __init__(self, config: FakeConfig, settings: Settings) -> None:
        self.settings = settings

    def process(self, batch: Batch) -> Batch | None:
        return batch.select([row % 2 == 1 for row in range(batch.item_count)])


class _Prepared(_Fake):
    """A transform that has to start before it can work."""

    def process(self, batch: Batch) -> Batch | None:
        return batch if self.running else None


class _Broken:
    def __init__(self, config: FakeConfig, settings: Settings) -> None:
        pass

    def process(self, batch: Batch) -> Batch | None:
        msg = "secret payload"
        raise ZeroDivisionError(msg)


_COMMON: dict[str, Any] = {"type_name": "fake", "config": FakeConfig, "description": "For tests."}
FACTORIES: dict[tuple[Kind, str], Factory[Any]] = {
    (Kind.RECEIVER, "fake"): ReceiverFactory(create=FakeReceiver, **_COMMON),
    (Kind.PROCESSOR, "fake"): ProcessorFactory(create=FakeProcessor, **_COMMON),
    (Kind.EXPORTER, "fake"): ExporterFactory(create=FakeExporter, **_COMMON),
    (Kind.CONNECTOR, "fake"): ConnectorFactory(create=FakeConnector, **_COMMON),
    (Kind.EXTENSION, "fake"): ExtensionFactory(create=FakeExtension, **_COMMON),
    (Kind.PROCESSOR, "odd"): TransformFactory(create=_KeepOdd, drop_reason="filtered", **_COMMON),
    (Kind.PROCESSOR, "prepared"): TransformFactory(create=_Prepared, **_COMMON),
    (Kind.PROCESSOR, "broken"): TransformFactory(create=_Broken, **_COMMON),
    (Kind.RECEIVER, "once"): ReceiverFactory(create=FakeReceiver, once=True, **_COMMON),
    (Kind.PROCESSOR, "together"): ProcessorFactory(create=FakeProcessor, affinity=Affinity.TRACE_ID, **_COMMON),
    (Kind.EXTENSION, "central"): ExtensionFactory(create=FakeExtension, per_service=True, **_COMMON),
    (Kind.EXPORTER, "single"): ExporterFactory(create=FakeExporter, once=True, **_COMMON),
    (Kind.EXPORTER, "traces_only"): ExporterFactory(create=FakeExporter, signals=frozenset({Signal.TRACES}), **_COMMON),
}


def make_spec(
    pipelines: Mapping[str, tuple[Sequence[str], Sequence[str], Sequence[str]]],
    options: Mapping[str, Mapping[str, Any]] | None = None,
    *,
    connectors: Iterable[str] = (),
    extensions: Sequence[str] = (),
    telemetry: TelemetryConfig | None = None,
    shutdown_timeout: float = 5.0,
    factories: Mapping[tuple[Kind, str], Factory[Any]] = FACTORIES,
) -> ServiceSpec:
    """Return a spec: ``{"traces": (["fake/in"], ["fake/p"], ["fake/out"])}``, options by ``kind id``.

    The type is what stands before the slash; types without an entry in ``factories`` are ``fake``.
    """
    connectors = set(connectors)
    options = options or {}
    components: dict[ComponentId, ComponentSpec] = {}

    def add(kind: Kind, text: str) -> ComponentId:
        kind = Kind.CONNECTOR if text in connectors else kind
        parsed = ComponentId.parse(kind, text)
        factory = factories.get((kind, parsed.type)) or factories[kind, "fake"]
        given = options.get(f"{kind.singular} {text}", {})
        components.setdefault(parsed, ComponentSpec(parsed, factory, factory.config.model_validate(given)))
        return parsed

    specs = {}
    for name, (receivers, processors, exporters) in pipelines.items():
        pipeline = PipelineId.parse(name)
        specs[pipeline] = PipelineSpec(
            pipeline,
            tuple([add(Kind.RECEIVER, one) for one in receivers]),
            tuple([add(Kind.PROCESSOR, one) for one in processors]),
            tuple([add(Kind.EXPORTER, one) for one in exporters]),
        )
    for connector in connectors:
        add(Kind.CONNECTOR, connector)
    enabled = tuple([add(Kind.EXTENSION, one) for one in extensions])
    silent = TelemetryConfig.model_validate({"metrics": {"level": "none"}})
    return ServiceSpec(components, specs, enabled, telemetry or silent, shutdown_timeout)
