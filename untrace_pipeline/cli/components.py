"""``components``: what is installed, and which package brought it."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Sequence
from textwrap import fill
from typing import Any

from untrace_pipeline.api.detector import installed_detectors
from untrace_pipeline.api.factory import ConnectorFactory, Factory
from untrace_pipeline.api.identity import Kind
from untrace_pipeline.data.signal import Signal
from untrace_pipeline.errors import PluginError
from untrace_pipeline.registry import Installed, Registry

__all__ = ["execute"]

_WIDTH = 120
_COLUMNS = ("type", "signals", "stability", "package", "version", "description")


def execute(arguments: argparse.Namespace) -> int:
    """Print a table per kind and the names of detectors, or the components as JSON."""
    found = list(_components(Registry()))
    if arguments.json:
        print(json.dumps(found, indent=2, ensure_ascii=False))
    else:
        print("\n\n".join(_table(kind, [one for one in found if one["kind"] == kind.value]) for kind in Kind))
        names = ", ".join(installed_detectors()) or "none"
        print("\ndetectors", fill(names, _WIDTH, initial_indent="  ", subsequent_indent="  "), sep="\n")
    return 0


def _components(registry: Registry) -> Iterable[dict[str, Any]]:
    """Yield one entry per component; other spellings of it are named in the entry."""
    for one in registry.installed():
        try:
            factory = registry.load(one.kind, one.type_name)
        except PluginError as error:
            yield _entry(one, stability="broken", error=str(error))
            continue
        if one.type_name == factory.type_name:
            yield _described(one, factory)


def _described(one: Installed, factory: Factory[Any]) -> dict[str, Any]:
    return _entry(
        one,
        aliases=list(factory.aliases),
        stability=str(factory.stability),
        signals=_signals(factory, one.kind),
        description=factory.description,
        extra=factory.extra,
    )


def _entry(one: Installed, **told: Any) -> dict[str, Any]:
    fixed: dict[str, Any] = {
        "kind": one.kind.value,
        "type": one.type_name,
        "aliases": [],
        "stability": "",
        "signals": [],
        "package": one.package,
        "version": one.version,
        "description": "",
        "extra": None,
    }
    return fixed | told


def _signals(factory: Factory[Any], kind: Kind) -> list[str]:
    if kind is Kind.EXTENSION:
        return []
    if isinstance(factory, ConnectorFactory):
        return [f"{a} to {b}" for a in Signal for b in Signal if (a, b) in factory.pairs]
    return [str(signal) for signal in Signal if signal in factory.signals]


def _table(kind: Kind, entries: Sequence[dict[str, Any]]) -> str:
    if not entries:
        return f"{kind.value}\n  none"
    rows = [[_cell(entry, column) for column in _COLUMNS] for entry in entries]
    widths = [max(len(row[i]) for row in rows) for i in range(len(_COLUMNS))]
    lines = ["  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows]
    return "\n".join([kind.value, *(line.rstrip() for line in lines)])


def _cell(entry: dict[str, Any], column: str) -> str:
    if column == "type":
        return ", ".join([entry["type"], *entry["aliases"]])
    if column == "signals":
        return "all" if len(entry["signals"]) == len(Signal) else ", ".join(entry["signals"]) or "-"
    if column == "description":
        return str(entry.get("error") or entry["description"])
    return str(entry[column])
