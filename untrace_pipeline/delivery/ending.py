"""Gives every item its end, and every entry whose last part this was its answer."""

from __future__ import annotations

from collections import Counter as Tally
from collections.abc import Sequence

from untrace_pipeline.api.component import Settings
from untrace_pipeline.api.telemetry import Counter
from untrace_pipeline.data import Batch, Signal
from untrace_pipeline.delivery.accounting import Accounting
from untrace_pipeline.delivery.config import DeliveryConfig, Oversize
from untrace_pipeline.delivery.queue import Keeper, Queue
from untrace_pipeline.delivery.reports import Reports
from untrace_pipeline.delivery.request import Entry, Failure, Reason, Request, Result, State
from untrace_pipeline.errors import ConsumeError, PermanentError

__all__ = ["Ending"]


class Ending:
    """Judges what attempts have left: kept, buried, lost, or handed back to the callers who wait."""

    def __init__(self, config: DeliveryConfig, settings: Settings, accounting: Accounting, reports: Reports) -> None:
        self._buriable = _buriable(config)
        self._settings = settings
        self._accounting = accounting
        self._reports = reports
        self._processed: dict[tuple[str, str], Counter] = {}

    def to_bury(self, request: Request, result: Result) -> list[Failure]:
        """Return the failures that the dead-letter queue should take: what would be lost otherwise."""
        if not self._buriable:
            return []
        return [f for f in result.failures if f.reason in self._buriable and _is_lost(f, request, result)]

    def settle(self, request: Request, result: Result, queue: Queue | None, keeper: Keeper | None) -> None:
        """Count the ends of a request, and finish the entries whose last part it was.

        ``keeper`` takes what has no end, where there is one.
        """
        tally, pieces = self._judge(request, result, keeps=keeper is not None)
        entries = request.entries
        if len(entries) == 1:
            entry = entries[0]
            entry.ended.update(tally)
            entry.left += pieces
            entry.parts -= 1
            if entry.parts:
                return
            tally, pieces = entry.ended, entry.left
        if pieces and keeper is not None:
            if tally:
                tally[State.MOVED] = sum(piece.item_count for piece in pieces)
                _share(tally, entries)
            keeper.keep(entries, pieces if tally else [])
            return
        _share(tally, entries)
        for entry in entries:
            if queue is not None:
                queue.done(entry)
            self._finish(entry)

    def end_whole(self, entry: Entry, reason: Reason, error: ConsumeError) -> None:
        """End an entry that was never sent, and is under way in the books."""
        signal = entry.batch.signal
        if entry.result is None:
            self._accounting.drop(signal, entry.items, reason)
            entry.ended[reason] += entry.items
        else:
            self._accounting.refuse(signal, entry.items)
            entry.ended[State.REFUSED] += entry.items
        entry.error = error
        self._finish(entry)

    def tell_refused(self, entry: Entry) -> None:
        """The caller hears that its batch was refused, or has gone; what was taken all the same may come again."""
        self._accounting.decide(entry.items, refused=entry.ended[State.REFUSED])

    def _judge(self, request: Request, result: Result, *, keeps: bool) -> tuple[Tally[str], list[Batch]]:
        """Count the failures; return what became of the items by state, and the pieces that are to be kept."""
        tally, pieces = Tally(result.ended), []
        signal = request.batch.signal
        for failure in result.failures:
            items, piece = failure.request.items, failure.request
            lost = _is_lost(failure, request, result)
            if keeps and (
                failure.reason is Reason.SHUTDOWN or (failure.reason in self._buriable and not failure.buried)
            ):
                self._accounting.keep(items)
                pieces.append(piece.original or piece.batch)
                continue
            if failure.buried:
                self._accounting.bury(signal, items, failure.reason)
                tally[State.DEAD_LETTERED] += items
            elif lost:
                self._accounting.drop(signal, items, failure.reason)
                tally[failure.reason] += items
            else:
                self._accounting.refuse(signal, items)
                tally[State.REFUSED] += items
            self._remember(failure, request, lost=lost)
        return tally, pieces

    def _remember(self, failure: Failure, request: Request, *, lost: bool) -> None:
        for entry in request.entries:
            if entry.result is None or not lost:
                entry.error = entry.error or failure.error
        if failure.reason is not Reason.SHUTDOWN:
            self._reports.given_up(failure, lost=lost)

    def _finish(self, entry: Entry) -> None:
        result, error = entry.result, entry.error
        if result is not None and result.cancelled():
            self.tell_refused(entry)
        elif result is not None and not result.done():
            if error is None:
                result.set_result(None)
            else:
                result.set_exception(error)
        if entry.batch.signal is Signal.TRACES and (error is None or result is None):
            self._count_ended(entry.batch.context.tenant or "", error)

    def _count_ended(self, tenant: str, error: ConsumeError | None) -> None:
        status = "delivered" if error is None else "rejected" if isinstance(error, PermanentError) else "dropped"
        key = (tenant, status)
        counter = self._processed.get(key)
        if counter is None:
            labels = {"customer_id": key[0], "destination": str(self._settings.id), "status": key[1]}
            counter = self._processed[key] = self._settings.meter.counter("traces_processed", **labels)
        counter.add()


def _buriable(config: DeliveryConfig) -> frozenset[Reason]:
    """Return the reasons for which the dead-letter queue takes what is given up."""
    if config.dead_letter_queue is None:
        return frozenset()
    too_large = () if config.oversize is Oversize.DROP else (Reason.TOO_LARGE,)
    return frozenset((Reason.PERMANENT, Reason.EXPIRED, *too_large))


def _is_lost(failure: Failure, request: Request, result: Result) -> bool:
    """Return whether nobody else has the items of a failure: no caller waits to get them back.

    An item that is too large among others that were taken is lost in any case: sending all again would not help.
    """
    if all(entry.result is None for entry in request.entries):
        return True
    return failure.reason is Reason.TOO_LARGE and sum(f.request.items for f in result.failures) < request.items


def _share(tally: Tally[str], entries: Sequence[Entry]) -> None:
    """Give each entry of a merged request its part of the ends: which item ended how is not known, the sums are."""
    if len(entries) <= 1:
        return
    states = [(state, items) for state, items in tally.items() if items]
    for entry in entries:
        room = entry.items
        while room and states:
            state, items = states.pop()
            used = min(room, items)
            entry.ended[state] += used
            room -= used
            if items > used:
                states.append((state, items - used))
