"""Paths of the core trace: ``model``, ``cost``, ``metadata.environment`` or ``$.response.usage.totalTokens``.

They say what an LLM call is, whatever span, attribute or resource holds it, and stand over the paths of ``locators``:
what is no word of the core trace is looked for there, so ``attributes["x"]`` and ``request["X-Tenant"]`` work too.
Names are understood in snake and in camel case.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from untrace_pipeline.conditions.core_fields import (
    ALIASES,
    FIELDS,
    TREE,
    WITH_WILDCARDS,
    attached,
    parsed_json,
    reached,
    tag_reader,
)
from untrace_pipeline.conditions.expression import Expression, Frame, Kind, apply, read
from untrace_pipeline.conditions.json_paths import json_finder
from untrace_pipeline.conditions.locators import Located, RowViews, locate, plain_steps
from untrace_pipeline.data import Level, Signal, attribute

__all__ = ["core_name", "locate_core"]

_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_HEADERS = ("request[", "$.request[")
_PARAMETERS = "request.parameters."

Steps = Sequence[str | int]


def locate_core(path: str, signal: Signal, level: Level) -> Located:
    """Return what a path of the core trace, or else one of ``locators``, reads.

    Raises :class:`ConditionError` if it is neither.
    """
    if level is not Level.ITEM:
        return locate(path, signal, level)
    steps = plain_steps(path)
    if not steps:
        return Located(_json_path(path, signal))
    found = None if path.strip().startswith(_HEADERS) else _plain(steps, signal)
    return found or locate(path, signal, level)


def core_name(path: str) -> str:
    """Return one name for all spellings of a field of the core trace; other paths come back as they are."""
    steps = [] if path.strip().startswith(_HEADERS) else plain_steps(path)
    name = _name(steps) if steps else ""
    return name if name in FIELDS else path.strip().removeprefix("$." if steps else "")


def _plain(steps: Steps, signal: Signal) -> Located | None:
    name = _name(steps)
    if name in FIELDS:
        return Located(FIELDS[name](signal), wildcards=name in WITH_WILDCARDS)
    if name.startswith(_PARAMETERS):
        return Located(read(attribute("gen_ai.request." + name.removeprefix(_PARAMETERS))))
    tag = steps[1:] if steps[0] == "metadata" else steps
    if tag[:1] == ["tags"]:
        return Located(tag_reader(".".join(str(step) for step in tag[1:]))(signal))
    if steps[0] == "metadata":
        return Located(attached(steps[1:])(signal))
    return _inside(steps, signal)


def _name(steps: Steps) -> str:
    name = ".".join(_CAMEL.sub("_", str(step)).lower() for step in steps)
    return ALIASES.get(name, name)


def _inside(steps: Steps, signal: Signal) -> Located | None:
    """Read within messages, which spans hold as JSON: ``request.messages[0].content``."""
    if steps[0] not in {"request", "response"}:
        return None
    name, rest = _name(steps[:2]), steps[2:]
    if name not in FIELDS:
        return None
    return Located(apply(lambda text: _part(parsed_json(text), rest), (FIELDS[name](signal),), safe=True))


def _part(value: Any, steps: Steps) -> Any:
    """Return what lies below; the content of a message is the text of its parts."""
    found = reached(value, steps)
    if found is None and steps[-1] == "content":
        parts = reached(value, [*steps[:-1], "parts"])
        texts = [part.get("content") for part in parts if isinstance(part, dict)] if isinstance(parts, list) else []
        return "\n".join(text for text in texts if isinstance(text, str)) or None
    return found


def _json_path(path: str, signal: Signal) -> Expression:
    """Return all values that a JSONPath finds in the core trace, and in the view of the row that it lies over."""
    find, views = json_finder(path), RowViews(signal, Level.ITEM)
    parts = {name: FIELDS[name](signal) for name in _names(TREE)}
    fields = views.fields.union(*[part.fields for part in parts.values()])

    def evaluate(frame: Frame) -> list[Any]:
        columns = {name: part.evaluate(frame) for name, part in parts.items()}
        return [find({**view, **_grown(TREE, columns, row)}) for row, view in enumerate(views.rows(frame))]

    return Expression(evaluate, fields, Kind.MANY)


def _names(tree: Mapping[str, Any]) -> list[str]:
    return [name for value in tree.values() for name in ([value] if isinstance(value, str) else _names(value))]


def _grown(tree: Mapping[str, Any], columns: Mapping[str, list[Any]], row: int) -> dict[str, Any]:
    grown: dict[str, Any] = {}
    for key, value in tree.items():
        found = columns[value][row] if isinstance(value, str) else _grown(value, columns, row)
        if found not in (None, {}, (), []):
            grown[key] = found
    return grown
