"""What a stream has cut in two: some instrumentations make an event of each chunk, so that no single one holds a value.

The chunks of a span, in order, are put together again, for each place that holds a piece of the answer. Places are
``choices.0.delta.content`` and the like in documents, or whole attributes that are no JSON. Chunks in log records of
their own are not put together: nothing says that they belong to one stream.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate
from typing import NamedTuple

from untrace_pipeline.api import Finding
from untrace_plugins.processors.redaction.content.search import Place
from untrace_plugins.texts.layers import Layer
from untrace_plugins.texts.leaves import Kind, Part, Span, parts

__all__ = ["TRIGGERS", "Piece", "across"]

TRIGGERS = (r'delta\\*"', r"[._]chunk", r"new_token")
"""What makes an event a chunk, in its name or in its attributes."""
_DELTA = re.compile(r"(?:^|\.)(?:delta|text)(?:\.|$)")
"""Places in documents that hold pieces: OpenAI's ``delta`` and ``text``, Anthropic's ``delta``."""


class Piece(NamedTuple):
    """A part of a chunk."""

    chunk: int
    """Number of the chunk."""
    part: Part
    layer: Layer
    """Its value, in the text of the chunk."""


def across(chunks: Sequence[str], find: Callable[[str], Sequence[Finding]]) -> Iterator[tuple[int, Place]]:
    """Yield what lies in more than one chunk, piece by piece, with the number of the chunk."""
    streams: dict[str, list[Piece]] = {}
    for number, chunk in enumerate(chunks):
        for piece in _pieces(number, chunk):
            streams.setdefault(_place(piece.part), []).append(piece)
    for pieces in streams.values():
        if len(pieces) > 1:
            yield from _split(pieces, find)


def _pieces(number: int, chunk: str) -> Iterator[Piece]:
    for part in parts(chunk, [Span(0, len(chunk), 0)], to_the_end=True) if chunk else ():
        if part.kind is Kind.TEXT or (part.kind is Kind.STRING and _DELTA.search(_place(part))):
            # Escapes of inner strings are left to the detectors, which read through them.
            yield Piece(number, part, Layer(chunk[part.start : part.end], part.start, escaped=part.depth > 0))


def _place(part: Part) -> str:
    return f"{part.scope.path}.{part.key}"


def _split(pieces: Sequence[Piece], find: Callable[[str], Sequence[Finding]]) -> Iterator[tuple[int, Place]]:
    joined = "".join([piece.layer.text for piece in pieces])
    starts = [0, *accumulate([len(piece.layer.text) for piece in pieces])]
    for finding in find(joined):
        first = bisect_right(starts, finding.start) - 1
        last = bisect_left(starts, finding.end) - 1
        if first == last:
            continue
        value = joined[finding.start : finding.end]
        for piece, begin, end in zip(pieces[first : last + 1], starts[first:], starts[first + 1 :], strict=False):
            if begin < end:
                start, stop = piece.layer.outward(max(finding.start, begin) - begin, min(finding.end, end) - begin)
                yield piece.chunk, Place(piece.part._replace(start=start, end=stop), finding, value)
                value = ""
