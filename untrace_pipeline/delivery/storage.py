"""What a storage extension offers to deliveries: journals for queues, and a store of dead letters.

``sending_queue.storage`` and ``dead_letter_queue.storage`` name an extension that implements these. The extension
``file_storage`` is the one that comes with the daemon; a package may bring another.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol, runtime_checkable

from untrace_pipeline.data import Signal

__all__ = ["DeadLetter", "DeadLetterStorage", "DeadLetters", "Journal", "QueueStorage", "Record", "Recovery", "Totals"]


class Totals(NamedTuple):
    """How much there is, in the three units that a queue can be bounded in; bytes are those of payloads."""

    requests: int = 0
    items: int = 0
    bytes: int = 0

    def plus(self, other: Totals) -> Totals:
        """Return the sum."""
        return Totals(self.requests + other.requests, self.items + other.items, self.bytes + other.bytes)

    def minus(self, other: Totals) -> Totals:
        """Return the difference."""
        return Totals(self.requests - other.requests, self.items - other.items, self.bytes - other.bytes)


@dataclass(slots=True, eq=False)
class Record:
    """One batch in a journal."""

    header: bytes
    """Signal, context and whatever else the queue wants back; opaque to the journal."""
    payload: bytes
    """The serialized OTLP request."""
    items: int
    time: float
    """When it was appended, seconds since the Unix epoch."""
    place: int = -1
    """Set by the journal: grows with every record, and never comes again in the life of the journal."""
    position: int = -1
    """Set by the journal, for itself: where it finds the record again."""
    size: int = -1
    """Bytes of the payload, also while nobody keeps that."""

    def __post_init__(self) -> None:
        if self.size < 0:
            self.size = len(self.payload)


@dataclass(frozen=True, slots=True)
class Recovery:
    """What a journal held and had seen when this process opened it for the first time. All numbers are items."""

    appended: int
    """Ever appended: ``sum(ended.values())`` and what is held."""
    ended: Mapping[str, int] = field(default_factory=dict)
    """Ended, by state; ``damaged`` are those that could not be read any more."""


class Journal(Protocol):
    """An append-only, durable sequence of records, each held until it is ended. One reader, which is also the writer.

    Held records survive the death of the process at any moment, and of the machine. A damaged part of the medium costs
    the records that lie in it and no others; they are ended as ``damaged``, and the log says so.
    """

    @property
    def held(self) -> Totals:
        """Records appended and not ended, taken or not."""

    @property
    def recovery(self) -> Recovery | None:
        """What came from an earlier process; ``None`` when this process had the journal open before."""

    def append(self, record: Record, *, taken: bool = False) -> asyncio.Future[None]:
        """Append a record; the future ends when it is durable, and from then on :meth:`take` finds it.

        ``taken``: it counts as taken then, and :meth:`take` does not find it. Only for a journal of which everything
        from before was taken, and to which nothing else is appended.
        Records appended meanwhile become durable together (group commit). The future raises :class:`RetryableError`
        when the medium is full or fails, in which case the record is not held; cancelling it changes nothing.
        """

    async def take(self, max_bytes: int) -> Sequence[Record]:
        """Return the oldest records that were not taken, of about that many bytes together; none if there are none.

        Cancelled, it has taken nothing.
        """

    async def payloads(self, records: Sequence[Record]) -> list[bytes | None]:
        """Read the payloads of records that were taken, and of which somebody has kept all but that.

        ``None`` where it cannot be read any more; the caller ends such a record as ``damaged``. Raises
        :class:`RetryableError` while the medium does not let itself be read.
        """

    def scattered(self, records: Iterable[Record]) -> list[Record]:
        """Return those of some records that were taken which hold up much more room than they need.

        Room becomes free in large pieces, when everything in one has ended. Whoever keeps records for long appends such
        ones anew, and ends the old ones as ``moved``.
        """

    def key(self, record: Record) -> str:
        """Return an idempotency key of a record that was taken: unique in the world, the same in every process."""

    def give_back(self, record: Record) -> None:
        """Let :meth:`take` return a record again, before those that are younger."""

    def end(self, record: Record, outcome: Mapping[str, int]) -> None:
        """Hold a record that was taken no longer: what became of its items, by state. The states (at most 24 bytes
        of UTF-8 each) make up all of it.

        Never raises. It becomes durable soon after; a crash before brings the record back.
        """

    def take_damaged(self) -> int:
        """Return the items that were held and turned out to be unreadable since this was asked last."""

    def oldest(self) -> float | None:
        """Return when the oldest record that is held was appended, or about then; ``None`` when none is held."""

    async def close(self) -> None:
        """Write what is to be written, and let others open the journal. Records that are held stay. Safe twice."""


@runtime_checkable
class QueueStorage(Protocol):
    """An extension that keeps journals."""

    def in_use(self, name: str) -> bool:
        """Return whether somebody in this process has the journal open, so that :meth:`open_journal` would wait."""

    async def open_journal(self, name: str) -> Journal:
        """Return the journal of that name, made on first use; waits while another owner has it open.

        ``name`` is that of a component as ``exporters/otlp/backend``: any characters. Raises :class:`StartError`.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetter:
    """What a destination did not take, with all that is needed to know why and to send it again."""

    exporter: str
    """Id of the exporter that gave it up: ``otlp_grpc/backend``."""
    destination: str
    """Where that exporter sends to: ``localhost:4317``. Holds no secret."""
    reason: str
    """Why it was given up: ``permanent``, ``too_large``, ``expired`` or ``queue_full``."""
    code: str
    """Name of the status code of the last answer: ``INVALID_ARGUMENT``."""
    message: str
    """What the destination said last: its error text or the body of its response, cut to a few KiB."""
    attempts: int
    failed_at: float
    """Seconds since the Unix epoch."""
    received_at: float
    """When its request arrived, seconds since the Unix epoch; 0 where requests were merged."""
    signal: Signal
    items: int
    payload: bytes
    """The original bytes: a serialized OTLP request."""
    tenant: str | None = None
    metadata: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Request headers, as in :class:`~untrace_pipeline.data.Context`."""
    key: str = ""
    """Idempotency key of the request that failed."""
    id: int = 0
    """Set by the store."""


class DeadLetters(Protocol):
    """Takes dead letters."""

    async def bury(self, letters: Sequence[DeadLetter]) -> None:
        """Keep letters; returns when they are durable. Raises :class:`RetryableError` when the medium fails."""


@runtime_checkable
class DeadLetterStorage(Protocol):
    """An extension that keeps dead letters."""

    def dead_letters(self) -> DeadLetters:
        """Return the store, one for all exporters."""
