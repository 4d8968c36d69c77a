"""Traces on disk: what is held, and what was decided."""

from __future__ import annotations

import asyncio
import struct
import time
from collections import deque
from collections.abc import AsyncIterator, Iterable, Sequence

from untrace_pipeline.api import DecodeError, RetryableError
from untrace_pipeline.data import Batch, Signal
from untrace_pipeline.delivery.records import from_record, to_record
from untrace_pipeline.delivery.storage import Journal, Record
from untrace_plugins.sampling.books import MOVED
from untrace_plugins.sampling.spans import Senders, Spans
from untrace_plugins.sampling.trace import Fragment, Verdict

__all__ = ["TraceStore"]

TIDY_RECORDS = 64
"""Written anew at a time: they are all in memory meanwhile."""
READ_BYTES = 1024 * 1024
"""Read at a time when what is held is taken over."""

_DECISION = struct.Struct("<16sBQ")
"""Trace id, whether it is kept, threshold; then follows the name of the policy."""
_VERSION = b"decisions 1"


class TraceStore:
    """A journal of fragments, each a record of its own that ends with its trace, and one of decisions.

    A decision is on disk before anything follows from it: whoever finds a fragment after a crash knows what to do.
    """

    def __init__(self, pending: Journal, decisions: Journal, remembered: int) -> None:
        """``remembered`` is how many decisions the other journal keeps."""
        self._pending = pending
        self._decisions = decisions
        self._remembered = remembered
        self._lost = 0
        self._known: deque[tuple[Record, int]] = deque()
        self._count = 0

    # --------------------------------------------------------------- fragments

    async def keep(self, fragments: Iterable[Fragment]) -> RetryableError | None:
        """Write fragments; those that have a record afterwards are durable. Returns the refusal of the others.

        Cancelled, it waits for the disk all the same, so that the records tell the truth.
        """
        now = time.time()
        writing: dict[asyncio.Future[None], tuple[Fragment, Record]] = {}
        for fragment in fragments:
            batch = Batch.decoded(Signal.TRACES, fragment.payload, fragment.sender, fragment.items)
            record = to_record(batch, fragment.items, now)
            writing[self._pending.append(record, taken=True)] = fragment, record
        try:
            await asyncio.shield(asyncio.wait(writing))
        except asyncio.CancelledError:
            await asyncio.wait(writing)
            raise
        finally:
            for written, (fragment, record) in writing.items():
                if written.done() and written.exception() is None:
                    record.payload = b""
                    fragment.record = record
        errors = [error for written in writing if isinstance(error := written.exception(), RetryableError)]
        return errors[0] if errors else None

    async def held(self, senders: Senders) -> AsyncIterator[tuple[Spans, dict[bytes, Fragment]]]:
        """Yield what an earlier process left, in order."""
        while records := await self._pending.take(READ_BYTES):
            for record in records:
                try:
                    batch = from_record(record)
                    spans = Spans(batch)
                except (ValueError, DecodeError):  # intact, and yet none of ours: a later version wrote it
                    self._pending.end(record, {"damaged": record.items})
                    self._lost += record.items
                    continue
                fragment = Fragment(record.payload, record.size, record.items, senders.get(batch.context), record)
                record.payload = b""
                yield spans, {spans.ids[0]: fragment}

    def lost(self) -> int:
        """Return how many items could not be read since this was asked last."""
        lost, self._lost = self._lost + self._pending.take_damaged(), 0
        return lost

    async def load(self, fragments: Iterable[Fragment]) -> list[Fragment]:
        """Bring payloads back into memory; return the fragments whose payload is lost. Raises ``RetryableError``."""
        away = [one for one in fragments if one.record is not None and not one.payload]
        if not away:
            return []
        payloads = await self._pending.payloads([one.record for one in away if one.record is not None])
        for fragment, payload in zip(away, payloads, strict=True):
            fragment.payload = payload or b""
        return [one for one in away if not one.payload]

    async def tidy(self, fragments: Iterable[Fragment]) -> None:
        """Write fragments anew that hold up much more room on disk than they need. Raises ``RetryableError``."""
        by_place = {one.record.place: one for one in fragments if one.record is not None}
        records = [one.record for one in by_place.values() if one.record is not None]
        scattered = [by_place[record.place] for record in self._pending.scattered(records)]
        for begin in range(0, len(scattered), TIDY_RECORDS):
            await self._move(scattered[begin : begin + TIDY_RECORDS])

    async def _move(self, fragments: Sequence[Fragment]) -> None:
        copies = [Fragment(one.payload, one.size, one.items, one.sender, one.record) for one in fragments]
        lost = await self.load(copies)
        refusal = await self.keep([one for one in copies if one not in lost])
        for fragment, copy in zip(fragments, copies, strict=True):
            old, new = fragment.record, copy.record
            if new is None or new is old or old is None:
                continue
            if fragment.waiting:
                fragment.record = new
            else:  # decided meanwhile: it ends, or has ended, where it was
                old = new
            self._pending.end(old, {MOVED: fragment.items})
        if refusal is not None:
            raise refusal

    def end(self, fragment: Fragment, state: str) -> None:
        """Hold a fragment no longer, neither on disk nor in memory."""
        fragment.payload = b""
        if fragment.record is not None:
            self._pending.end(fragment.record, {state: fragment.items})

    # --------------------------------------------------------------- decisions

    def remember(self, decided: Sequence[tuple[bytes, Verdict]]) -> asyncio.Future[None]:
        """Write decisions; the future ends when they are durable, or cannot be."""
        record = Record(_VERSION, _pack(decided), 0, time.time())
        self._know(record, len(decided))
        written = self._decisions.append(record, taken=True)
        written.add_done_callback(lambda done: done.exception())  # the journal says so; whoever waits goes on
        return written

    async def remembered(self) -> list[tuple[bytes, Verdict]]:
        """Return the decisions of earlier processes, the oldest first."""
        found: list[tuple[bytes, Verdict]] = []
        while records := await self._decisions.take(READ_BYTES):
            for record in records:
                decided = _unpack(record.payload) if record.header == _VERSION else []
                record.payload = b""
                found += decided
                self._know(record, len(decided))
        return found

    def _know(self, record: Record, count: int) -> None:
        self._known.append((record, count))
        self._count += count
        while self._known[0][0].place >= 0 and self._count - self._known[0][1] >= self._remembered:
            old, forgotten = self._known.popleft()
            self._count -= forgotten
            self._decisions.end(old, {})

    async def close(self) -> None:
        """Close the journals; what is held stays."""
        await asyncio.gather(self._pending.close(), self._decisions.close())


def _pack(decided: Sequence[tuple[bytes, Verdict]]) -> bytes:
    parts: list[bytes] = []
    for trace_id, verdict in decided:
        name = verdict.policy.encode("utf-8", "replace")[:255]
        parts += [_DECISION.pack(trace_id, verdict.keep, verdict.threshold), bytes((len(name),)), name]
    return b"".join(parts)


def _unpack(data: bytes) -> list[tuple[bytes, Verdict]]:
    """Read decisions; what is cut off is left out."""
    found: list[tuple[bytes, Verdict]] = []
    place = 0
    while place + _DECISION.size < len(data):
        trace_id, keep, threshold = _DECISION.unpack_from(data, place)
        place += _DECISION.size + 1
        end = place + data[place - 1]
        found.append((trace_id, Verdict(bool(keep), threshold, data[place:end].decode("utf-8", "replace"))))
        place = end
    return found
