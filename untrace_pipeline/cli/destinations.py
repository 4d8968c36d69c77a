"""``destinations``: what can be sent to, what it needs, and whether it works."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from textwrap import fill
from typing import Any

import yaml

from untrace_pipeline.api.destination import About
from untrace_pipeline.api.factory import ExporterFactory
from untrace_pipeline.api.identity import Kind
from untrace_pipeline.cli.tables import table
from untrace_pipeline.config.options import options_of
from untrace_pipeline.errors import PluginError
from untrace_pipeline.registry import Installed, Registry

__all__ = ["execute"]

_WIDTH = 120


def execute(arguments: argparse.Namespace) -> int:
    """Do what the subcommand says."""
    if arguments.action in {"list", "show"}:
        return {"list": _list, "show": _show}[arguments.action](arguments)
    from untrace_pipeline.cli.destination_trials import check, send_test  # noqa: PLC0415  needs the engine

    return {"check": check, "send-test": send_test}[arguments.action](arguments)


# ----------------------------------------------------------------------- list


def _list(arguments: argparse.Namespace) -> int:
    entries = [
        {
            "type": factory.type_name,
            "aliases": list(factory.aliases),
            "title": about.title,
            "category": about.category,
            "signals": sorted(factory.signals),
            "package": one.package,
            "docs": about.docs,
        }
        for one, factory, about in _known(Registry())
    ]
    if arguments.json:
        print(json.dumps(entries, indent=2, ensure_ascii=False))
        return 0
    for category in dict.fromkeys(str(entry["category"]) for entry in entries):
        rows = [
            {
                "type": ", ".join([str(entry["type"]), *map(str, entry["aliases"])]),
                "destination": str(entry["title"]),
                "signals": ", ".join(map(str, entry["signals"])),
                "docs": str(entry["docs"]),
            }
            for entry in entries
            if entry["category"] == category
        ]
        print(f"{category}\n{table(rows, indent='  ')}\n")
    print("what one needs: untrace-pipeline destinations show TYPE")
    return 0


def _known(registry: Registry) -> Iterator[tuple[Installed, ExporterFactory[Any], About]]:
    for one in registry.installed():
        if one.kind is not Kind.EXPORTER:
            continue
        try:
            factory = registry.load(one.kind, one.type_name)
        except PluginError:
            continue  # `components` shows what is wrong with it
        if isinstance(factory, ExporterFactory) and factory.about is not None and one.type_name == factory.type_name:
            yield one, factory, factory.about


# ----------------------------------------------------------------------- show


def _show(arguments: argparse.Namespace) -> int:
    registry = Registry()
    name = arguments.name
    factory = registry.load(Kind.EXPORTER, name) if name in registry.names(Kind.EXPORTER) else None
    if not isinstance(factory, ExporterFactory) or factory.about is None:
        close = registry.suggest(Kind.EXPORTER, name)
        what = "belongs to no one platform; its README has its options" if factory is not None else "is not installed"
        hint = f"\ndid you mean: {close}?" if close and close != name else ""
        print(f"untrace-pipeline destinations: exporter {name} {what}{hint}", file=sys.stderr)
        return 2
    about = factory.about
    options = dict(_own_options(factory, about))
    if arguments.json:
        shown = {"type": factory.type_name, **asdict(about), "options": options, "signals": sorted(factory.signals)}
        print(json.dumps(shown, indent=2, ensure_ascii=False))
        return 0
    print(
        "\n".join(filter(None, [f"{about.title} ({factory.type_name}): {factory.description}", about.docs])), end="\n\n"
    )
    print(_yaml(factory.type_name, about.minimal))
    for title, rows in (("options", list(options.items())), ("facts", list(about.facts))):
        if rows:
            print(f"{title}\n{table([{'': key, ' ': text} for key, text in rows], indent='  ', header=False)}\n")
    if about.look:
        print(f"where to look\n{_paragraph(about.look)}\n")
    for note in about.notes:
        print(_paragraph(note, "- "))
    return 0


def _own_options(factory: ExporterFactory[Any], about: About) -> Iterator[tuple[str, str]]:
    """Yield the options that are of this destination, with their meaning."""
    known = options_of(factory.config)
    for name in about.options:
        option = known[name]
        text = " ".join((option.description or "").replace("``", "`").split())
        yield name, f"{'required. ' if option.is_required() else ''}{text}"


def _yaml(type_name: str, minimal: Mapping[str, Any]) -> str:
    section = {"exporters": {type_name: dict(minimal) or None}}
    return yaml.safe_dump(section, sort_keys=False, allow_unicode=True).replace(" null", "")


def _paragraph(text: str, start: str = "  ") -> str:
    return fill(text, _WIDTH, initial_indent=start, subsequent_indent="  ")
