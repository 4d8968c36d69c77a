"""The interface between bytes and columns; ``upb`` implements it in Python, ``native`` in Rust.

It is narrow on purpose: a codec knows the wire format and nothing of pipelines, a :class:`~untrace_pipeline.data.Batch`
knows overlays and nothing of the wire. Everything that a codec returns is immutable and may be shared by branches.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from untrace_pipeline.data.fields import Field, Level, Value
from untrace_pipeline.data.signal import Signal

__all__ = ["Codec", "Edits", "Table"]


@dataclass(slots=True)
class Edits:
    """What a rewrite changes, in rows of the table that it is applied to.

    ``values`` gives new values per field as ``{row: value}`` (sparse), where ``None`` removes; a whole-map field
    (``attributes`` without key) is replaced before single keys are set. ``drop`` names rows that vanish with
    everything below them; a container that loses its last child vanishes too, one that was empty before stays.
    """

    values: dict[Field, dict[int, Value]] = field(default_factory=dict)
    drop: dict[Level, set[int]] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.values) or bool(self.drop)


class Table(Protocol):
    """One decoded request: rows per level, in wire order."""

    def row_count(self, level: Level) -> int:
        """Return how many rows a level has; 0 for a level that the signal does not have."""

    def parents(self, level: Level, ancestor: Level) -> Sequence[int]:
        """Return for each row of ``level`` the index of its row at ``ancestor``, which must lie outside of it."""

    def columns(self, fields: Sequence[Field], rows: Sequence[int] | None = None) -> list[list[Value]]:
        """Return one list per field with one value per row (or per named row); all fields are of one level.

        Raises ``KeyError`` for a fixed field that the signal does not have at that level.
        """

    def repeated_keys(self, level: Level) -> Sequence[int]:
        """Return the rows of a level that have an attribute key more than once.

        OTLP forbids it, and ``columns`` shows only the first; but receivers may see the others.
        """

    def ranges(self) -> tuple[Sequence[int], Sequence[int]]:
        """Return start and end offset of each item's message body in the request."""

    def rewrite(self, edits: Edits) -> bytes:
        """Return the request with the edits applied; unknown fields and everything not edited survive unchanged.

        Of several attributes with an edited key only the first is kept, so that no old value survives. Raises
        ``ValueError`` naming the field for a value that it cannot hold.
        """

    def partition(self, groups: Sequence[int], count: int) -> list[bytes]:
        """Return ``count`` requests; item ``i`` goes to ``groups[i]``, or nowhere where that is negative.

        Every request repeats what its containers hold besides items; containers without items of it are left out.
        """

    def split(self, max_items: int, max_bytes: int) -> list[bytes]:
        """Return requests of at most that many items and bytes (0 = no limit), in order.

        A single item larger than ``max_bytes`` becomes a request of its own.
        """


class Codec(Protocol):
    """Reads and writes OTLP requests of all signals. Stateless; every method may run in any thread."""

    name: str

    def count(self, signal: Signal, data: bytes) -> int:
        """Return the number of items by walking the wire format.

        Raises :class:`DecodeError` with the offset where a container is malformed; does not look into items.
        """

    def table(self, signal: Signal, data: bytes) -> Table:
        """Decode a request completely. Raises :class:`DecodeError`, also for ids of a wrong length."""

    def from_json(self, signal: Signal, data: bytes) -> bytes:
        """Return the protobuf form of an OTLP/JSON request. Raises :class:`DecodeError`."""

    def to_json(self, signal: Signal, data: bytes) -> bytes:
        """Return the OTLP/JSON form of a request, on one line without a newline. Raises :class:`DecodeError`."""
