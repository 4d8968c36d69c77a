"""Exporters of a configuration, made a second time to send dead letters again, beside the daemon or without it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from untrace_pipeline import native
from untrace_pipeline.api.consumer import Consumer
from untrace_pipeline.api.identity import ComponentId, Kind
from untrace_pipeline.cli.letters import Desk, Storage, UsageError, unknown
from untrace_pipeline.config.model import ComponentSpec, ServiceSpec
from untrace_pipeline.data import Signal
from untrace_pipeline.delivery import DeliveryConfig
from untrace_pipeline.delivery.storage import DeadLetterStorage, QueueStorage
from untrace_pipeline.engine.graph import UnitId
from untrace_pipeline.engine.lifecycle import Deadline, start_all, stop_all
from untrace_pipeline.engine.unit import Blueprint, Unit

__all__ = ["Targets", "exporters_of", "extensions_for"]

SHUTDOWN_SECONDS = 5.0
"""For closing connections: nothing is in a queue."""


Letters = Mapping[str, frozenset[Signal]]
"""The signals of the letters that are to be sent, by the exporter that gave them up."""


def exporters_of(desk: Desk, letters: Letters, to: str | None) -> dict[str, ComponentId]:
    """Return which exporter gets the letters of which. Raises :class:`UsageError` where that cannot be."""
    there = {str(one): one for one in desk.spec.components if one.kind is Kind.EXPORTER}
    if to is not None and to not in there:
        raise UsageError(unknown("exporter", to, list(there)))
    found: dict[str, ComponentId] = {}
    for name, signals in letters.items():
        target = to or name
        if target not in there:
            hint = "send its letters elsewhere with --to, or leave them out with --destination"
            raise UsageError(f"the exporter {name} is not configured any more: {hint}")
        found[name] = there[target]
        spec = desk.spec.components[there[target]]
        if missing := signals - (spec.factory.signals - spec.config.excludes().keys()):
            words = ", ".join(sorted(missing))
            raise UsageError(f"the exporter {target} takes no {words}: leave those letters out with --signal")
    return found


class Targets:
    """The exporters, with the extensions that they need. Everything is started, and stopped, together."""

    def __init__(self, desk: Desk, storage: Storage, letters: Letters, exporters: Mapping[str, ComponentId]) -> None:
        """Make them. Raises :class:`StartError` or :class:`PluginError`."""
        runtime = desk.spec.runtime
        native.configure({part: getattr(runtime, part) for part in native.Part})
        self._desk = desk
        self._storage = storage
        self._units: dict[ComponentId, Unit] = {}
        extensions = {storage.id: storage.unit.component}
        specs = {one: self._for_replay(one) for one in exporters.values()}
        for extension in extensions_for(desk.spec, specs.values(), storage.id):
            unit = self._make(desk.spec.components[extension], frozenset())
            extensions[str(extension)] = unit.component
            if isinstance(unit.component, QueueStorage | DeadLetterStorage):
                del self._units[extension]  # not started: its directory may be the daemon's
        for one, spec in specs.items():
            signals = frozenset().union(*(letters[name] for name, target in exporters.items() if target == one))
            self._make(spec, signals)
        for unit in self._units.values():
            unit.host.extensions = extensions
        self._by_name = {name: self._units[one] for name, one in exporters.items()}

    def consumer(self, exporter: str) -> Consumer:
        """Return where letters of an exporter go."""
        inlet = self._by_name[exporter].inlet
        assert inlet is not None
        return inlet

    async def start(self) -> None:
        """Start all. Raises :class:`StartError`."""
        await start_all(self._units.values())

    async def stop(self) -> None:
        """Stop all."""
        deadline = Deadline(SHUTDOWN_SECONDS)
        await stop_all(list(self._units.values()), {}, deadline)
        deadline.close()

    def _make(self, spec: ComponentSpec, signals: frozenset[Signal]) -> Unit:
        unit = self._desk.builder.make(Blueprint(UnitId(spec.id), spec, signals, frozenset()))
        self._units[spec.id] = unit
        return unit

    def _for_replay(self, exporter: ComponentId) -> ComponentSpec:
        spec = self._desk.spec.components[exporter]
        if not isinstance(spec.config, DeliveryConfig):
            return spec
        return replace(spec, config=spec.config.for_replay(self._storage.id))


def extensions_for(spec: ServiceSpec, specs: Iterable[ComponentSpec], without: str = "") -> list[ComponentId]:
    """Return the extensions that exporters need, and those that these need, but for one."""
    there = {str(one): one for one in spec.extensions}
    waiting: list[Any] = [one.config for one in specs]
    found: dict[ComponentId, None] = {}
    while waiting:
        for names in waiting.pop().references().values():
            for name in names:
                one = there.get(name)
                if one is not None and name != without and one not in found:
                    found[one] = None
                    waiting.append(spec.components[one].config)
    return [one for one in spec.extensions if one in found]
