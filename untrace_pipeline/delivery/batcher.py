"""Merges what waits in the queue into larger requests. Pure: it knows times, but does not wait."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import takewhile

from untrace_pipeline.data import EMPTY_CONTEXT, Batch, Context
from untrace_pipeline.delivery.config import BatchConfig, BatchSizer
from untrace_pipeline.delivery.request import Entry, Request
from untrace_pipeline.errors import DecodeError

__all__ = ["MERGE_LIMIT_BYTES", "Batcher"]

MERGE_LIMIT_BYTES = 4 * 1024 * 1024
"""Merging stops here: gRPC servers take 4 MiB unless they were told otherwise."""

Key = tuple[object, ...]


@dataclass(slots=True)
class _Open:
    """A request that still takes entries."""

    deadline: float
    entries: list[Entry] = field(default_factory=list)
    items: int = 0
    bytes: int = 0


class Batcher:
    """Collects entries per signal and partition, and gives requests out when they are large or old enough.

    Batches are never cut to fill a request exactly: pass-through does not decode. Only an entry that is larger than
    ``max_size`` by itself is split.
    """

    def __init__(self, config: BatchConfig, sizer: BatchSizer) -> None:
        self._config = config
        self._by_bytes = sizer is BatchSizer.BYTES
        self._max_items = 0 if self._by_bytes else config.max_size
        self._max_bytes = config.max_size if self._by_bytes else 0
        self._merge_bytes = self._max_bytes or max(MERGE_LIMIT_BYTES, config.min_size if self._by_bytes else 0)
        self._open: dict[Key, _Open] = {}

    @property
    def deadline(self) -> float | None:
        """When the next request is due, in the time that :meth:`add` was given; ``None`` when nothing waits."""
        first = next(iter(self._open.values()), None)  # all wait equally long, so they are due in order of opening
        return first.deadline if first else None

    def add(self, entry: Entry, now: float) -> list[Request]:
        """Take an entry; return the requests that are complete now."""
        key = self._key(entry)
        if self._exceeds(entry.items, entry.batch.byte_size):
            return [*self._close(key), *_split(entry, self._max_items, self._max_bytes)]
        ready: list[Request] = []
        current = self._open.get(key)
        if current and self._exceeds(current.items + entry.items, current.bytes + entry.batch.byte_size):
            ready.extend(self._close(key))
            current = None
        if current is None:
            current = self._open[key] = _Open(now + self._config.flush_timeout)
        current.entries.append(entry)
        current.items += entry.items
        current.bytes += entry.batch.byte_size
        if self._config.complete(current.items, current.bytes if self._by_bytes else current.items):
            ready.extend(self._close(key))
        return ready

    def due(self, now: float) -> list[Request]:
        """Return the requests whose flush timeout has passed."""
        late = takewhile(lambda item: item[1].deadline <= now, self._open.items())
        return [request for key, _ in list(late) for request in self._close(key)]

    def flush(self) -> list[Request]:
        """Return everything."""
        return [request for key in list(self._open) for request in self._close(key)]

    def _exceeds(self, items: int, size: int) -> bool:
        if self._max_items and items > self._max_items:
            return True
        return size > self._merge_bytes

    def _key(self, entry: Entry) -> Key:
        metadata = entry.batch.context.metadata
        return (entry.batch.signal, *(metadata.get(name) for name in self._config.partition.metadata_keys))

    def _close(self, key: Key) -> Iterator[Request]:
        current = self._open.pop(key, None)
        if current is None:
            return
        batch = Batch.merge([entry.batch for entry in current.entries])
        if batch.context is EMPTY_CONTEXT and len(key) > 1:
            batch.context = self._context(key)
        yield Request(batch, current.items, current.entries)

    def _context(self, key: Key) -> Context:
        """What the merged batches have in common."""
        names = self._config.partition.metadata_keys
        values = dict(zip(names, key[1:], strict=True))
        return Context(metadata={name: value for name, value in values.items() if isinstance(value, tuple)})


def _split(entry: Entry, max_items: int, max_bytes: int) -> list[Request]:
    try:
        parts = entry.batch.split(max_items, max_bytes)
    except DecodeError:  # the destination may judge it whole; nobody behind it in the queue has to wait for that
        return [Request(entry.batch, entry.items, [entry])]
    entry.parts = len(parts)
    return [Request(part, part.item_count, [entry]) for part in parts]
