"""A parcel: requests that will leave as one merged batch, and the callers that wait for it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import repeat

from untrace_pipeline.api import QueueFullError
from untrace_pipeline.data import Batch, Context

__all__ = ["Key", "Parcel"]

Key = tuple[object, ...]
"""Signal, tenant, and the values of the metadata keys: only equal keys are merged."""


@dataclass(slots=True, eq=False)
class Parcel:
    """Grows while it is open; ``settle`` answers every caller once."""

    key: Key
    first: float
    """Loop time when the first request came, in seconds."""
    last: float
    """Loop time when the latest request came."""
    items: int = 0
    byte_size: int = 0
    by_size: bool = False
    """Whether it left because it was full, rather than because of its time."""
    queued: bool = False
    timer: asyncio.TimerHandle | None = None
    _batches: list[Batch] = field(default_factory=list)
    _waiters: list[asyncio.Future[None]] = field(default_factory=list)
    _sizes: list[int] = field(default_factory=list)
    """Items of each caller; 0 for one that had gone when the batch was merged."""

    def add(self, batch: Batch, waiter: asyncio.Future[None], items: int, byte_size: int, now: float) -> None:
        """Put a request in, of so many items and bytes."""
        self._batches.append(batch)
        self._waiters.append(waiter)
        self._sizes.append(items)
        self.items += items
        self.byte_size += byte_size
        self.last = now

    def merge(self, metadata: dict[str, tuple[str, ...]], tenant: str | None) -> Batch | None:
        """Return the merged batch and forget its parts; ``None`` if every caller has gone away.

        A caller that gave up was not acknowledged and will send again: its items are left out. The context keeps
        what all parts have in common by construction, and the arrival time of the first.
        """
        live, self._batches = self._batches, []
        gone = [waiter.done() for waiter in self._waiters]
        if any(gone):
            live = [batch for batch, left in zip(live, gone, strict=True) if not left]
            self._sizes = [0 if left else items for items, left in zip(self._sizes, gone, strict=True)]
        if not live:
            return None
        context = Context(metadata=metadata, tenant=tenant, received_at=live[0].context.received_at)
        if len(live) == 1:
            return live[0].with_context(context)
        merged = Batch.merge(live)
        merged.context = context
        return merged

    def settle(self, error: Exception | None) -> None:
        """Tell every caller that still waits."""
        answers = self._shares(error) if isinstance(error, QueueFullError) else repeat(error)
        for waiter, answer in zip(self._waiters, answers, strict=False):
            if waiter.done():
                continue
            if answer is None:
                waiter.set_result(None)
            else:
                waiter.set_exception(answer)

    def _shares(self, error: QueueFullError) -> Iterator[QueueFullError]:
        """Yield the refusal for each caller: whoever counts the items as lost must count its own alone."""
        before, total = 0, sum(self._sizes)
        for items in self._sizes:
            yield error.share(before, items, total)
            before += items
