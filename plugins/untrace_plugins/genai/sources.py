"""Sources of mappings: the name of an attribute, or a JSONPath whose first step names one. Cheap to import."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from typing import Any

from untrace_pipeline.conditions.json_paths import json_finder

__all__ = ["attribute_of", "check_source", "compiled"]

_PATH = re.compile(
    r"""\$(?:\[(?P<quote>['"])(?P<quoted>[^'"]+)(?P=quote)\]|\.(?P<plain>\w+))(?P<rest>.*)\Z""", re.DOTALL
)


def check_source(source: str) -> None:
    """Raise ``ValueError`` for a source that is neither a name nor a JSONPath whose first step names an attribute."""
    if not source.startswith("$"):
        if not source:
            msg = "a source attribute must have a name"
            raise ValueError(msg)
        return
    if _PATH.match(source) is None:
        msg = f"{source!r}: the first step of a path names an attribute: $['my.attribute'].field"
        raise ValueError(msg)
    compiled(source)


def attribute_of(source: str) -> str:
    """Return the attribute that a source reads."""
    found = _PATH.match(source) if source.startswith("$") else None
    return source if found is None else found["quoted"] or found["plain"]


@cache
def compiled(source: str) -> Callable[[Any], list[Any]]:
    """Return what finds the values of a path in the value of its attribute. Raises :class:`ConditionError`."""
    path = _PATH.match(source)
    assert path is not None
    return json_finder("$" + path["rest"])
