"""Expressions: where a value comes from.

==================================  =============================================================================
``$.data.model``                    a JSONPath: the value that it finds, a list where it has ``[*]``, ``..`` or filters
``@.timestamp``                     the same over the whole body, where the event is a part of it
``header:x-github-event``           a header of the request
``$.request_body | json | $.model`` a text that is JSON, and a path inside of it
``$.model ?? $.name ?? unknown``    the first that is there; the last may be a constant
``{$.action} of {$.repo.name}``     text with any of these in braces; ``{{`` and ``}}`` are braces
anything else                       a constant
==================================  =============================================================================
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from untrace_pipeline.conditions.json_paths import json_finder

__all__ = ["Evaluate", "View", "compile_expression", "compile_structure", "text_of"]

_SOURCE = re.compile(r"\s*(?:[$@](?=[.\[\s|?]|\Z)|header:)")
_PIECE = re.compile(r"\{\{|\}\}|\{(\s*(?:[$@]|header:)[^{}]*)\}")
_QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"")
_MANY = re.compile(r"\[\s*\*|\.\.|\?\(|\[\?|:\d|\d:|\.\*|,")


@dataclass(frozen=True, slots=True)
class View:
    """What expressions look at."""

    event: Any
    body: Any = None
    header: Callable[[str], str] = field(default=lambda _name: "")
    """Returns a header by its name in lower case, empty if it is absent."""


Evaluate = Callable[[View], Any]
"""Returns a value, ``None`` where there is none. Never fails."""


def compile_expression(text: str) -> Evaluate:
    """Return what an expression says. Raises ``ValueError`` (a ``ConditionError``) for a path that is none."""
    if _SOURCE.match(text):
        return _alternatives(text)
    pieces = list(_PIECE.finditer(text))
    return _template(text, pieces) if pieces else lambda _view: text


def compile_structure(given: Any) -> Evaluate:
    """Return what makes a JSON value of a template: lists and maps whose texts are expressions.

    What is absent is left out of maps and lists; a map or list of which nothing is left is absent, too.
    """
    if isinstance(given, str):
        return compile_expression(given)
    if isinstance(given, Mapping):
        parts = {str(key): compile_structure(value) for key, value in given.items()}
        return lambda view: {key: value for key, part in parts.items() if (value := part(view)) is not None} or None
    if isinstance(given, list):
        listed = [compile_structure(one) for one in given]
        return lambda view: [value for part in listed if (value := part(view)) is not None] or None
    return lambda _view: given


def text_of(value: Any) -> str:
    """Return a value as text: JSON of what is none, nothing for what is absent."""
    if value is None or isinstance(value, str):
        return value or ""
    return orjson.dumps(value, default=str).decode()


def _alternatives(text: str) -> Evaluate:
    chains = [_chain(part.strip()) for part in text.split("??")]
    if len(chains) == 1:
        return chains[0]

    def evaluate(view: View) -> Any:
        for chain in chains:
            if (found := chain(view)) not in (None, "", []):
                return found
        return None

    return evaluate


def _chain(text: str) -> Evaluate:
    if not _SOURCE.match(text):
        return lambda _view: text
    first, *stages = [part.strip() for part in text.split("|")]
    steps = [_stage(stage) for stage in stages]
    source = _source(first)

    def evaluate(view: View) -> Any:
        value = source(view)
        for step in steps:
            if value is None:
                return None
            value = step(value)
        return value

    return evaluate if steps else source


def _source(text: str) -> Evaluate:
    if text.startswith("header:"):
        name = text.removeprefix("header:").strip().lower()
        return lambda view: view.header(name) or None
    find = _finder("$" + text[1:])
    return (lambda view: find(view.body)) if text.startswith("@") else (lambda view: find(view.event))


def _stage(text: str) -> Callable[[Any], Any]:
    if text == "json":
        return _parsed
    if text.startswith("$"):
        return _finder(text)
    msg = f"{text!r} is neither json nor a JSONPath"
    raise ValueError(msg)


def _finder(path: str) -> Callable[[Any], Any]:
    find = json_finder(path)
    if _MANY.search(_QUOTED.sub("", path)):
        return lambda given: find(given) or None

    def first(given: Any) -> Any:
        found = find(given)
        return found[0] if found else None

    return first


def _parsed(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return orjson.loads(value)
    except orjson.JSONDecodeError:
        return None


def _template(text: str, pieces: list[re.Match[str]]) -> Evaluate:
    parts: list[str | Evaluate] = []
    position = 0
    for piece in pieces:
        parts.append(text[position : piece.start()])
        parts.append(_alternatives(piece[1].strip()) if piece[1] else piece[0][0])
        position = piece.end()
    parts.append(text[position:])
    return lambda view: "".join([part if isinstance(part, str) else text_of(part(view)) for part in parts])
