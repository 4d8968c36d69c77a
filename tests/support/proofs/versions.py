"""Versions of peers, as their recipes pin them."""

from __future__ import annotations

import re
from pathlib import Path

__all__ = ["pinned"]

RECIPES = Path(__file__).parents[1] / "peers"
_BETWEEN = r"(?:==| v|\": \"|</artifactId>\s*<version>)"
"""In requirements.txt, go.mod, package.json and pom.xml."""


def pinned(recipe: str, package: str) -> str:
    """Return the version of a package in the recipe of a peer."""
    for path in sorted((RECIPES / recipe).iterdir()):
        found = re.search(rf"{re.escape(package)}{_BETWEEN}([\w.+-]+)", path.read_text(errors="replace"))
        if found and path.suffix in {".txt", ".mod", ".json", ".xml"}:
            return found[1]
    msg = f"{recipe} pins no {package}"
    raise LookupError(msg)
