"""Pages of destinations: ``python -m untrace_pipeline.config.destination_pages [--check]``.

Writes the head of ``docs/destinations/<type>.md`` for every exporter of this distribution that tells of its
destination, and the table of all in ``docs/destinations.md``. What people have written below or around it stays.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from untrace_pipeline.api.destination import About
from untrace_pipeline.api.factory import ExporterFactory
from untrace_pipeline.api.identity import Kind
from untrace_pipeline.config.document import meaning_of
from untrace_pipeline.config.options import options_of
from untrace_pipeline.registry import Registry

__all__ = ["main"]

DOCS = Path(__file__).resolve().parents[2] / "docs"
_BEGIN, _END = "<!-- generated -->", "<!-- /generated -->"
_PACKAGE = "untrace-pipeline"


def main(arguments: list[str]) -> int:
    """Write the pages, or with ``--check`` return 1 if one is out of date, or of nothing that is there."""
    only_check = "--check" in arguments
    known = dict(_known())
    pages = {DOCS / "destinations" / f"{name}.md": _head(factory, about) for name, (factory, about) in known.items()}
    pages[DOCS / "destinations.md"] = _table(known)
    failed = [path for path, text in pages.items() if _renewed(path, text, only_check=only_check)]
    strangers = set((DOCS / "destinations").glob("*.md")) - pages.keys()
    for path in sorted((*failed, *strangers)):
        sys.stdout.write(f"{'of no destination' if path in strangers else 'out of date'}: {path}\n")
    return 1 if strangers or (failed and only_check) else 0


def _known() -> Iterator[tuple[str, tuple[ExporterFactory[Any], About]]]:
    registry = Registry()
    for one in registry.installed():
        if one.kind is Kind.EXPORTER and one.package == _PACKAGE:
            factory = registry.load(one.kind, one.type_name)
            if isinstance(factory, ExporterFactory) and factory.about and one.type_name == factory.type_name:
                yield one.type_name, (factory, factory.about)


def _renewed(path: Path, text: str, *, only_check: bool) -> bool:
    """Exchange the generated part of a page; return whether it was another one."""
    old = path.read_text(encoding="utf-8") if path.exists() else f"{_BEGIN}\n{_END}\n"
    before, _, rest = old.partition(_BEGIN)
    _, _, after = rest.partition(_END)
    new = f"{before}{_BEGIN}\n{text}\n{_END}{after}"
    if new != old and not only_check:
        path.parent.mkdir(exist_ok=True)
        path.write_text(new, encoding="utf-8")
    return new != old


def _table(known: dict[str, tuple[ExporterFactory[Any], About]]) -> str:
    categories = dict.fromkeys(about.category for _, about in known.values())
    return "\n\n".join(_section(category, known) for category in sorted(categories))


def _section(category: str, known: dict[str, tuple[ExporterFactory[Any], About]]) -> str:
    rows = [
        f"| [{about.title}](destinations/{name}.md) | {_types(factory)} | {', '.join(sorted(factory.signals))} "
        f"| {factory.description} |"
        for name, (factory, about) in known.items()
        if about.category == category
    ]
    head = "| destination | type | signals | what it does |\n| --- | --- | --- | --- |"
    return "\n".join([f"## {category[0].upper()}{category[1:]}", head, *rows])


def _types(factory: ExporterFactory[Any]) -> str:
    return ", ".join(f"`{name}`" for name in (factory.type_name, *factory.aliases))


def _head(factory: ExporterFactory[Any], about: About) -> str:
    own_page = f" [Its own page]({about.docs})." if about.docs else ""
    parts = [f"# {about.title}", f"Exporter {_types(factory)}: {factory.description}.{own_page}"]
    section = {"exporters": {factory.type_name: dict(about.minimal) or None}}
    text = yaml.safe_dump(section, sort_keys=False, allow_unicode=True).replace(" null", "").rstrip()
    parts.append(f"```yaml\n{text}\n```")
    if about.options:
        parts.append("\n".join(["| option | meaning |", "| --- | --- |", *_options(factory, about)]))
    if about.facts:
        facts = [f"| {title} | {_code(fact)} |" for title, fact in about.facts]
        parts.append("\n".join(["| what | how it is |", "| --- | --- |", *facts]))
    if about.look:
        parts.append(f"**Where to look:** {about.look}")
    if about.notes:
        parts.append("\n".join(f"- {note}" for note in about.notes))
    return "\n\n".join(parts)


def _options(factory: ExporterFactory[Any], about: About) -> Iterator[str]:
    known = options_of(factory.config)
    for name in about.options:
        required = "**Required.** " if known[name].is_required() else ""
        yield f"| `{name}` | {required}{meaning_of(known[name])} |"


def _code(fact: str) -> str:
    """Mark what has places, or is an address, as code; Markdown would take it for something else."""
    text = fact.replace("|", "\\|")
    return f"`{text}`" if "{" in text or text.startswith("http") else text


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
