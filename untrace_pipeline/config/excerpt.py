"""Source lines as problems show them: cut to fit, secrets masked, the caret where it belongs."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from untrace_pipeline.config.diagnostics import Path, Problem

if TYPE_CHECKING:
    from untrace_pipeline.config.nodes import Place

__all__ = ["MASK", "at_place", "is_sensitive", "mask_urls"]

MASK = "[REDACTED]"
_WIDTH = 110
"""Longest excerpt; a longer line is cut around the caret."""
_SENSITIVE = re.compile(
    r"pass(?:word|wd|phrase)|secret|token|api_?key|access_?key|private_?key|key_pem|authorization|credential|cookie|"
    r"\bdsn\b|connection_string|htpasswd|\bsas_|webhook_url",
)
_NOT_SENSITIVE = re.compile(r"(?:_file|_path|_dir|_url|_endpoint|_name|_header|_id|_count|_limit)\Z")
_CONTAINERS = frozenset({"headers", "htpasswd", "credentials", "secrets"})
"""Mappings whose values are all taken for secrets."""
_REFERENCE = re.compile(r"""\s*(["']?)\$\{(?:(?:env:)?[A-Za-z_]\w*|file:[^{}]+)\}\1\s*\Z""")
_USERINFO = re.compile(r"(?<=://)([^/@\s\"']+)(?=@)")
_BEARER = re.compile(r"(?<=\bBearer )\S+|(?<=\bBasic )\S+", re.IGNORECASE)
_KEY = re.compile(
    r"""(?P<key>"(?:[^"\\]|\\.){0,99}"|'[^']{0,99}'|(?<![\w./-])[\w./-]{1,99})\s{0,9}:(?=\s|$)[ ]{0,99}"""
)
"""A key and its colon; bounded, so that a long line costs no quadratic time."""


def is_sensitive(path: Path) -> bool:
    """Tell by the names in a path whether its value is taken for a secret, whatever its type says."""
    names = [str(part).lower().replace("-", "_") for part in path]
    if any(name in _CONTAINERS for name in names):
        return True
    last = next((name for name, part in zip(reversed(names), reversed(path), strict=True) if isinstance(part, str)), "")
    return bool(_SENSITIVE.search(last)) and not _NOT_SENSITIVE.search(last)


def mask_urls(text: str) -> str:
    """Hide user and password of URLs, and bearer tokens, in any text."""
    return _BEARER.sub(MASK, _USERINFO.sub(MASK, text))


def at_place(place: Place, *, masks: Sequence[Place] | None = None, **told: Any) -> Problem:
    """Return a problem at a place, with the source line.

    ``masks`` are the places of secrets, where the file could be read; without, secrets are guessed by the text.
    """
    source = place.source
    if not source.in_file:
        return Problem(file=source.name, line=0, column=0, path=told.pop("path", ""), **told)
    excerpt, caret = _excerpt(place, masks)
    caret = min(caret, len(excerpt) + 1)  # trailing blanks are not shown
    return Problem(
        file=source.name,
        line=place.line,
        column=place.column,
        path=told.pop("path", ""),
        excerpt=excerpt,
        caret=caret,
        width=max(1, min(place.width, len(excerpt) - caret + 1)),
        **told,
    )


def _excerpt(place: Place, masks: Sequence[Place] | None) -> tuple[str, int]:
    """Return the line as it may be shown, and the column of the caret in it, from 1."""
    lines = place.source.lines
    if place.line > len(lines) or not lines[place.line - 1].strip():
        return "", 1
    line = lines[place.line - 1]
    spans = _guessed(lines, place.line - 1) if masks is None else _known(place, masks)
    spans += [found.span() for pattern in (_USERINFO, _BEARER) for found in pattern.finditer(line)]
    shown, caret, end = "", place.column, 0
    for begin, stop in sorted(spans):
        if stop <= end or _REFERENCE.match(line[begin:stop]):
            continue
        start = max(begin, end)
        shown += line[end:start]
        mask = "" if begin < end else MASK  # a token in a secret, with the quote behind it
        if place.column - 1 >= stop:
            caret += len(mask) - (stop - start)
        elif place.column - 1 > start:
            caret = len(shown) + 1
        shown += mask
        end = stop
    shown += line[end:]
    return _cut("".join(c if c.isprintable() else " " for c in shown).rstrip(), caret)


def _cut(text: str, caret: int) -> tuple[str, int]:
    if len(text) <= _WIDTH:
        return text, caret
    start = max(0, min(caret - _WIDTH // 2, len(text) - _WIDTH))
    shown = ("…" if start else "") + text[start : start + _WIDTH] + ("…" if start + _WIDTH < len(text) else "")
    return shown, caret - start + (1 if start else 0)


def _known(place: Place, masks: Sequence[Place]) -> list[tuple[int, int]]:
    """Return the parts of the line that lie in known secrets."""
    spans = []
    for mask in masks:
        if mask.source is place.source and mask.line <= place.line <= mask.end_line:
            text = place.source.lines[place.line - 1]
            start = mask.column - 1 if mask.line == place.line else len(text) - len(text.lstrip())
            stop = mask.end_column - 1 if mask.end_line == place.line else len(text)
            if start < stop:
                spans.append((start, stop))
    return spans


def _guessed(lines: Sequence[str], number: int) -> list[tuple[int, int]]:
    """Return what looks like a secret in a line of a file that could not be read."""
    line = lines[number]
    indent = len(line) - len(line.lstrip())
    if any(is_sensitive((key,)) for key in _keys_above(lines, number, indent)):
        key = _KEY.search(line)
        return [(key.end() if key else indent, len(line))]
    for key in _KEY.finditer(line):
        if is_sensitive((key["key"].strip("\"'"),)):
            return [(key.end(), len(line))]
    return []


def _keys_above(lines: Sequence[str], number: int, indent: int) -> list[str]:
    keys = []
    for line in reversed(lines[:number]):
        here = len(line) - len(line.lstrip())
        key = _KEY.match(line.strip().removeprefix("- ")) if line.strip() and here < indent else None
        if key:
            keys.append(key["key"].strip("\"'"))
            indent = here
    return keys
