"""Links: what lies before every component, so that it can be counted, guarded and exchanged."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from untrace_pipeline.api.consumer import Consumer
from untrace_pipeline.api.identity import ComponentId
from untrace_pipeline.api.telemetry import Counter, Meter
from untrace_pipeline.data import Batch
from untrace_pipeline.errors import Code, ConsumeError, InternalError, QueueFullError, RetryableError

__all__ = ["Faults", "Link", "Port", "label"]

LOG_EVERY = 10.0
"""Seconds between two tracebacks of one component; the others are counted."""


def label(id: ComponentId) -> str:
    """Return the name of a component where all kinds meet: ``exporter:otlp/backend``, as in the Collector's status."""
    return f"{id.kind.singular}:{id}"


class Faults:
    """Turns unexpected exceptions of one component into :class:`InternalError`, counts them, and logs a few."""

    def __init__(self, id: ComponentId, meter: Meter, logger: logging.Logger, clock: Callable[[], float]) -> None:
        self._id = id
        self._count = meter.counter("component_exceptions")
        self._logger = logger
        self._clock = clock
        self._next_log = float("-inf")

    def wrap(self, error: Exception) -> InternalError:
        """Return what the caller is told; the text of an unexpected exception may hold data and stays in the log."""
        self._count.add()
        if (now := self._clock()) >= self._next_log:
            self._next_log = now + LOG_EVERY
            self._logger.error("unexpected %s; the batch is refused", type(error).__name__, exc_info=error)
        return InternalError(f"internal error in {self._id.kind.singular} {self._id} ({type(error).__name__})")


class Link:
    """The way into one component: counts items, and lets only consume errors out.

    ``idle`` tells a reload when nothing is under way any more.
    """

    __slots__ = ("_accepted", "_count", "_faults", "_idle", "_label", "_rehearsal", "_target", "_under_way")

    def __init__(
        self,
        id: ComponentId,
        target: Consumer,
        faults: Faults,
        count: Counter | None = None,
        accepted: Sequence[Counter] = (),
        rehearsal: Consumer | None = None,
    ) -> None:
        """``count`` counts items that come, ``accepted`` those that were taken; ``rehearsal`` takes dry runs."""
        self._rehearsal = rehearsal
        self._target = target
        self._accepted = accepted
        self._faults = faults
        self._count = count
        self._label = label(id)
        self._under_way = 0
        self._idle: asyncio.Event | None = None

    async def consume(self, batch: Batch) -> None:
        """Pass a batch on. Raises only :class:`ConsumeError`, or ``CancelledError`` when the caller was cancelled."""
        if self._rehearsal is not None and batch.context.dry_run:
            await self._rehearsal.consume(batch)
            return
        self._under_way += 1
        try:
            items = batch.item_count
            if self._count is not None:
                self._count.add(items)
            await self._target.consume(batch)
            for counter in self._accepted:
                counter.add(items)
        except QueueFullError as error:
            error.refused = error.refused or {self._label: items}
            raise
        except ConsumeError:
            raise
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            msg = "cancelled while it waited inside the daemon"
            raise RetryableError(msg, code=Code.CANCELLED) from None
        except Exception as error:
            raise self._faults.wrap(error) from error
        finally:
            self._under_way -= 1
            if self._idle is not None and not self._under_way:
                self._idle.set()

    async def idle(self) -> None:
        """Wait until no batch is under way in the component."""
        if self._under_way:
            self._idle = asyncio.Event()
            await self._idle.wait()


class Port:
    """The way out of one component: where it leads can be switched while batches flow.

    A batch that has passed goes on where the port led at that time.
    """

    __slots__ = ("_count", "_drops", "books", "target")

    def __init__(self, count: Counter | None = None, drops: Callable[[str], Counter] | None = None) -> None:
        """``drops`` returns what counts the component's own drops for a reason."""
        self._count = count
        self._drops = drops
        self.target: Consumer | None = None
        self.books: Callable[[str, int], None] | None = None
        """Counts what the component drops for the exporters that the port leads to."""

    def consume(self, batch: Batch) -> Coroutine[Any, Any, None]:
        """Count the items and pass the batch on."""
        assert self.target is not None, "a component passed a batch on before it was wired"
        if self._count is not None:
            self._count.add(batch.item_count)
        return self.target.consume(batch)

    def dropped(self, reason: str, items: int) -> None:
        """Count items that end in the component."""
        if self._drops is not None:
            self._drops(reason).add(items)
        if self.books is not None:
            self.books(reason, items)
