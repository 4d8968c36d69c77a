"""Bodies as the objects they are: JSON or a stream, whole or cut, compressed or not."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from untrace_plugins.genai.providers.decoding import Decoded, decoded
from untrace_plugins.genai.providers.exchange import Body
from untrace_plugins.genai.providers.json_pieces import array_items, item_end, load, recovered
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
            end, answer = _merged(text, reader.merger(), _events(text))
            return answer if end is None else _begun(answer, text, end)
        if text.head.lstrip()[:1] == b"[":
            items = enumerate(array_items(text.head, text.tail))
            number, answer = _merged(text, reader.merger(), ((item, number) for number, item in items))
            return answer if number is None else _begun(answer, text, item_end(text.head, number))
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


def _merged(text: Decoded, merger: Merger, events: Iterable[tuple[Any, int]]) -> tuple[int | None, Content]:
    """Return the answer that the events of a stream make, and what came with the first of them that had content."""
    whole, first = text.complete, None
    for event, place in events:
        try:
            if merger.add(event) and first is None:
                first = place
        except UNREADABLE:  # no JSON, or not of the shape that the API has
            whole = False
    return first, Content(merger.whole(), whole)


def _begun(answer: Content, text: Decoded, offset: int) -> Content:
    return answer._replace(first_content=text.time_at(offset))
