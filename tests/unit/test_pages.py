"""Pages are found: every link leads somewhere, and every page is reached from the README."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = pytest.mark.once

ROOT = Path(__file__).resolve().parents[2]
LINK = re.compile(r"\]\(([^)#\s]*)(?:#[^)\s]*)?\)")


def targets(page: Path) -> Iterator[Path]:
    """Yield the files and directories that a page links to."""
    text = re.sub(r"^ *```.*?^ *```|`[^`\n]*`", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    for link in LINK.findall(text):
        if "://" not in link:
            yield (page.parent / link).resolve() if link else page


def reached() -> set[Path]:
    """Return the pages that links lead to from the README; a directory stands for the pages in it."""
    pages: set[Path] = set()
    left = [ROOT / "README.md"]
    while left:
        page = left.pop()
        if page not in pages:
            pages.add(page)
            for target in targets(page):
                left.extend(target.glob("*.md") if target.is_dir() else [target] if target.suffix == ".md" else [])
    return pages


def test_links_lead_somewhere() -> None:
    """No link of a page that a reader comes to is broken."""
    broken = {f"{page.relative_to(ROOT)}: {link}" for page in reached() for link in targets(page) if not link.exists()}
    assert not broken


def test_every_page_is_reached() -> None:
    """Whoever begins with the README finds every page of documentation, of components and of deployment."""
    pages = {page for room in ("docs", "plugins", "deploy", "benchmarks") for page in (ROOT / room).rglob("*.md")}
    assert {str(page.relative_to(ROOT)) for page in pages - reached()} == set()
