"""Bodies as the objects they are: JSON or a stream, whole or cut, compressed or not."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from untrace_plugins.genai.providers.decoding import Decoded, decoded
from untrace_plugins.genai.providers.exchange import Body
from untrace_plugins.genai.providers.json_pieces import array_items, load, recovered
from untrace_plugins.genai.providers.reader import Merger, Reader
from untrace_plugins.genai.providers.sse import is_stream, payloads
from untrace_plugins.genai.reading import UNREADABLE

__all__ = ["Content", "read_answer", "read_object"]

_DONE = b"[DONE]"


class Content(NamedTuple):
    """What a body says."""

    given: dict[str, Any]
    """Empty if nothing of it could be read."""
    whole: bool
    """Whether all of it was there, and could be read."""
    first_content: int | None = None
    """When the first chunk with content had come, on the monotonic clock in nanoseconds; only of streams."""


_NOTHING = Content({}, whole=True)
_UNREADABLE = Content({}, whole=False)


def read_object(body: Body) -> Content:
    """Return the JSON object of a body; ``{}`` of an empty one."""
    text = decoded(body)
    if text is None:
        return _UNREADABLE
    return _object(text)


def read_answer(body: Body, reader: Reader) -> Content:
    """Return the answer of a provider, put together if it was streamed."""
    text = decoded(body)
    if text is None:
        return _UNREADABLE
    if reader.merger is not None:
        if is_stream(text.head or text.tail):
            return _stream(text, reader.merger(), _events(text))
        if text.head.lstrip()[:1] == b"[":
            return _stream(text, reader.merger(), array_items(text.head, text.tail))
    return _object(text)


def _object(text: Decoded) -> Content:
    if not text.head:
        return _NOTHING
    found = load(text.head) if text.complete else None
    if isinstance(found, list) and found:  # Google's errors of a stream
        found = found[0]
    if isinstance(found, dict):
        return Content(found, whole=True)
    return Content(recovered(text.head, text.tail) or {}, whole=False)


def _events(text: Decoded) -> Iterator[tuple[Any, int]]:
    """Yield the events of a stream; ``None`` for those that are no JSON."""
    for data, end in payloads(text.head):
        if data != _DONE:
            yield load(data), end
    if text.tail:
        for data, _ in payloads(text.tail):
            if data != _DONE:
                yield load(data), len(text.head) + 1


def _stream(text: Decoded, merger: Merger, events: Iterator[tuple[Any, int]]) -> Content:
    whole, first = text.complete, None
    for event, end in events:
        try:
            if merger.add(event) and first is None:
                first = end
        except UNREADABLE:  # no JSON, or not of the shape that the API has
            whole = False
    return Content(merger.whole(), whole, None if first is None else text.time_at(first))
