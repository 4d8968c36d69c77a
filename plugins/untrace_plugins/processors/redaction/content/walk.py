"""Finds the texts of a request in which something may be, on the wire: what holds no hit is stepped over."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from untrace_pipeline.data import Signal, search
from untrace_pipeline.data.codecs.wire import fields, read_field, read_varint
from untrace_pipeline.data.search import Keys
from untrace_plugins.processors.redaction.content.frames import Frame
from untrace_plugins.processors.redaction.content.layout import REQUESTS, Part, What

__all__ = ["TRIGGERS", "Text", "walk"]

_LENGTH = 2
_KEY, _VALUE = 1 << 3 | _LENGTH, 2 << 3 | _LENGTH
"""Tags of ``KeyValue``."""
_STRING, _LIST, _MAP, _BYTES = (number << 3 | _LENGTH for number in (1, 5, 6, 7))
"""Tags of ``AnyValue``."""
_INT = 3 << 3
_NUMBERS = frozenset({2 << 3, _INT, 4 << 3 | 1})
"""Tags of numbers and truth values in ``AnyValue``."""
_LARGE = 6
"""Bytes of an ``AnyValue`` from which on an integer has nine digits or more."""
_LEAST_NUMBER, _NEGATIVE = 2**28, 2**63
TRIGGERS = (r"[\n\x12][\x06-\x0a]\x18[^\x00-\x7f]",)
"""Integers of that size within a map or a list: what may be the number of a person or a card."""
_SMALLEST = 6
"""Bytes of an attribute with a key and a number."""
_ITEM = 1 << 3 | _LENGTH
"""Tag of what is in an ``ArrayValue`` or a ``KeyValueList``."""
_MAX_DEPTH = 100
"""Lists and maps in one another; protobuf itself reads no more."""


@dataclass(slots=True, eq=False)
class Text(Frame):
    """A string of the request, or bytes that may be one."""

    name: str
    """Key of the attribute that it lies in; ``name``, ``status.message``, ``event.name`` or ``body`` otherwise."""
    owner: Frame
    """The message whose attributes are beside it: resource, scope, item, event, link, exemplar or metric."""
    item: Frame | None
    """The item that it belongs to; ``None`` in resources, scopes and metadata of metrics."""
    event: Frame | None
    """The event that it belongs to."""
    field: Frame | None
    """What goes if the attribute or the body is dropped; ``None`` for what cannot go."""
    is_key: bool = False
    """Whether it is a key, of an attribute or within a map."""
    is_bytes: bool = False
    """Whether it is a value of bytes."""
    number: int | None = None
    """The number that it is, if it is no text: of a value whose place a string can take."""


def walk(signal: Signal, data: bytes, ends: Sequence[int] | None, keys: Keys, *, use_native: bool = True) -> list[Text]:
    """Return the texts in which the bytes before the ascending offsets ``ends`` lie, or all (``None``), in wire order.

    A hit in a key brings the texts of its value too: it may say what they are. A hit in an event brings all of its
    texts: it may be one of several that hold parts of the same stream. Raises :class:`DecodeError`.
    """
    found = search.texts(signal, data, ends, keys) if use_native and ends is not None else None
    if found is not None:
        return list(_told(found))
    walker = _Walker(data, ends, keys)
    walker.message(REQUESTS[signal], None, 0, len(data), _Place())
    return walker.found


def _told(texts: search.Texts) -> Iterator[Text]:
    """Yield texts that are told by numbers of frames; of these, only what a text needs is made."""
    made: dict[int, Frame] = {}

    def frame(number: int | None) -> Frame | None:
        if number is None:
            return None
        if number not in made:
            parent, tag, begin, start, stop = texts.frames[number]
            made[number] = Frame(frame(parent), tag, begin, start, stop)
        return made[number]

    for text in texts.found:
        parent, tag, begin, start, stop = texts.frames[text.frame]
        owner = frame(text.owner)
        assert owner is not None
        yield Text(
            *(frame(parent), tag, begin, start, stop),
            name=text.name,
            owner=owner,
            item=frame(text.item),
            event=frame(text.event),
            field=frame(text.field),
            is_key=text.is_key,
            is_bytes=text.is_bytes,
            number=text.number,
        )


@dataclass(slots=True)
class _Place:
    """Where in the request the walk is."""

    owner: Frame | None = None
    item: Frame | None = None
    event: Frame | None = None


class _Walker:
    def __init__(self, data: bytes, ends: Sequence[int] | None, keys: Keys) -> None:
        self._data = data
        self._keys = keys
        self._ends = iter(ends or ())
        self._all = ends is None
        self._next = next(self._ends, None)
        self.found: list[Text] = []

    def _hit(self, start: int, stop: int) -> bool:
        """Whether a hit ends within; asked from left to right."""
        if self._all:
            return True
        while self._next is not None and self._next <= start:
            self._next = next(self._ends, None)
        return self._next is not None and self._next <= stop

    def message(self, parts: Mapping[int, Part], frame: Frame | None, pos: int, stop: int, place: _Place) -> None:
        """Look at the fields of a message that may hold texts."""
        while True:
            if not self._all:
                pos = self._without_hit(pos, stop)
            if pos >= stop:
                return
            tag, start, end = read_field(self._data, pos, stop)
            begin, pos = pos, end
            part = parts.get(tag) if self._hit(start, end) else None
            if part is not None and not (part.what is What.ATTRIBUTE and self._needs_no_look(start, end)):
                self._part(part, Frame(frame, tag, begin, start, end), place)

    def _without_hit(self, pos: int, stop: int) -> int:
        """Return the first field that may have a hit, or whose length is not written in one or two bytes."""
        while self._next is not None and self._next <= pos:
            self._next = next(self._ends, None)
        if self._next is None:
            return stop
        data, hit = self._data, self._next
        last = stop - 3
        while pos < last and data[pos] & 0x87 == _LENGTH:
            size = data[pos + 1]
            end = pos + 2 + size
            if size > 0x7F:  # noqa: PLR2004
                high = data[pos + 2]
                if high > 0x7F:  # noqa: PLR2004
                    break
                end = pos + 3 + (size & 0x7F | high << 7)
            if end >= hit or end > stop:
                break
            pos = end
        return pos

    def _part(self, part: Part, frame: Frame, place: _Place) -> None:
        if part.what is What.ATTRIBUTE:
            self._attribute(frame, "", place, frame)
        elif part.what is What.VALUE:
            self._value(frame, part.name, place, frame, 0)
        elif part.what is What.TEXT:
            self._found(frame, part.name, place, None)
        else:
            item = frame if part.what is What.ITEM else place.item
            event = frame if part.what is What.EVENT else place.event
            before, self._all = self._all, self._all or part.what is What.EVENT
            self.message(part.fields, frame, frame.start, frame.stop, _Place(frame, item, event))
            self._all = before

    def _attribute(self, frame: Frame, above: str, place: _Place, field: Frame, depth: int = 0) -> None:
        """Look at a key and its value; the value is looked at whole if the key was hit."""
        parts = [
            Frame(frame, number << 3 | wire, begin, start, end)
            for number, wire, begin, start, end in fields(self._data, frame.start, frame.stop)
        ]
        key = next((self._string(part) for part in reversed(parts) if part.tag == _KEY), "")
        name = f"{above}.{key}" if above else key
        if self._keys.is_ignored(name):
            return
        named = False
        for part in parts:
            if not self._hit(part.start, part.stop) and not named:
                continue
            if part.tag == _KEY:
                named = True
                if not self._keys.is_clean(key):
                    self._found(part, name, place, field, is_key=True)
            elif part.tag == _VALUE:
                before, self._all = self._all, self._all or named
                self._value(part, name, place, field, depth)
                self._all = before

    def _needs_no_look(self, start: int, stop: int) -> bool:
        """Whether an attribute of the usual form is ignored, or is a number under a key that is clean."""
        data = self._data
        if stop - start < _SMALLEST or data[start] != _KEY or data[start + 1] > 0x7F:  # noqa: PLR2004
            return False
        value = start + 2 + data[start + 1]
        if value + 3 > stop or data[value] != _VALUE:
            return False
        key = data[start + 2 : value].decode("utf-8", "replace")
        if self._keys.is_ignored(key):
            return True
        is_large = data[value + 2] == _INT and data[value + 1] >= _LARGE
        return data[value + 2] in _NUMBERS and not is_large and self._keys.is_clean(key)

    def _value(self, frame: Frame, name: str, place: _Place, field: Frame, depth: int) -> None:
        if depth > _MAX_DEPTH:
            return
        for number, wire, begin, start, end in fields(self._data, frame.start, frame.stop):
            tag = number << 3 | wire
            if not self._hit(start, end):
                continue
            if tag == _INT:
                self._number(frame, start, end, name, place, field)
            if wire != _LENGTH:
                continue
            inner = Frame(frame, tag, begin, start, end)
            if tag == _STRING:
                self._found(inner, name, place, field)
            elif tag == _BYTES:
                self._found(inner, name, place, field, is_bytes=True)
            elif tag in {_LIST, _MAP}:
                self._inner(inner, name, place, field, depth + 1)

    def _number(self, frame: Frame, start: int, stop: int, name: str, place: _Place, field: Frame) -> None:
        number, _ = read_varint(self._data, start, stop)
        if _LEAST_NUMBER <= number < _NEGATIVE:
            self._found(frame, name, place, field, number=number)

    def _inner(self, frame: Frame, name: str, place: _Place, field: Frame, depth: int) -> None:
        """Look at the values of a list, or the keys and values of a map."""
        for number, wire, begin, start, end in fields(self._data, frame.start, frame.stop):
            if number << 3 | wire != _ITEM or not self._hit(start, end):
                continue
            inner = Frame(frame, _ITEM, begin, start, end)
            if frame.tag == _MAP:
                self._attribute(inner, name, place, field, depth)
            else:
                self._value(inner, name, place, field, depth)

    def _string(self, frame: Frame) -> str:
        return self._data[frame.start : frame.stop].decode("utf-8", "replace")

    def _found(
        self,
        frame: Frame,
        name: str,
        place: _Place,
        field: Frame | None,
        *,
        is_key: bool = False,
        is_bytes: bool = False,
        number: int | None = None,
    ) -> None:
        self.found.append(
            Text(
                *(frame.parent, frame.tag, frame.begin, frame.start, frame.stop),
                name=name,
                owner=place.owner or frame,
                item=place.item,
                event=place.event,
                field=field,
                is_key=is_key,
                is_bytes=is_bytes,
                number=number,
            )
        )
