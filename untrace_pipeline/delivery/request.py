"""What moves through a delivery: entries on the way in, requests on the way out, and what became of them."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum, StrEnum
from typing import Any, Protocol, runtime_checkable

from untrace_pipeline.data import Batch
from untrace_pipeline.delivery.storage import Record
from untrace_pipeline.errors import Code, ConsumeError, DecodeError, OversizeError, PermanentError, RetryableError

__all__ = [
    "DELIVERED",
    "Entry",
    "Failure",
    "Outcome",
    "Paced",
    "Prepared",
    "Preparing",
    "Reason",
    "Refused",
    "Request",
    "Result",
    "Sender",
    "State",
    "Verdict",
    "as_consume_error",
    "classify",
]


class Reason(StrEnum):
    """Why items were dropped: the label ``reason`` of ``dropped_items``."""

    QUEUE_FULL = "queue_full"
    EXPIRED = "expired"
    PERMANENT = "permanent"
    TOO_LARGE = "too_large"
    SHUTDOWN = "shutdown"
    DAMAGED = "damaged"
    FILTERED = "filtered"
    """Left out on purpose: the destination has no use for such items."""


class State:
    """How items end that are not dropped; with the reasons of dropping, the states of the ledger. Plain strings: every
    request needs them as keys, and an enumeration hashes slowly."""

    DELIVERED = "delivered"
    REJECTED = "rejected"
    DEAD_LETTERED = "dead_lettered"
    REFUSED = "refused"
    """Handed back to a caller who waited; not in the ledger, because they were never accepted."""
    MOVED = "moved"
    """In a journal only: kept in another record of it, which has just these items."""


@dataclass(slots=True, eq=False)
class Entry:
    """One batch that a queue holds, until the outcome of every request that carries a part of it is known."""

    batch: Batch
    """Bytes and context alone, nothing decoded: what waits must be small."""
    items: int
    enqueued_at: float
    """Time of the event loop, seconds."""
    result: asyncio.Future[None] | None = None
    """Set where a caller waits for the outcome; cancelled when that caller has gone."""
    weight: int = 0
    """Size in the unit of the queue; set by the queue."""
    parts: int = 1
    """Requests that carry items of it and are not settled."""
    error: ConsumeError | None = None
    """First failure of a part; the caller who waits gets it."""
    committed: bool = False
    """Set by the queue once it holds the entry."""
    ended: dict[str, int] = field(default_factory=dict)
    """What became of its items so far, by state; complete when the entry is done."""
    record: Record | None = None
    """Where it lies in a journal; set by a persistent queue."""
    key: str = ""
    """Idempotency key, the same after a restart; set by a persistent queue."""
    left: list[Batch] = field(default_factory=list)
    """Parts that a persistent queue is to keep."""

    def request(self) -> Request:
        """Return the request that carries this entry alone."""
        return Request(self.batch, self.items, (self,))


@dataclass(slots=True, eq=False)
class Request:
    """What is sent at once: an entry, several merged, or a part of one."""

    batch: Batch
    items: int
    entries: Sequence[Entry] = ()
    """Whose items these are; empty for the halves of a request that was split."""
    original: Batch | None = None
    """What it was made of, where the destination gets something else: the same items in the same order. What is given
    up goes into the dead letters in this form."""
    shortened: bool = False
    """Whether it was cut because it was too large for the destination."""
    prepared: bool = False
    """Whether :class:`Preparing` has made it."""
    body: Any = None
    """What goes over the wire, kept by a sender that would otherwise make it again for each attempt; of the sender's
    own type, ``None`` until it is made."""

    @property
    def key(self) -> str:
        """Idempotency key: the same for the same items, however often and by whichever process they are sent."""
        if len(self.entries) == 1 and self.entries[0].key and self.items == self.entries[0].items:
            return self.entries[0].key
        return hashlib.blake2b(self.batch.to_otlp(), digest_size=16).hexdigest()

    def halves(self) -> list[Request]:
        """Return two requests with half the items each, or nothing if it cannot be cut further."""
        if self.items <= 1:
            return []
        try:
            parts = self.batch.split(max_items=(self.items + 1) // 2)
            originals = _cut_alike(self.original, parts) if self.original is not None else [None] * len(parts)
        except DecodeError:
            return []
        return [
            Request(part, part.item_count, original=original, prepared=self.prepared)
            for part, original in zip(parts, originals, strict=True)
        ]


def _cut_alike(original: Batch, parts: Sequence[Batch]) -> list[Batch]:
    """Split what a batch was made of where the batch was split."""
    numbers = [number for number, part in enumerate(parts) for _ in range(part.item_count)]
    cut = original.copy().partition(numbers)
    return [cut[number] for number in range(len(parts))]


@dataclass(frozen=True, slots=True)
class Refused:
    """A part of a request that the destination refused for good, and why."""

    batch: Batch
    error: PermanentError


@dataclass(frozen=True, slots=True)
class Outcome:
    """The answer of a destination that took a request, perhaps not all of it (OTLP partial success)."""

    rejected: int = 0
    """Items that the destination refused for good, without telling which; they must not be sent again."""
    message: str = ""
    """Why; with nothing rejected it is a warning."""
    rest: Batch | None = None
    """What was neither taken nor refused for good: it is sent again, alone."""
    cause: RetryableError | None = None
    """Why there is a rest."""
    refused: Sequence[Refused] = ()
    """What was refused for good, where the destination tells which items: given up, and so kept as dead letters."""


DELIVERED = Outcome()
"""All items were taken, with nothing to add."""


@dataclass(slots=True)
class Failure:
    """A request, or a piece of one, that was given up."""

    request: Request
    reason: Reason
    error: ConsumeError
    attempts: int
    buried: bool = False
    """Whether it lies in the dead-letter queue."""


@dataclass(slots=True)
class Result:
    """What became of one request: what the destination answered, and failures for the rest."""

    delivered: int = 0
    rejected: int = 0
    filtered: int = 0
    failures: list[Failure] = field(default_factory=list)

    def tally(self) -> dict[str, int]:
        """Return the items by state, without those of the failures."""
        tally = {State.DELIVERED: self.delivered} if self.delivered else {}
        if self.rejected:
            tally[State.REJECTED] = self.rejected
        if self.filtered:
            tally[Reason.FILTERED.value] = self.filtered
        return tally


@dataclass(slots=True)
class Prepared:
    """What is to be sent instead of one request."""

    requests: list[Request]
    """In order; together with what is refused and filtered, the items of the request."""
    refused: list[Refused] = field(default_factory=list)
    """What the destination would never take: given up without being sent."""
    filtered: int = 0
    """Items that are left out on purpose."""


class Sender(Protocol):
    """The part of an exporter that knows its protocol."""

    @property
    def destination(self) -> str:
        """Who receives, for messages and metric labels: ``localhost:4317``. Never holds a secret."""

    async def send(self, request: Request) -> Outcome:
        """Make one attempt. Runs many times at once; leave the batch as it is, it may be sent again.

        Raises :class:`RetryableError`, :class:`OversizeError` (halves are tried) or :class:`PermanentError`;
        ``OSError`` and ``TimeoutError`` count as retryable. May be cancelled at any time.
        """


@runtime_checkable
class Preparing(Protocol):
    """A sender that makes something else of a request first: once, however often it is sent."""

    async def prepare(self, request: Request) -> Prepared:
        """Return what to send instead. Raises as :meth:`Sender.send` does; after a retryable error it is asked again.

        The batch is shared: edit a copy. A piece says what it was made of (:attr:`Request.original`).
        """


@runtime_checkable
class Paced(Protocol):
    """A sender whose destination wants only so many requests."""

    def wait_seconds(self) -> float:
        """Return how long to wait before the next attempt; 0 = it may be made now, and counts."""


class Verdict(Enum):
    """What follows from a failed attempt."""

    RETRY = "retry"
    SPLIT = "split"
    DROP = "drop"


def classify(error: Exception) -> Verdict:
    """Say what follows from the error of an attempt.

    Errors outside of the tree are bugs of a sender, and permanent: trying again for ever would stop the queue.
    """
    if isinstance(error, RetryableError | OSError):  # TimeoutError is an OSError
        return Verdict.RETRY
    return Verdict.SPLIT if isinstance(error, OversizeError) else Verdict.DROP


def as_consume_error(error: Exception) -> ConsumeError:
    """Return the error as one of the tree, for callers and for messages."""
    if isinstance(error, ConsumeError):
        return error
    if isinstance(error, TimeoutError):
        return RetryableError(str(error) or "no answer in time", code=Code.DEADLINE_EXCEEDED)
    if isinstance(error, OSError):
        return RetryableError(error.strerror or str(error) or type(error).__name__)
    return PermanentError(f"{type(error).__name__}: {error}")
