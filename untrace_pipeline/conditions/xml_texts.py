"""``ParseXML`` and ``ParseSimplifiedXML``: texts of XML as maps, without entities of their own and within bounds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from xml.parsers import expat

from untrace_pipeline.conditions.converters import as_text
from untrace_pipeline.conditions.function import Function, simple
from untrace_pipeline.data import Value
from untrace_pipeline.errors import EvaluationError

__all__ = ["XML_TEXTS"]

_DEEPEST = 100


@dataclass(slots=True)
class _Element:
    tag: str
    attributes: dict[str, str]
    pieces: list[str] = field(default_factory=list)
    children: list[_Element] = field(default_factory=list)


def _local(name: str) -> str:
    return name.rpartition(":")[2]


class _Reader:
    """Builds elements from what the parser reports."""

    def __init__(self) -> None:
        self.root = _Element("", {})
        self._open = [self.root]

    def read(self, text: str) -> _Element:
        """Return the document as an element that holds the outermost one. Raises :class:`EvaluationError`."""
        parser = expat.ParserCreate()
        parser.buffer_text = True
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._text
        parser.EntityDeclHandler = self._refuse
        try:
            parser.Parse(text.encode("utf-8", "replace"), True)
        except expat.ExpatError:
            msg = "this is no XML"
            raise EvaluationError(msg) from None
        return self.root

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        if len(self._open) > _DEEPEST:
            msg = f"the XML is nested more than {_DEEPEST} deep"
            raise EvaluationError(msg)
        element = _Element(_local(name), {_local(key): value for key, value in attributes.items()})
        self._open[-1].children.append(element)
        self._open.append(element)

    def _end(self, _: str) -> None:
        self._open.pop()

    def _text(self, data: str) -> None:
        self._open[-1].pieces.append(data)

    def _refuse(self, *_: Any) -> None:
        msg = "XML with entities of its own is not read: they can grow beyond all bounds"
        raise EvaluationError(msg)


def _full(element: _Element) -> dict[str, Value]:
    """Return tag, content, attributes and children of an element; what is empty is left out."""
    content = "".join([piece.strip() for piece in element.pieces])
    children: list[Value] = [_full(child) for child in element.children]
    found: dict[str, Value] = {"tag": element.tag}
    parts: dict[str, Value] = {"content": content, "attributes": dict(element.attributes), "children": children}
    return {**found, **{name: value for name, value in parts.items() if value}}


def _simplified(parent: _Element) -> dict[str, Value]:
    """Return children by tag: text where they hold only that, else maps; a list where a tag comes several times."""
    counts = Counter(child.tag for child in parent.children)
    found: dict[str, Any] = {}
    for child in parent.children:
        value: Value = _simplified(child) if child.children else "".join(child.pieces)
        if counts[child.tag] > 1 and (value or child.pieces or child.children):
            found.setdefault(child.tag, [])
            if value:
                found[child.tag].append(value)
        elif value:
            found[child.tag] = value
    return found


def _parsing(convert: Callable[[_Element], Value]) -> Callable[[Any], Value]:
    return lambda text: convert(_Reader().read(as_text(text)))


XML_TEXTS: tuple[Function, ...] = (
    simple("ParseXML", _parsing(lambda document: _full(document.children[0])), "target"),
    simple("ParseSimplifiedXML", _parsing(_simplified), "target"),
)
