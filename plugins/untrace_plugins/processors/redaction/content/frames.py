"""Length-delimited fields of a request, and replacing what is in them.

Protobuf writes the length of a message before it, so what grows or shrinks changes the lengths of everything around it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from operator import attrgetter

from untrace_pipeline.data.codecs.wire import varint

__all__ = ["Frame", "splice"]


@dataclass(slots=True, eq=False)
class Frame:
    """A field with a length: its tag, and offsets in the request."""

    parent: Frame | None
    """The message that it is a field of; ``None`` for a field of the request itself."""
    tag: int
    """Number and wire type."""
    begin: int
    """Where the field begins, with its tag."""
    start: int
    """Where its content begins."""
    stop: int
    """The offset behind it."""

    def chain(self) -> Iterator[Frame]:
        """Yield this frame and those around it, from the inside out."""
        frame: Frame | None = self
        while frame is not None:
            yield frame
            frame = frame.parent


def splice(data: bytes, changes: Mapping[Frame, bytes | None]) -> bytes:
    """Return the request with new contents of frames; ``None`` removes the field. Removing wins over changes inside."""
    removed = {frame for frame, new in changes.items() if new is None}
    live = [frame for frame in changes if removed.isdisjoint(_around(frame))]
    growth = dict.fromkeys(_with_ancestors(live), 0)
    pieces: list[tuple[int, int, bytes]] = []
    # What lies in a frame begins behind its start: so the inner ones come first.
    for frame in sorted(growth, key=attrgetter("start"), reverse=True):
        if frame not in changes:
            grown = growth[frame]
            piece = (frame.begin, frame.start, varint(frame.tag) + varint(frame.stop - frame.start + grown))
        else:
            grown = 0
            new = changes[frame]
            content = b"" if new is None else varint(frame.tag) + varint(len(new)) + new
            piece = (frame.begin, frame.stop, content)
        pieces.append(piece)
        if frame.parent is not None:
            growth[frame.parent] += grown + len(piece[2]) - (piece[1] - piece[0])
    pieces.sort()
    return _joined(data, pieces)


def _around(frame: Frame) -> Iterator[Frame]:
    return frame.parent.chain() if frame.parent is not None else iter(())


def _with_ancestors(frames: Iterable[Frame]) -> set[Frame]:
    found: set[Frame] = set()
    for frame in frames:
        for one in frame.chain():
            if one in found:
                break
            found.add(one)
    return found


def _joined(data: bytes, pieces: list[tuple[int, int, bytes]]) -> bytes:
    out: list[bytes] = []
    last = 0
    for begin, stop, new in pieces:
        out += (data[last:begin], new)
        last = stop
    out.append(data[last:])
    return b"".join(out)
