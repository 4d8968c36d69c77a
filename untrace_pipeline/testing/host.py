"""Settings and a host for one component alone, without an engine."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from untrace_pipeline.api import (
    ComponentId,
    ConfigModel,
    Consumer,
    Extension,
    Kind,
    PipelineId,
    Settings,
    StartError,
    Status,
    StatusEvent,
    Workers,
)
from untrace_pipeline.api.workers import ALONE
from untrace_pipeline.config.option_files import read_options
from untrace_pipeline.data import Signal

__all__ = ["RecordingMeter", "StubHost", "make_settings"]

M = TypeVar("M", bound=ConfigModel)
Ways = Callable[[Sequence[str], PipelineId], Consumer]


class _Value:
    def __init__(self) -> None:
        self.value = 0.0
        self.recorded: list[float] = []
        self._function: Callable[[], float] | None = None

    def add(self, amount: float = 1) -> None:
        self.value += amount

    def set(self, value: float) -> None:
        self.value = value

    def observe_with(self, function: Callable[[], float]) -> None:
        self._function = function

    def record(self, value: float) -> None:
        self.recorded.append(value)

    def read(self) -> float:
        return self._function() if self._function else self.value


class RecordingMeter:
    """Keeps every metric in memory; read it with :meth:`value` and :meth:`recorded`."""

    def __init__(self, whole: RecordingMeter | None = None) -> None:
        self._whole = whole
        self._parts: list[RecordingMeter] = []
        self._values: dict[tuple[str, frozenset[tuple[str, str]]], _Value] = {}

    def _child(self, name: str, labels: Mapping[str, str]) -> _Value:
        return self._values.setdefault((name, frozenset(labels.items())), _Value())

    def part(self) -> RecordingMeter:
        """Return a meter whose gauges are its own; all that it counts is counted here."""
        part = RecordingMeter(self)
        self._parts.append(part)
        return part

    def close(self) -> None:
        """Take the gauges of this part away."""
        if self._whole is not None:
            self._whole._parts.remove(self)

    def counter(self, name: str, **labels: str) -> _Value:
        """Return a counter."""
        return self._whole.counter(name, **labels) if self._whole else self._child(name, labels)

    def gauge(self, name: str, **labels: str) -> _Value:
        """Return a gauge."""
        return self._child(name, labels)

    def histogram(self, name: str, **labels: str) -> _Value:
        """Return a histogram."""
        return self._whole.histogram(name, **labels) if self._whole else self._child(name, labels)

    def value(self, name: str, **labels: str) -> float:
        """Return the sum of a counter or gauge over all children, and parts, that have these labels; 0 without any."""
        wanted = set(labels.items())
        own = sum(v.read() for (n, have), v in self._values.items() if n == name and wanted <= have)
        return own + sum(part.value(name, **labels) for part in self._parts)

    def recorded(self, name: str) -> list[float]:
        """Return what was recorded in a histogram."""
        return [x for (n, _), v in self._values.items() if n == name for x in v.recorded]


class StubHost:
    """A host that keeps statuses, and tasks so that a test can see leaks."""

    def __init__(
        self, extensions: Mapping[str, Extension] | None = None, workers: Workers = ALONE, ways: Ways | None = None
    ) -> None:
        """``ways`` answers :meth:`through`."""
        self._extensions = dict(extensions or {})
        self._ways = ways
        self.workers = workers
        self.reports: list[tuple[Status, str]] = []
        self.tasks: list[asyncio.Task[None]] = []

    def extension(self, id: str) -> Extension:
        """Return an extension that the test gave."""
        try:
            return self._extensions[id]
        except KeyError:
            msg = f"extension {id} does not exist; there are: {', '.join(self._extensions) or 'none'}"
            raise StartError(msg) from None

    async def through(self, processors: Sequence[str], output: PipelineId) -> Consumer:
        """Return the way that the test gave."""
        if self._ways is None:
            msg = f"processor {', '.join(processors)} is not configured; there: none"
            raise StartError(msg)
        return self._ways(processors, output)

    def read_options(self, path: str, model: type[M]) -> M:
        """Read a file of options. Raises :class:`ConfigError`."""
        return read_options(path, model)

    def report(self, status: Status, message: str = "") -> None:
        """Keep the status."""
        self.reports.append((status, message))

    def spawn(self, work: Coroutine[Any, Any, None], *, name: str) -> asyncio.Task[None]:
        """Run a task and keep it."""
        task = asyncio.create_task(work, name=name)
        self.tasks.append(task)
        return task

    def statuses(self) -> Mapping[str, Mapping[str, StatusEvent]]:
        """Return what was reported, under one pipeline."""
        return {"traces": {"stub": StatusEvent(*self.reports[-1])}} if self.reports else {}


def make_settings(
    kind: Kind,
    id: str,
    *,
    signals: Iterable[Signal] = tuple(Signal),
    meter: RecordingMeter | None = None,
    pipeline: str | None = None,
) -> Settings:
    """Return settings for a component made by hand."""
    return Settings(
        id=ComponentId.parse(kind, id),
        signals=frozenset(signals),
        meter=meter or RecordingMeter(),
        logger=logging.getLogger(f"untrace_pipeline.test.{kind.singular}.{id}"),
        pipeline=PipelineId.parse(pipeline) if pipeline else None,
    )
