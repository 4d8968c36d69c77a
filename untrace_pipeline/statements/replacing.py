"""Patterns and replacements, as Go's ``regexp`` understands them, on RE2."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from untrace_pipeline.conditions.patterns import compile_pattern
from untrace_pipeline.data.search import Searcher
from untrace_pipeline.errors import ConditionError, EvaluationError

__all__ = ["Template", "formatted", "pattern_of", "replaced", "template_of"]

_GROWTH = 1 << 16
"""Bytes by which a replacement may lengthen a text: one that grows with every row soon fills the memory."""
_LONG = 1 << 14
_LONGEST_FOR_NOTHING = 1 << 20
"""Bytes of a text up to which a pattern may match nothing at all: it does so at every single one of them."""
_FAST = 1 << 27
"""Bytes that a text could have if all of it were replaced, up to which nobody needs to count."""
_REFERENCE = re.compile(r"\$(?:\$|(?P<braced>\{(?P<inner>\w+)\})|(?P<bare>\w+))", re.ASCII)
_FORMAT = re.compile(r"%(?:%|s)|%")


def pattern_of(value: Any) -> Any:
    """Return a compiled pattern. Raises :class:`EvaluationError` for what is none."""
    try:
        return compile_pattern(value)
    except (ConditionError, TypeError):
        msg = "the pattern is no regular expression"
        raise EvaluationError(msg) from None


@dataclass(frozen=True, slots=True)
class Template:
    """A replacement: text and groups (numbers or names) in turn, texts at both ends."""

    texts: tuple[bytes, ...]
    groups: tuple[str, ...] = ()

    def expand(self, match: Any) -> bytes:
        """Return the text for a match; a group that the pattern does not have, or that did not take part, is empty."""
        pieces = [self.texts[0]]
        for name, text in zip(self.groups, self.texts[1:], strict=True):
            pieces += (_group(match, name), text)
        return b"".join(pieces)


@lru_cache(maxsize=256)
def template_of(text: str) -> Template:
    """Return what a replacement means: ``$1``, ``${name}`` are groups, ``$$`` is a dollar sign."""
    texts, groups, end = [""], list[str](), 0
    for found in _REFERENCE.finditer(text):
        texts[-1] += text[end : found.start()]
        end = found.end()
        name = found["inner"] or found["bare"]
        if name is None:
            texts[-1] += "$"
        else:
            groups.append(name)
            texts.append("")
    texts[-1] += text[end:]
    return Template(tuple(one.encode("utf-8", "replace") for one in texts), tuple(groups))


def _group(match: Any, name: str) -> bytes:
    if name.isdigit():
        return (match.group(int(name)) or b"") if int(name) <= match.re.groups else b""
    return (match.group(name) or b"") if name in match.re.groupindex else b""


def replaced(pattern: Any, text: str, template: Template, through: Callable[[bytes], bytes] | None = None) -> str:
    """Return a text with every match replaced by the template, or by what a function makes of that; by Go's rules.

    The same object if nothing matches. Raises :class:`EvaluationError` where the text would become much longer.
    """
    raw = text.encode("utf-8", "replace")
    if not template.groups and len(raw) * (len(template.texts[0]) + 1) < _FAST:
        fast = _searcher(pattern.pattern)
        if fast is not None:
            new = fast.replace(raw, template.texts[0] if through is None else through(template.texts[0]))
            _bounded(len(new) - len(raw))
            return text if new is raw else new.decode()
    if len(raw) > _LONGEST_FOR_NOTHING and pattern.search(b"") is not None:
        msg = f"a pattern that matches the empty text is not used on more than {_LONGEST_FOR_NOTHING} bytes"
        raise EvaluationError(msg)
    if through is None and len(raw) > _LONG:
        outcome = _of_long_text(pattern.pattern, text, template)
        if isinstance(outcome, EvaluationError):
            raise outcome
        return outcome
    return _replaced(pattern, text, raw, template, through)


@lru_cache(maxsize=4)
def _of_long_text(pattern: str, text: str, template: Template) -> str | EvaluationError:
    """Remember the last outcomes: rows that share a long text shall not take their time one after the other."""
    try:
        return _replaced(compile_pattern(pattern), text, text.encode("utf-8", "replace"), template, None)
    except EvaluationError as error:
        return error


def _replaced(pattern: Any, text: str, raw: bytes, template: Template, through: Callable[[bytes], bytes] | None) -> str:
    pieces: list[bytes] = []
    end, last, growth = 0, -1, 0
    for match in pattern.finditer(raw):
        start, stop = match.span()
        # An empty match right behind another one does not count, and there is none within a character.
        if start == stop and (stop == last or (start < len(raw) and raw[start] & 0xC0 == 0x80)):  # noqa: PLR2004
            continue
        new = template.expand(match)
        new = new if through is None else through(new)
        pieces += (raw[end:start], new)
        end = last = stop
        growth += len(new) - (stop - start)
        _bounded(growth)
    if not pieces:
        return text
    pieces.append(raw[end:])
    return b"".join(pieces).decode("utf-8", "replace")


def _bounded(growth: int) -> None:
    if growth > _GROWTH:
        msg = f"the replacement lengthens the text by more than {_GROWTH} bytes"
        raise EvaluationError(msg)


@lru_cache(maxsize=128)
def _searcher(pattern: str) -> Searcher | None:
    """Return the pattern for the native search, which is a hundred times faster, where it means the same there."""
    try:
        return Searcher([pattern])
    except ValueError:
        return None


def formatted(template: str, text: str) -> str:
    """Return a text put into the only ``%s`` of a template. Raises :class:`EvaluationError` for any other template."""
    if [found for found in _FORMAT.findall(template) if found != "%%"] != ["%s"]:
        msg = "a replacement format holds %s once, and no other %"
        raise EvaluationError(msg)
    return template.replace("%s", text, 1).replace("%%", "%")
