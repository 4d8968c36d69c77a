"""A parsed request as rows of messages, and where each of them lies in the bytes. Everything is found on first use."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain
from typing import Any

from untrace_pipeline.data.codecs.shapes import Shape, shapes_of
from untrace_pipeline.data.codecs.upb_schema import ATTRIBUTE_LISTS, CHILDREN, ID_SIZES, OUTER
from untrace_pipeline.data.codecs.wire import Nodes, walk
from untrace_pipeline.data.fields import Level
from untrace_pipeline.data.signal import Signal
from untrace_pipeline.errors import DecodeError

__all__ = ["UpbRows"]


class UpbRows:
    """Rows of a request. The messages are shared: nobody may change them."""

    def __init__(self, signal: Signal, data: bytes, request: Any) -> None:
        self.signal = signal
        self.data = data
        self._request = request
        self._messages: dict[Level, list[Any]] = {}
        self._owners: dict[Level, list[int]] = {}
        self._shapes: dict[Level, list[Shape]] = {}
        self._nodes: list[Nodes] | None = None

    def count(self, level: Level) -> int:
        """Return the number of rows of a level, without making a Python object of each."""
        if level in self._messages:
            return len(self._messages[level])
        return sum(map(len, self._families(level)))

    def messages(self, level: Level) -> list[Any]:
        """Return the messages of a level in wire order; none for a level that the signal does not have."""
        if level not in self._messages:
            self._expand(level)
        return self._messages[level]

    def owners(self, level: Level) -> list[int]:
        """Return for each row of a level its row on the next level outside."""
        if level not in self._owners:
            self._expand(level)
        return self._owners[level]

    def shapes(self, level: Level, rows: Sequence[int] | None = None) -> list[Shape]:
        """Return the attribute keys of each row of a level, or of the named rows; few rows do not read all others."""
        if level not in self._shapes:
            messages = self.messages(level)
            if rows is not None and len(rows) * 2 < len(messages):
                return shapes_of(map(ATTRIBUTE_LISTS[level], [messages[row] for row in rows]))
            self._shapes[level] = shapes_of(map(ATTRIBUTE_LISTS[level], messages))
        known = self._shapes[level]
        return known if rows is None else [known[row] for row in rows]

    def nodes(self) -> list[Nodes]:
        """Return where the messages of each depth lie, see :func:`~untrace_pipeline.data.codecs.wire.walk`."""
        if self._nodes is None:
            nodes = walk(self.signal, self.data)
            if len(nodes[-1]) != self.count(Level.ITEM):
                raise DecodeError("the containers of the request are ambiguous")
            self._nodes = nodes
        return self._nodes

    def regular(self) -> UpbRows:
        """Return these rows, or their canonical form if the data of one metric comes in several pieces.

        Protobuf merges such pieces on reading; we could cut between them and change what a point means.
        """
        if self.signal is Signal.METRICS:
            datas = self.nodes()[3]
            if len(set(datas.parents)) < len(datas):
                return UpbRows(self.signal, self._request.SerializeToString(), self._request)
        return self

    def _families(self, level: Level) -> list[Sequence[Any]]:
        """Return the messages of a level by their owner, as protobuf's lazy lists."""
        expand = CHILDREN[self.signal].get(level)
        if expand is None:
            return []
        outer = OUTER[self.signal][level]
        return [expand(owner) for owner in ([self._request] if outer is None else self.messages(outer))]

    def check_ids(self) -> None:
        """Raise :class:`DecodeError` if an id is neither empty nor of its length.

        Keeps no Python object of a message: a request of millions of empty items must not fill the memory.
        """
        families = self._families(Level.ITEM)
        if self.signal is Signal.TRACES:
            spans = {
                (len(span.trace_id), len(span.span_id), len(span.parent_span_id), len(span.links) > 0)
                for span in chain.from_iterable(families)
            }
            _check_lengths("span", {sizes[:3] for sizes in spans}, "trace_id", "span_id", "parent_span_id")
            if any(has_links for *_, has_links in spans):
                links = (link for span in chain.from_iterable(families) for link in span.links)
                _check_pairs("link", links)
        elif self.signal is Signal.LOGS:
            _check_pairs("log record", chain.from_iterable(families))
        else:
            points = chain.from_iterable(families)
            _check_pairs("exemplar", (e for point in points for e in getattr(point, "exemplars", ())))

    def _expand(self, level: Level) -> None:
        families = self._families(level)
        self._messages[level] = list(chain.from_iterable(families))
        self._owners[level] = [row for row, family in enumerate(families) for _ in range(len(family))]


def _check_pairs(kind: str, messages: Iterable[Any]) -> None:
    _check_lengths(kind, {(len(m.trace_id), len(m.span_id)) for m in messages}, "trace_id", "span_id")


def _check_lengths(kind: str, found: Iterable[Sequence[int]], *names: str) -> None:
    for sizes in found:
        for name, size in zip(names, sizes, strict=True):
            if size not in (0, ID_SIZES[name]):
                msg = f"{name} of a {kind} has {size} bytes instead of {ID_SIZES[name]}"
                raise DecodeError(msg)
