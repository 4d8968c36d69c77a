"""Makes a single item smaller by cutting its longest texts, and marks it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson

from untrace_pipeline.data import ATTRIBUTES, Batch, Field, Level, Signal
from untrace_pipeline.errors import DecodeError

__all__ = ["MARK", "shorten"]

MARK = "untrace.truncated"
"""Attribute of an item that was shortened: the names of what was cut."""
LEAST_BYTES = 64
"""Texts are not cut to less than this."""
ENDING = "…[truncated]"

Place = tuple[Field, int, str | None]
"""Field, row of its level, and key for an attribute; the body of a log record has none."""


def shorten(batch: Batch, max_bytes: int) -> Batch | None:
    """Return a batch of one item that is shorter by what exceeds ``max_bytes``, or ``None`` if nothing can be cut.

    The longest texts are cut first, to one length; a text that was cut ends in ``…[truncated]``, and the attribute
    ``untrace.truncated`` of the item lists their names. Texts are attributes of every level and the body of a log
    record; a list or map that is cut becomes the beginning of its JSON. The result is larger than asked for where
    most of the size is something else.
    """
    try:
        texts = dict(_texts(batch))
    except DecodeError:
        return None
    limit = _limit([len(text.encode()) for text in texts.values()], batch.byte_size - max_bytes)
    cut = {place: _cut(text, limit) for place, text in texts.items() if len(text.encode()) > limit}
    if not cut:
        return None
    shorter = batch.copy()
    for (field, row, key), text in cut.items():
        shorter.set(field if key is None else Field(field.level, ATTRIBUTES, key), [text], [row])
    mark = Field(Level.ITEM, ATTRIBUTES, MARK)
    names = dict.fromkeys([key or field.name for field, _, key in cut])
    before = shorter.column(mark)[0]
    known = before if isinstance(before, list) else []
    shorter.set(mark, [[*known, *(name for name in names if name not in known)]])
    shorter.to_otlp()  # its size is what the caller wants to know next
    return shorter


def _limit(sizes: list[int], excess: int) -> int:
    """Return the length to cut to, so that at least ``excess`` bytes go where that is possible."""
    sizes = sorted(sizes, reverse=True)
    above = 0
    for number, size in enumerate(sizes, start=1):
        above += size
        following = sizes[number] if number < len(sizes) else 0
        if above - number * following >= excess:
            return max((above - excess) // number, LEAST_BYTES)
    return LEAST_BYTES


def _cut(text: str, limit: int) -> str:
    return text.encode()[: limit - len(ENDING.encode())].decode(errors="ignore") + ENDING


def _texts(batch: Batch) -> Iterator[tuple[Place, str]]:
    for level in _levels(batch.signal):
        field = Field(level, ATTRIBUTES)
        for row, attributes in enumerate(batch.column(field)):
            yield from (((field, row, key), value) for key, value in _strings(attributes))
    if batch.signal is Signal.LOGS:
        body = Field(Level.ITEM, "body")
        yield from (
            ((body, row, None), value) for row, value in enumerate(batch.column(body)) if isinstance(value, str)
        )


def _levels(signal: Signal) -> tuple[Level, ...]:
    if signal is Signal.TRACES:
        return (Level.RESOURCE, Level.SCOPE, Level.ITEM, Level.EVENT, Level.LINK)
    return (Level.RESOURCE, Level.SCOPE, Level.ITEM)


def _strings(attributes: Any) -> Iterator[tuple[str, str]]:
    for key, value in (attributes or {}).items():
        if key == MARK:
            continue
        if isinstance(value, str):
            yield key, value
        elif isinstance(value, list | dict):
            yield key, orjson.dumps(value, default=bytes.hex).decode()
