"""What components are, and what they are given."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar, runtime_checkable

from untrace_pipeline.api.config import ConfigModel
from untrace_pipeline.api.consumer import Consumer
from untrace_pipeline.api.identity import ComponentId, PipelineId
from untrace_pipeline.api.status import Status, StatusEvent
from untrace_pipeline.api.telemetry import Meter
from untrace_pipeline.api.workers import Workers
from untrace_pipeline.data import Batch, Signal

__all__ = [
    "Admission",
    "Component",
    "Connector",
    "Drainable",
    "Exporter",
    "Extension",
    "Host",
    "Processor",
    "Receiver",
    "Settings",
    "Transform",
]

M = TypeVar("M", bound=ConfigModel)


@dataclass(frozen=True, slots=True)
class Settings:
    """What the engine tells a component when it creates it."""

    id: ComponentId
    signals: frozenset[Signal]
    """Signals of the pipelines that the component is part of; never empty, except for extensions."""
    meter: Meter
    """Own metrics; the labels that name the component are already set."""
    logger: logging.Logger
    """Own logger; the component id is already set."""
    pipeline: PipelineId | None = None
    """The pipeline that a processor stands in, each instance in one; ``None`` for everything else."""


class Host(Protocol):
    """The running service as a component sees it from ``start`` on."""

    @property
    def workers(self) -> Workers:
        """Which of the worker processes this is, and how many there are."""

    def extension(self, id: str) -> Extension:
        """Return a running extension by its id as written in the configuration.

        Raises :class:`StartError` with the configured extensions if it does not exist or is not in
        ``service.extensions``.
        """

    async def through(self, processors: Sequence[str], output: PipelineId) -> Consumer:
        """Return the way to an output of the connector that leads through processors first, in order.

        ``processors`` are ids from the section of that name; they are made and started when they are first asked for,
        and stopped after the connector. Ask for each batch: a reload may exchange them. Raises :class:`StartError` for
        an output that the connector does not have, and a processor that is not configured, holds back what it gets,
        does not take the signal, or does not start.
        """

    def read_options(self, path: str, model: type[M]) -> M:
        """Read a file of options, YAML or JSON. Raises :class:`ConfigError` with everything that is wrong, by place.

        Blocks while it reads: a component that is running calls it from a thread.
        """

    def report(self, status: Status, message: str = "") -> None:
        """Report the own state, shown by ``health_check``; cheap, call it on every change."""

    def spawn(self, work: Coroutine[Any, Any, None], *, name: str) -> asyncio.Task[None]:
        """Run a task that belongs to the component.

        If it fails, the component gets :attr:`Status.FATAL_ERROR` and the error is logged. The component still
        cancels and awaits it in ``shutdown``.
        """

    def statuses(self) -> Mapping[str, Mapping[str, StatusEvent]]:
        """Return the state of every component (``receiver:otlp``), by pipeline id.

        Besides the pipelines there are the groups ``extensions``, and ``service`` with the outcome of the last reload.
        In the supervisor of several workers each state is that of the worst worker, and the group ``workers`` has the
        state of each (``worker:0``).
        """


@runtime_checkable
class Component(Protocol):
    """Anything that is started and stopped.

    Three phases: *validate* (configuration only: no I/O, no optional library, no tasks), *create* (wire objects: the
    factory's function), *start* (I/O). Extensions start first, then exporters, connectors, processors, and receivers
    last; shutdown runs the other way.
    """

    async def start(self, host: Host) -> None:
        """Open sockets and files, spawn own tasks, return when ready. Raises :class:`StartError`."""

    async def shutdown(self) -> None:
        """Refuse input, flush, stop own tasks, close. Safe twice and without ``start``.

        The engine bounds it: on ``CancelledError`` count and log what was lost, close, and re-raise.
        """


@runtime_checkable
class Receiver(Component, Protocol):
    """Brings batches in; made with ``next: Intake``. One instance serves all its pipelines and signals."""


@runtime_checkable
class Processor(Component, Consumer, Protocol):
    """Stands between; made with ``next: Outlet``. One instance per pipeline."""


@runtime_checkable
class Exporter(Component, Consumer, Protocol):
    """Takes batches out. One instance serves all its pipelines and signals."""


@runtime_checkable
class Connector(Component, Consumer, Protocol):
    """Exporter of some pipelines and receiver of others; made with ``outputs: Mapping[PipelineId, Consumer]``."""


@runtime_checkable
class Extension(Component, Protocol):
    """A service beside the pipelines, reached through ``host.extension(id)``."""


@runtime_checkable
class Transform(Protocol):
    """A pure step of a pipeline; the engine wraps it and runs neighbours in one pass, without awaiting.

    One that has to read something before it can work has ``start`` and ``shutdown`` of :class:`Component` as well.
    """

    def process(self, batch: Batch) -> Batch | None:
        """Return the batch, edited or replaced, or ``None`` if all of it is dropped on purpose.

        Items that vanish are counted by the engine as ``dropped{reason=drop_reason}``. Raising counts as
        :class:`PermanentError` unless it is a :class:`ConsumeError`.
        """


@runtime_checkable
class Admission(Protocol):
    """A processor or exporter that can refuse before a request is read: memory limiters, full queues."""

    def admit(self, byte_size: int) -> None:
        """Raise :class:`RetryableError` if a batch of that size would be refused now."""


@runtime_checkable
class Drainable(Protocol):
    """An exporter or processor that can tell what it still holds; asked after ``shutdown``, for the end of the log."""

    def pending_items(self) -> int:
        """Return how many accepted items have no outcome yet: they lie in a queue, in memory or on disk."""


Outputs = Mapping[PipelineId, Consumer]
