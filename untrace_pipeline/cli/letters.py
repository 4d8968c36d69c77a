"""What ``dlq`` and ``replay`` have in common: the stores that a configuration names, and the letters that are meant."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from untrace_pipeline.api.identity import ComponentId, Kind
from untrace_pipeline.cli import counted
from untrace_pipeline.config.loader import load
from untrace_pipeline.config.model import ComponentSpec, LogLevel, LogsConfig, ServiceSpec
from untrace_pipeline.data import Signal
from untrace_pipeline.delivery.dead_letters import Amount, DeadLetterStore, FiledLetter, LetterFilter
from untrace_pipeline.delivery.storage import DeadLetterStorage
from untrace_pipeline.engine.build import Builder
from untrace_pipeline.engine.graph import UnitId
from untrace_pipeline.engine.unit import Blueprint, Unit
from untrace_pipeline.telemetry.logs import configure_logs
from untrace_pipeline.telemetry.metrics import Metrics

__all__ = ["Desk", "Storage", "UsageError", "amount_text", "run", "size_text", "total", "unknown"]

FILE_STORAGE = "file_storage"
PAGE = 1000
_HOW = (
    "the configuration keeps no dead letters: add the extension file_storage, and to exporters\n"
    "  dead_letter_queue: {storage: file_storage}\nsee docs/dead-letters.md"
)
_KIB = 1024


class UsageError(Exception):
    """What was asked for does not fit the configuration or the letters: exit code 2. Stays in the command line."""


@dataclass(frozen=True, slots=True)
class Storage:
    """A storage extension, not started, and its letters."""

    unit: Unit
    store: DeadLetterStore

    @property
    def id(self) -> str:
        """Its id as written in the configuration."""
        return str(self.unit.id.component)


class Desk:
    """The configuration, its stores, and the letters that were asked for."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        self.spec = load(arguments.config, arguments.set).spec
        self.metrics = Metrics()
        self.builder = Builder(self.metrics, dict)
        self.storages = [self._open(one) for one in _storage_ids(self.spec, arguments.storage)]
        self.chosen = _chosen(arguments)
        self.limit: int = getattr(arguments, "limit", 0)

    async def open(self) -> None:
        """Check the stores that there are, and mend them where they must be. For whoever changes something."""
        for one in self.storages:
            await one.store.open()

    async def check(self) -> None:
        """Raise :class:`UsageError` for a ``--destination`` that is neither configured nor the origin of a letter."""
        names = [name for name in self.chosen.exporters if not set(name) & set("*?[")]
        known = {str(one) for one in self.spec.components if one.kind is Kind.EXPORTER}
        if set(names) - known:
            known |= {exporter for one in self.storages for exporter, _ in await one.store.totals()}
        for name in names:
            if name not in known:
                raise UsageError(unknown("exporter", name, sorted(known)))

    async def letters(self, storage: Storage, until_id: int = 0) -> AsyncIterator[Sequence[FiledLetter]]:
        """Yield the letters that were asked for, page by page; what is read may be removed meanwhile."""
        after, left = 0, self.limit or sys.maxsize
        while left:
            found = await storage.store.find(self.chosen, after=after, limit=min(PAGE, left))
            page = [one for one in found if not until_id or one.id <= until_id]
            if not page:
                return
            yield page
            after, left = page[-1].id, left - len(page)

    async def amounts(self, storage: Storage) -> dict[tuple[str, Signal], Amount]:
        """Return how much was asked for, by exporter and signal."""
        if not self.limit:
            return dict(await storage.store.signals(self.chosen))
        found: dict[tuple[str, Signal], Amount] = {}
        async for page in self.letters(storage):
            for one in page:
                key = (one.exporter, one.signal)
                found[key] = found.get(key, Amount()) + Amount(1, one.items, one.bytes)
        return found

    async def close(self) -> None:
        """Close the stores."""
        for one in self.storages:
            await one.store.close()

    def _open(self, id: ComponentId) -> Storage:
        """Make the extension, without starting it: the daemon may be running."""
        unit = self.builder.make(Blueprint(UnitId(id), self.spec.components[id], frozenset(), frozenset()))
        store = unit.component.dead_letters() if isinstance(unit.component, DeadLetterStorage) else None
        if not isinstance(store, DeadLetterStore):
            raise UsageError(f"extension {id} keeps no dead letters that could be looked into")
        return Storage(unit, store)


def run(arguments: argparse.Namespace, work: Callable[[Desk, argparse.Namespace], Coroutine[Any, Any, int]]) -> int:
    """Open the stores, do something, close them, and return its exit code; 2 for bad usage."""

    async def main() -> int:
        desk = Desk(arguments)
        try:
            await desk.check()
            return await work(desk, arguments)
        finally:
            await desk.close()

    configure_logs(LogsConfig(level=LogLevel.ERROR))
    try:
        return asyncio.run(main())
    except UsageError as error:
        print(f"{arguments.parser.prog}: {error}", file=sys.stderr)
        return 2


def total(amounts: Iterable[Amount]) -> Amount:
    """Return the sum."""
    return sum(amounts, Amount())


def amount_text(amount: Amount) -> str:
    """Return ``2 dead letters (20 items, 24.6 KiB)``."""
    return f"{counted(amount.letters, 'dead letter')} ({counted(amount.items, 'item')}, {size_text(amount.bytes)})"


def size_text(size: float) -> str:
    """Return a size for people: ``512 B``, ``24.6 KiB``."""
    for unit in ("B", "KiB", "MiB"):
        if size < _KIB:
            return f"{size:.0f} B" if unit == "B" else f"{size:.1f} {unit}"
        size /= _KIB
    return f"{size:.1f} GiB"


def unknown(what: str, name: str, known: Sequence[str]) -> str:
    """Return what is said of a name that does not exist."""
    close = get_close_matches(name, known, n=1)
    hint = f"\ndid you mean: {close[0]}?" if close else ""
    return f"there is no {what} {name}; there: {', '.join(known) or 'none'}{hint}"


def _storage_ids(spec: ServiceSpec, wanted: str | None) -> list[ComponentId]:
    """Return the storages that exporters name, or else all of the usual type; or the wanted one."""
    there = {str(one): one for one in spec.components if one.kind is Kind.EXTENSION}
    if wanted is not None:
        if wanted not in there:
            raise UsageError(unknown("extension", wanted, list(there)))
        return [there[wanted]]
    named = {name for one in spec.components.values() for name in _storages_of(one)}
    usual = {name for name, one in there.items() if spec.components[one].factory.type_name == FILE_STORAGE}
    found = [one for name, one in there.items() if name in (named or usual)]
    if not found:
        raise UsageError(_HOW)
    return found


def _storages_of(component: ComponentSpec) -> Iterator[str]:
    """Yield the storages that an exporter names, wherever its dead-letter queue stands in the options."""
    for option, names in component.config.references().items():
        if option.endswith("dead_letter_queue.storage"):
            yield from names


def _chosen(arguments: argparse.Namespace) -> LetterFilter:
    if "id" not in arguments:
        return LetterFilter()
    return LetterFilter(
        ids=arguments.id,
        exporters=arguments.destination,
        reasons=arguments.reason,
        codes=arguments.code,
        signals=[Signal(one) for one in arguments.signal],
        tenants=arguments.tenant,
        since=arguments.since,
        until=arguments.until,
    )
