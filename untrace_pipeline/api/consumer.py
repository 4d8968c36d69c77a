"""Consumer, Intake and Outlet: the one direction and the one verb of the data flow."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from untrace_pipeline.data import Batch

__all__ = ["Consumer", "Intake", "Outlet"]


@runtime_checkable
class Consumer(Protocol):
    """Takes batches."""

    async def consume(self, batch: Batch) -> None:
        """Accept a batch, or refuse it whole.

        Returning means *accepted*: delivered, or committed to the queue of every exporter behind; the caller may then
        acknowledge to its client or commit its offset, and only then. After passing a batch on, do not touch it.
        Runs many times at once: keep no per-call state on ``self``.

        Raises :class:`RetryableError` or :class:`PermanentError`. On ``CancelledError`` the batch counts as refused.
        """


@runtime_checkable
class Outlet(Consumer, Protocol):
    """What a processor is given: the rest of its pipeline, and the books of what never gets there."""

    def dropped(self, reason: str, items: int) -> None:
        """Count accepted items that end here: ``sampled``, ``too_large``, ``shutdown`` …

        They count as ``dropped_items`` of the processor, and in the ledger of each exporter behind it.
        """


class Intake(Consumer, Protocol):
    """What a receiver is given: the entry of all its pipelines, with admission before any work is done."""

    def admit(self, byte_size: int) -> None:
        """Ask before reading or decoding a request of about that many bytes (0 = unknown).

        Costs well under a microsecond. Raises :class:`RetryableError` where a memory limiter or a full queue would
        refuse the batch anyway; the receiver then answers UNAVAILABLE + RetryInfo, or 503 + Retry-After.
        """
