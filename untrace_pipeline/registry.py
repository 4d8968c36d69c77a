"""Finds components by entry point, loads them by name and only when they are asked for."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache, cached_property
from importlib.metadata import Distribution, EntryPoint, entry_points
from typing import Any

from untrace_pipeline.api.factory import Factory
from untrace_pipeline.api.identity import Kind
from untrace_pipeline.errors import PluginError

__all__ = ["Installed", "Registry"]


@dataclass(frozen=True, slots=True)
class Installed:
    """One entry point: a type, or another spelling of one."""

    kind: Kind
    type_name: str
    package: str
    version: str
    entry_point: EntryPoint


class Registry:
    """The installed components. Reading the list imports nothing; ``load`` imports one factory."""

    def __init__(self, points: Iterable[Installed] | None = None) -> None:
        self._given = None if points is None else list(points)
        self._loaded: dict[tuple[Kind, str], Factory[Any]] = {}

    @cached_property
    def _installed(self) -> dict[tuple[Kind, str], Installed]:
        found = _discover() if self._given is None else self._given
        table: dict[tuple[Kind, str], Installed] = {}
        for one in found:
            other = table.setdefault((one.kind, one.type_name), one)
            if other.entry_point.value != one.entry_point.value:
                msg = (
                    f"{one.kind.singular} type {one.type_name!r} is brought by two packages, {other.package} and "
                    f"{one.package}: uninstall one of them"
                )
                raise PluginError(msg)
        return table

    def installed(self) -> list[Installed]:
        """Return every entry point, sorted by kind and type."""
        order = list(Kind)
        return sorted(self._installed.values(), key=lambda one: (order.index(one.kind), one.type_name))

    def names(self, kind: Kind) -> list[str]:
        """Return the installed types of a kind, aliases included, sorted; nothing is imported."""
        return sorted(name for k, name in self._installed if k is kind)

    def suggest(self, kind: Kind, type_name: str) -> str | None:
        """Return the installed type that looks most like the one asked for."""
        return next(iter(get_close_matches(type_name, self.names(kind), n=1)), None)

    def load(self, kind: Kind, type_name: str) -> Factory[Any]:
        """Import and return a factory by type or alias.

        Raises ``KeyError`` if nothing of that name is installed, and :class:`PluginError` if it cannot be imported or
        is not a factory of that kind.
        """
        key = (kind, type_name)
        if key not in self._loaded:
            self._loaded[key] = _import(self._installed[key])
        return self._loaded[key]


def _discover() -> list[Installed]:
    """Scan the environment once; the metadata of a package is read once, however much it brings."""
    points = entry_points()
    package = cache(_package)
    return [
        Installed(kind, point.name, *package(point.dist), point)
        for kind in Kind
        for point in points.select(group=kind.group)
    ]


def _package(distribution: Distribution | None) -> tuple[str, str]:
    return (distribution.name, distribution.version) if distribution else ("unknown", "unknown")


def _import(installed: Installed) -> Factory[Any]:
    where = f"{installed.kind.singular} {installed.type_name} of {installed.package} {installed.version}"
    try:
        factory = installed.entry_point.load()
    except Exception as error:
        msg = f"{where} cannot be loaded from {installed.entry_point.value}: {type(error).__name__}: {error}"
        raise PluginError(msg) from error
    if not isinstance(factory, Factory) or getattr(factory, "kind", None) is not installed.kind:
        msg = f"{where}: {installed.entry_point.value} is no factory of a {installed.kind.singular}"
        raise PluginError(msg)
    if installed.type_name != factory.type_name and installed.type_name not in factory.aliases:
        msg = f"{where}: the factory calls itself {factory.type_name} and does not declare this alias"
        raise PluginError(msg)
    return factory
