"""From YAML text to nodes.

Built from parser events, not by the library's composer: so nesting, size and the expansion of aliases are bounded, and
duplicate keys are seen. Scalars follow the YAML 1.2 core schema with go-yaml's octal numbers (``0755``): ``on``,
``12:30`` and ``2026-01-01`` stay strings, as in the Collector.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import yaml

from untrace_pipeline.config.diagnostics import Problem
from untrace_pipeline.config.excerpt import at_place
from untrace_pipeline.config.nodes import List, Map, Node, Place, Scalar, Source
from untrace_pipeline.errors import ConfigError

__all__ = ["MAX_DEPTH", "parse"]

MAX_DEPTH = 64
"""Levels of nesting; real files stay below 15, and recursion over the tree stays far from Python's limit."""
MAX_VALUES = 100_000
"""Values after aliases are followed; stops the "billion laughs"."""
MAX_CHARACTERS = 8 * 2**20
"""Of one file: far above any real one, and read within seconds."""

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_TAG = "tag:yaml.org,2002:"
_NOT_ALLOWED = re.compile("[\\x00-\\x08\\x0b\\x0c\\x0e-\\x1f\\x7f-\\x84\\x86-\\x9f\\ud800-\\udfff\\ufffe\\uffff]")
"""Outside of YAML's printable characters (YAML 1.2, c-printable)."""
_INTEGER = re.compile(r"[-+]?(?:0b[01_]+|0o[0-7_]+|0x[0-9a-fA-F_]+|[0-9][0-9_]*)\Z")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?\Z")
_WORDS: dict[str, bool | float | None] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys((".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF"), float("inf")),
    **dict.fromkeys(("-.inf", "-.Inf", "-.INF"), float("-inf")),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), float("nan")),
}
_MAX_DIGITS = 64
"""Longer runs of digits stay strings: Python refuses huge ones, and no option needs them."""


def parse(source: Source) -> Node | None:
    """Return the tree of a YAML text, ``None`` if it holds no document.

    Raises :class:`ConfigError`: syntax, duplicate keys, several documents, too deep or too large.
    """
    if len(source.text) > MAX_CHARACTERS:
        nowhere = Source(source.name, in_file=False)
        raise ConfigError([_problem(nowhere, "yaml-limit", f"larger than {MAX_CHARACTERS} characters")])
    composer = _Composer(source)
    try:
        for event in yaml.parse(source.text, Loader=_LOADER):
            composer.feed(event)
    except yaml.MarkedYAMLError as error:
        composer.problems.append(_syntax_problem(source, error))
    except (yaml.YAMLError, UnicodeError) as error:
        composer.problems.append(_character_problem(source, error))
    except _TooMuchError as error:
        composer.problems.append(error.problem)
    if composer.problems:
        raise ConfigError(composer.problems)
    return composer.root


def resolve(text: str) -> str | int | float | bool | None:
    """Return the value that a plain scalar stands for."""
    if text in _WORDS:
        return _WORDS[text]
    if len(text) > _MAX_DIGITS:
        return text
    if _INTEGER.match(text):
        digits = text.lstrip("+-").replace("_", "")
        base = 0 if digits[:2] in {"0b", "0o", "0x"} else _octal_or_decimal(digits)
        return (-1 if text[0] == "-" else 1) * int(digits, base) if len(digits) > (0 if base else 2) else text
    return float(text) if _FLOAT.match(text) else text


def _octal_or_decimal(digits: str) -> int:
    return 8 if len(digits) > 1 and digits[0] == "0" and not set(digits) & set("89") else 10


class _TooMuchError(Exception):
    def __init__(self, problem: Problem) -> None:
        self.problem = problem


@dataclass(slots=True)
class _Open:
    """A collection whose end has not come yet; children of a mapping are keys and values in turn."""

    is_map: bool
    start: Place
    anchor: str | None
    children: list[Node] = field(default_factory=list)


class _Composer:
    """Turns events into nodes without recursion."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.root: Node | None = None
        self.problems: list[Problem] = []
        self._stack: list[_Open] = []
        self._anchors: dict[str, Node | None] = {}
        self._documents = 0

    def feed(self, event: yaml.Event) -> None:
        """Take the next event."""
        if isinstance(event, yaml.ScalarEvent):
            self._add(self._scalar(event), event.anchor)
        elif isinstance(event, yaml.CollectionStartEvent):
            self._begin(event)
        elif isinstance(event, yaml.CollectionEndEvent):
            self._end(event)
        elif isinstance(event, yaml.AliasEvent):
            self._alias(event)
        elif isinstance(event, yaml.DocumentStartEvent):
            self._documents += 1
            if self._documents > 1:
                self._stop("yaml-syntax", "a second document begins here; one file holds one configuration", event)

    def _begin(self, event: yaml.CollectionStartEvent) -> None:
        if len(self._stack) >= MAX_DEPTH:
            self._stop("yaml-limit", f"nested deeper than {MAX_DEPTH} levels", event)
        if event.tag not in {None, "!", _TAG + "map", _TAG + "seq"}:
            self._report("yaml-syntax", _unsupported(event.tag), self._place(event))
        if event.anchor:
            self._anchors[event.anchor] = None
        self._stack.append(_Open(isinstance(event, yaml.MappingStartEvent), self._place(event), event.anchor))

    def _end(self, event: yaml.CollectionEndEvent) -> None:
        opened = self._stack.pop()
        end = self._place(event)
        place = replace(opened.start, end_line=end.end_line, end_column=end.end_column)
        node = self._map(place, opened.children) if opened.is_map else self._list(place, opened.children)
        self._add(node, opened.anchor)

    def _list(self, place: Place, children: list[Node]) -> List:
        return List(place, children, weight=1 + sum(child.weight for child in children))

    def _map(self, place: Place, children: list[Node]) -> Map:
        entries: dict[str, tuple[Place, Node]] = {}
        merged: dict[str, tuple[Place, Node]] = {}
        for key, value in zip(children[::2], children[1::2], strict=True):
            if not isinstance(key, Scalar):
                self._report("bad-key", "a key must be a plain word, not a list or mapping", key.place)
            elif key.text == "<<" and key.place.width == len("<<"):  # not in quotes
                for name, entry in self._merge_entries(value):
                    merged.setdefault(name, entry)
            elif key.text in entries:
                first = entries[key.text][0]
                self._report("duplicate-key", f"the key {key.text} is already in line {first.line}", key.place)
            else:
                entries[key.text] = (key.place, value)
        everything = {**merged, **entries} if merged else entries
        return Map(place, everything, weight=1 + sum(node.weight for _, node in everything.values()))

    def _merge_entries(self, value: Node) -> Iterator[tuple[str, tuple[Place, Node]]]:
        for source in value.items if isinstance(value, List) else [value]:
            if isinstance(source, Map):
                yield from source.entries.items()
            else:
                self._report("yaml-syntax", "<< must name a mapping or a list of mappings", source.place)

    def _alias(self, event: yaml.AliasEvent) -> None:
        name = str(event.anchor)
        node = self._anchors.get(name)
        if node is None:
            what = "contains itself" if name in self._anchors else "is not defined above"
            self._stop("yaml-syntax", f"alias *{name} {what}", event)
        else:
            self._add(node, None)

    def _scalar(self, event: yaml.ScalarEvent) -> Scalar:
        plain = event.implicit[0]
        value: str | int | float | bool | None = resolve(event.value) if plain else event.value
        tag = event.tag
        if tag == "!":
            value = event.value
        elif tag:
            if tag not in {_TAG + name for name in ("str", "int", "float", "bool", "null")}:
                self._report("yaml-syntax", _unsupported(tag), self._place(event))
            value = event.value if tag == _TAG + "str" else resolve(event.value)
        return Scalar(self._place(event), value, event.value)

    def _add(self, node: Node, anchor: str | None) -> None:
        if node.weight > MAX_VALUES:
            message = f"more than {MAX_VALUES} values, counted after aliases are followed"
            raise _TooMuchError(_problem(self.source, "yaml-limit", message, node.place))
        if anchor:
            self._anchors[anchor] = node
        if self._stack:
            self._stack[-1].children.append(node)
        else:
            self.root = node

    def _place(self, event: yaml.Event) -> Place:
        start, end = event.start_mark, event.end_mark
        assert start is not None
        assert end is not None
        return Place(self.source, start.line + 1, start.column + 1, end.line + 1, end.column + 1)

    def _report(self, code: str, message: str, place: Place) -> None:
        self.problems.append(_problem(self.source, code, message, place))

    def _stop(self, code: str, message: str, event: yaml.Event) -> None:
        raise _TooMuchError(_problem(self.source, code, message, self._place(event)))


def _unsupported(tag: object) -> str:
    return f"the tag {str(tag).replace(_TAG, '!!')} is not supported"


def _problem(source: Source, code: str, message: str, place: Place | None = None) -> Problem:
    return at_place(place or Place(source, 1, 1, 1, 1), code=code, message=message)


def _syntax_problem(source: Source, error: yaml.MarkedYAMLError) -> Problem:
    mark = error.problem_mark or error.context_mark
    if error.context_mark and mark and mark.line >= len(source.lines) - 1 and not source.lines[-1].strip():
        mark = error.context_mark  # the end of the text tells nothing, the place where it went wrong does
    line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
    text = source.lines[line - 1] if line <= len(source.lines) else ""
    message = f"this is no valid YAML: {error.problem or error.context or 'unreadable'}"
    if "\t" in text[:column]:
        message = "a tab cannot indent YAML; use spaces"
    elif error.problem and error.context and error.context_mark:
        message += f" ({error.context} that begins in line {error.context_mark.line + 1})"
    return _problem(source, "yaml-syntax", message, Place(source, line, column, line, column + 1))


def _character_problem(source: Source, error: Exception) -> Problem:
    for number, text in enumerate(source.lines, 1):
        found = _NOT_ALLOWED.search(text)
        if found:
            place = Place(source, number, found.start() + 1, number, found.end() + 1)
            return _problem(source, "yaml-syntax", f"the character U+{ord(found[0]):04X} is not allowed", place)
    reason = getattr(error, "reason", None) or "unreadable"
    return _problem(source, "yaml-syntax", f"this is no valid YAML: {reason}")
