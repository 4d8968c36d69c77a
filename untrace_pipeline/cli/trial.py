"""Runs one ``tests:`` block: the real processors and connectors, with what is tested at the ends.

The graph is built by the engine from a copy of the configuration in which one receiver feeds in the input and every
exporter, per pipeline, keeps what it gets. Extensions are left out. Time jumps: waiting for a batch costs nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson

from untrace_pipeline.api.component import Host, Settings
from untrace_pipeline.api.config import ComponentConfig
from untrace_pipeline.api.consumer import Intake
from untrace_pipeline.api.factory import ExporterFactory, ReceiverFactory
from untrace_pipeline.api.identity import ComponentId, Kind, PipelineId
from untrace_pipeline.cli.items import RESOURCES, request_of
from untrace_pipeline.config.model import ComponentSpec, PipelineSpec, ServiceSpec
from untrace_pipeline.config.test_blocks import InputSpec
from untrace_pipeline.data import Batch, Context, Signal
from untrace_pipeline.engine.bookkeeping import Bookkeeping
from untrace_pipeline.engine.build import Builder
from untrace_pipeline.engine.graph import predecessors
from untrace_pipeline.engine.lifecycle import Deadline, start_all, stop_all
from untrace_pipeline.engine.wiring import Wiring
from untrace_pipeline.errors import ConsumeError, DecodeError
from untrace_pipeline.telemetry.metrics import Metrics

__all__ = ["InputError", "Trial"]

_TYPE = "config_test"
_TRIED = {Kind.PROCESSOR, Kind.CONNECTOR}
_SHUTDOWN_SECONDS = 30.0


class InputError(Exception):
    """The input of a test cannot be read; the message says why."""


class Trial:
    """One run. ``arrived`` holds batches by exporter and by pipeline afterwards."""

    def __init__(self, spec: ServiceSpec, inputs: Sequence[InputSpec], pipeline: str | None = None) -> None:
        """``pipeline`` is the one that the input enters; without it, each one of its signal that has a receiver."""
        self._pipeline = pipeline
        self._kept: dict[tuple[PipelineId, ComponentId], list[Batch]] = {}
        self._intake: Intake | None = None
        self.inputs = [batch for one in inputs for batch in _batches(one)]
        self._spec = self._replaced(spec)

    async def run(self) -> list[str]:
        """Send the input through, and return what was refused. Raises :class:`StartError`."""
        metrics = Metrics()
        builder = Builder(metrics, dict)
        graph = builder.build(self._spec)
        units = list(graph.units.values())
        Wiring(graph, Bookkeeping(metrics)).apply(units)
        await start_all(units)
        refused = []
        for number, batch in enumerate(self.inputs, 1):
            assert self._intake is not None
            try:
                await self._intake.consume(batch)
            except ConsumeError as error:
                refused.append(f"input {number} was refused: {error}")
        deadline = Deadline(_SHUTDOWN_SECONDS)
        await stop_all(units, predecessors(self._spec.pipelines.values()), deadline)
        deadline.close()
        return refused

    def arrived(self, output: str) -> list[Batch]:
        """Return what came to an exporter, or to the end of a pipeline, by id."""
        kept = [batches for (_, exporter), batches in self._kept.items() if str(exporter) == output]
        if not kept:
            kept = [batches for (pipeline, _), batches in self._kept.items() if str(pipeline) == output][:1]
        return [batch for batches in kept for batch in batches]

    def _replaced(self, spec: ServiceSpec) -> ServiceSpec:
        source = ComponentId(Kind.RECEIVER, _TYPE)
        components = {id: _unstored(one) for id, one in spec.components.items() if id.kind in _TRIED}  # noqa: A001
        components[source] = ComponentSpec(source, self._source(), ComponentConfig())
        pipelines = {}
        for pipeline in spec.pipelines.values():
            receivers = tuple(one for one in pipeline.receivers if one.kind is Kind.CONNECTOR)
            if self._is_entered(pipeline):
                receivers = (source, *receivers)
            exporters = []
            for exporter in pipeline.exporters:
                if exporter.kind is Kind.EXPORTER:
                    sink = ComponentId(Kind.EXPORTER, _TYPE, f"{pipeline.id} {exporter}")
                    components[sink] = ComponentSpec(sink, self._sink(pipeline.id, exporter), ComponentConfig())
                    exporters.append(sink)
                else:
                    exporters.append(exporter)
            pipelines[pipeline.id] = replace(pipeline, receivers=receivers, exporters=tuple(exporters))
        return replace(spec, components=components, pipelines=pipelines, extensions=())

    def _is_entered(self, pipeline: PipelineSpec) -> bool:
        if self._pipeline is not None:
            return str(pipeline.id) == self._pipeline
        signals = {batch.signal for batch in self.inputs}
        return pipeline.id.signal in signals and any(one.kind is Kind.RECEIVER for one in pipeline.receivers)

    def _source(self) -> ReceiverFactory[ComponentConfig]:
        def create(_config: ComponentConfig, _settings: Settings, intake: Intake) -> _End:
            self._intake = intake
            return _End()

        return ReceiverFactory(type_name=_TYPE, config=ComponentConfig, description="Feeds in.", create=create)

    def _sink(self, pipeline: PipelineId, exporter: ComponentId) -> ExporterFactory[ComponentConfig]:
        kept = self._kept[pipeline, exporter] = []

        def create(_config: ComponentConfig, _settings: Settings) -> _Sink:
            return _Sink(kept)

        return ExporterFactory(type_name=_TYPE, config=ComponentConfig, description="Keeps.", create=create)


def _unstored(one: ComponentSpec) -> ComponentSpec:
    """Return a processor that holds items without its storage: nothing of a trial outlives it."""
    if getattr(one.factory, "holds", False) and "storage" in type(one.config).model_fields:
        return replace(one, config=one.config.model_copy(update={"storage": None}))
    return one


class _End:
    """A component that is only an end of the graph."""

    async def start(self, host: Host) -> None:
        """Do nothing."""

    async def shutdown(self) -> None:
        """Do nothing."""


class _Sink(_End):
    def __init__(self, kept: list[Batch]) -> None:
        self._kept = kept

    async def consume(self, batch: Batch) -> None:
        """Keep the batch."""
        batch.to_otlp()
        self._kept.append(batch)


def _batches(given: InputSpec) -> Iterator[Batch]:
    """Yield the batches of an input. Raises :class:`InputError`."""
    metadata: Mapping[str, tuple[str, ...]] = {key.lower(): (value,) for key, value in given.metadata.items()}
    context = Context(metadata=metadata, transport="test")
    for request in _requests(given):
        signal = next((one for one, key in RESOURCES.items() if key in request), None)
        if signal is None:
            msg = f"the input is no OTLP JSON request: one of {', '.join(RESOURCES.values())} is needed"
            raise InputError(msg)
        try:
            yield Batch.from_json(signal, orjson.dumps(request), context)
        except (DecodeError, TypeError) as error:
            msg = f"the input is no OTLP JSON request: {error}"
            raise InputError(msg) from error


def _requests(given: InputSpec) -> Iterator[dict[str, Any]]:
    for signal, items in ((Signal.TRACES, given.traces), (Signal.METRICS, given.metrics), (Signal.LOGS, given.logs)):
        if items is not None:
            yield request_of(signal, items)
    if given.otlp is not None:
        yield given.otlp
    if given.file is not None:
        yield from _lines(Path(given.file))


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    try:
        for number, line in enumerate(path.read_bytes().splitlines(), 1):
            found = orjson.loads(line) if line.strip() else None
            if isinstance(found, dict):
                yield found
            elif found is not None:
                msg = f"{path}:{number}: no OTLP JSON request"
                raise InputError(msg)
    except orjson.JSONDecodeError as error:
        msg = f"{path}:{number}: {error}"
        raise InputError(msg) from error
    except OSError as error:
        msg = f"cannot read {path}: {error.strerror}"
        raise InputError(msg) from error
