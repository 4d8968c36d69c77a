"""Finds components by entry point, loads them by name and only when they are asked for.

A destination may also be a file of data, a *preset*: an exporter is made of it when it is loaded. Packages bring them
through the group ``untrace_pipeline.destinations`` (``acme = "acme_presets:acme"`` is ``acme.yaml`` in the package
``acme_presets``), users in a directory of their own, where a file wins over the preset of the same name.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache, cached_property
from importlib.metadata import Distribution, EntryPoint, entry_points
from importlib.resources import files
from pathlib import Path
from typing import Any

from untrace_pipeline.api.factory import Factory
from untrace_pipeline.api.identity import Kind
from untrace_pipeline.errors import PluginError

__all__ = ["PRESETS_DIRECTORY_VARIABLE", "Installed", "Registry"]

PRESETS_DIRECTORY_VARIABLE = "UNTRACE_DESTINATION_PRESETS_DIR"
"""Names the user's directory of presets."""
_PRESETS = "untrace_pipeline.destinations"
_MAKERS = "untrace_pipeline.destination_makers"
"""Group of the function that makes the factory of an exporter from the text of a preset; the one called ``yaml``."""


@dataclass(frozen=True, slots=True)
class Installed:
    """One entry point, or file of a user: a type, or another spelling of one."""

    kind: Kind
    type_name: str
    package: str
    version: str
    origin: EntryPoint | Path

    @property
    def is_preset(self) -> bool:
        """Whether it is data that a factory is made of."""
        return isinstance(self.origin, Path) or self.origin.group == _PRESETS

    @property
    def source(self) -> str:
        """Where it comes from, for messages."""
        return str(self.origin) if isinstance(self.origin, Path) else self.origin.value

    def load(self) -> Any:
        """Import the factory, or make it."""
        if isinstance(self.origin, EntryPoint) and not self.is_preset:
            return self.origin.load()
        (maker,) = entry_points(group=_MAKERS, name="yaml")
        return maker.load()(self._text())

    def _text(self) -> str:
        if isinstance(self.origin, Path):
            return self.origin.read_text(encoding="utf-8")
        name = self.origin.attr or self.type_name
        return files(self.origin.module).joinpath(f"{name}.yaml").read_text(encoding="utf-8")


class Registry:
    """The installed components. Reading the list imports nothing; ``load`` imports one factory."""

    def __init__(self, points: Iterable[Installed] | None = None, presets_directory: Path | None = None) -> None:
        self._given = None if points is None else list(points)
        self._directory = presets_directory
        self._loaded: dict[tuple[Kind, str], Factory[Any]] = {}

    @cached_property
    def _installed(self) -> dict[tuple[Kind, str], Installed]:
        found = _discover() if self._given is None else self._given
        table: dict[tuple[Kind, str], Installed] = {}
        for one in found:
            other = table.setdefault((one.kind, one.type_name), one)
            if other.origin != one.origin and other.source != one.source:
                msg = (
                    f"{one.kind.singular} type {one.type_name!r} is brought by two packages, {other.package} and "
                    f"{one.package}: uninstall one of them"
                )
                raise PluginError(msg)
        return table | {(one.kind, one.type_name): one for one in _of_directory(self._directory)}

    def with_presets(self, directory: Path | None) -> Registry:
        """Return a registry that has the presets of a user's directory as well, instead of those of the environment.

        Nothing is read yet.
        """
        return Registry(self._given, directory)

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
    groups = [(kind, kind.group) for kind in Kind] + [(Kind.EXPORTER, _PRESETS)]
    return [
        Installed(kind, point.name, *package(point.dist), point)
        for kind, group in groups
        for point in points.select(group=group)
    ]


def _of_directory(directory: Path | None) -> Iterator[Installed]:
    """Yield the presets of a user. Raises :class:`PluginError` where the directory cannot be read."""
    named = directory or os.environ.get(PRESETS_DIRECTORY_VARIABLE)
    if not named:
        return
    try:
        found = sorted(path for path in Path(named).iterdir() if path.suffix in {".yaml", ".yml"})
    except OSError as error:
        msg = f"destination presets cannot be read from {named}: {error.strerror or error}"
        raise PluginError(msg) from error
    for path in found:
        yield Installed(Kind.EXPORTER, path.stem, str(named), "-", path)


def _package(distribution: Distribution | None) -> tuple[str, str]:
    return (distribution.name, distribution.version) if distribution else ("unknown", "unknown")


def _import(installed: Installed) -> Factory[Any]:
    where = f"{installed.kind.singular} {installed.type_name} of {installed.package} {installed.version}"
    try:
        factory = installed.load()
    except Exception as error:
        msg = f"{where} cannot be loaded from {installed.source}: {type(error).__name__}: {error}"
        raise PluginError(msg) from error
    if not isinstance(factory, Factory) or getattr(factory, "kind", None) is not installed.kind:
        msg = f"{where}: {installed.source} is no factory of a {installed.kind.singular}"
        raise PluginError(msg)
    if installed.type_name != factory.type_name and installed.type_name not in factory.aliases:
        msg = f"{where}: the factory calls itself {factory.type_name} and does not declare this alias"
        raise PluginError(msg)
    return factory
