"""Sources of mappings: the name of an attribute, or a JSONPath whose first step names one. Cheap to import."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from typing import Any

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
    try:
        compiled(source)
    except Exception as error:  # the parser raises its own and bare exceptions, without a common base
        msg = f"{source!r} is no JSONPath: {error}"
        raise ValueError(msg) from error


def attribute_of(source: str) -> str:
    """Return the attribute that a source reads."""
    found = _PATH.match(source) if source.startswith("$") else None
    return source if found is None else found["quoted"] or found["plain"]


@cache
def compiled(source: str) -> Callable[[Any], Any]:
    """Return what finds the matches of a path in the value of its attribute. Raises what the parser raises."""
    from jsonpath_ng.ext.parser import parse  # noqa: PLC0415  30 ms that only these mappings need

    path = _PATH.match(source)
    assert path is not None
    find: Callable[[Any], Any] = parse("$" + path["rest"]).find
    return find
