"""Patterns and replacements, as Go's ``regexp`` and gobwas/glob understand them, on RE2."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from untrace_pipeline.conditions.patterns import compile_pattern
from untrace_pipeline.errors import ConditionError, EvaluationError

__all__ = ["compile_glob", "expander", "formatted", "pattern_of", "replaced"]

_REFERENCE = re.compile(r"\$(?:\$|(?P<braced>\{(?P<inner>\w+)\})|(?P<bare>\w+))", re.ASCII)
_FORMAT = re.compile(r"%(?:%|s)|%")


def pattern_of(value: Any) -> Any:
    """Return a compiled pattern. Raises :class:`EvaluationError` for what is none."""
    try:
        return compile_pattern(value)
    except (ConditionError, TypeError):
        msg = "the pattern is no regular expression"
        raise EvaluationError(msg) from None


@lru_cache(maxsize=256)
def expander(template: str) -> Callable[[Any], str]:
    """Return a function from a match to the text of a template: ``$1``, ``${name}``, ``$$`` for a dollar sign.

    A group that the pattern does not have, or that did not take part, is empty.
    """
    parts: list[str | tuple[str]] = []
    end = 0
    for found in _REFERENCE.finditer(template):
        parts.append(template[end : found.start()])
        name = found["inner"] or found["bare"]
        parts.append("$" if name is None else (name,))
        end = found.end()
    parts.append(template[end:])
    if all(isinstance(part, str) for part in parts):
        text = "".join(part for part in parts if isinstance(part, str))
        return lambda match: text
    return lambda match: "".join([part if isinstance(part, str) else _group(match, part[0]) for part in parts])


def _group(match: Any, name: str) -> str:
    if name.isdigit():
        return (match.group(int(name)) or "") if int(name) <= match.re.groups else ""
    return (match.group(name) or "") if name in match.re.groupindex else ""


def replaced(pattern: Any, text: str, expand: Callable[[Any], str]) -> str:
    """Return a text with every match replaced; an empty match right behind another one does not count, as in Go."""
    pieces: list[str] = []
    end = 0
    last = -1
    for match in pattern.finditer(text):
        if match.start() == match.end() == last:
            continue
        pieces += (text[end : match.start()], expand(match))
        end = last = match.end()
    if not pieces:
        return text
    pieces.append(text[end:])
    return "".join(pieces)


@lru_cache(maxsize=256)
def compile_glob(glob: str) -> Any:
    """Return the pattern of a glob: ``*``, ``?``, ``[a-z]``, ``[!a-z]``, ``{one,other}``, ``\\`` before what is meant
    literally. The whole text must match. Raises :class:`ConditionError`."""
    regex, position, depth = [], 0, 0
    while position < len(glob):
        char = glob[position]
        step, text = 1, re.escape(char)
        if char == "*":
            text = ".*"
        elif char == "?":
            text = "."
        elif char == "\\" and position + 1 < len(glob):
            step, text = 2, re.escape(glob[position + 1])
        elif char == "[":
            step, text = _character_class(glob, position)
        elif char == "{":
            depth, text = depth + 1, "(?:"
        elif char == "}" and depth:
            depth, text = depth - 1, ")"
        elif char == "," and depth:
            text = "|"
        regex.append(text)
        position += step
    if depth:
        msg = f"{glob!r}: a brace is not closed"
        raise ConditionError(msg)
    return compile_pattern(f"(?s)^(?:{''.join(regex)})$")


def _character_class(glob: str, position: int) -> tuple[int, str]:
    end = glob.find("]", position + 2)
    if end < 0:
        msg = f"{glob!r}: a bracket is not closed"
        raise ConditionError(msg)
    inner = glob[position + 1 : end]
    negated = inner.startswith("!")
    body = re.sub(r"([\[\]\\^])", r"\\\1", inner[1:] if negated else inner)
    return end + 1 - position, f"[{'^' if negated else ''}{body}]"


def formatted(template: str, text: str) -> str:
    """Return a text put into the only ``%s`` of a template. Raises :class:`EvaluationError` for any other template."""
    if [found for found in _FORMAT.findall(template) if found != "%%"] != ["%s"]:
        msg = "a replacement format holds %s once, and no other %"
        raise EvaluationError(msg)
    return template.replace("%s", text, 1).replace("%%", "%")
