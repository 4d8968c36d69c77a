"""What a delivery tells people: status on every change, and log lines that do not flood."""

from __future__ import annotations

import logging
import time

from untrace_pipeline.api.component import Host, Settings
from untrace_pipeline.api.config import format_duration
from untrace_pipeline.api.status import Status
from untrace_pipeline.delivery.accounting import Accounting
from untrace_pipeline.delivery.breaker import Circuit
from untrace_pipeline.delivery.request import Failure, Outcome, Reason, Request
from untrace_pipeline.delivery.storage import Totals
from untrace_pipeline.errors import Code, ConsumeError

__all__ = ["Reports"]

LOG_INTERVAL_SECONDS = 10.0
"""A line of one kind is written at most this often; what was left out is added up in the next one."""

_CREDENTIALS = {Code.UNAUTHENTICATED, Code.PERMISSION_DENIED}


class Reports:
    """Status and log of one exporter, as far as its destination is concerned."""

    def __init__(self, settings: Settings, destination: str) -> None:
        self._logger = settings.logger
        self._destination = destination
        self._host: Host | None = None
        self._status = Status.OK
        self._kinds: dict[str, _Kind] = {}

    def start(self, host: Host) -> None:
        """Know the host from now on."""
        self._host = host

    def delivered(self) -> None:
        """An attempt succeeded."""
        if self._status is not Status.OK:
            self._become(Status.OK, f"{self._destination} takes data again")

    def retrying(self, request: Request, error: ConsumeError, retry: int, delay: float) -> None:
        """An attempt failed, and another one follows."""
        text = self._refused(request, error)
        if self._status is Status.OK:
            self._become(Status.RECOVERABLE_ERROR, f"{text}; retrying")
        self._log("retry", logging.WARNING, request.items, f"{text}; retry {retry} in {delay:.1f} s")

    def circuit(self, state: Circuit, why: str) -> None:
        """The circuit opened, is probed, or closed again."""
        text = f"circuit of {self._destination} is {state.name.lower().replace('_', '-')}: {why}"
        if state is Circuit.OPEN and self._status is not Status.PERMANENT_ERROR:
            self._become(Status.RECOVERABLE_ERROR, text)
        self._log(f"circuit {state}", logging.WARNING if state is Circuit.OPEN else logging.INFO, 0, text)

    def shortened(self, request: Request) -> None:
        """The destination took what was too large for it, after it was cut."""
        text = f"{_amount(request)} too large for {self._destination}: delivered with shortened attributes (oversize)"
        self._log("shortened", logging.WARNING, request.items, text)

    def partial(self, request: Request, outcome: Outcome) -> None:
        """The destination had something to say about a request that it took."""
        what = f"{outcome.rejected} of {_amount(request)} were rejected by {self._destination}, and are not sent again"
        if outcome.rejected:
            self._log("rejected", logging.ERROR, outcome.rejected, f"{what}: {outcome.message or 'no reason given'}")
        else:
            self._log("warning", logging.WARNING, 0, f"{self._destination} warns: {outcome.message}")

    def given_up(self, failure: Failure, *, lost: bool) -> None:
        """A request has no attempts left: it is lost, or goes back to the caller."""
        text = self._refused(failure.request, failure.error)
        if failure.error.code in _CREDENTIALS and self._status is not Status.PERMANENT_ERROR:
            code = failure.error.code
            what = "refuses our credentials" if code is Code.UNAUTHENTICATED else "does not let us in"
            self._become(Status.PERMANENT_ERROR, f"{self._destination} {what} ({code.name}: {failure.error})")
        kept = f"kept in the dead-letter queue ({failure.reason})"
        end = kept if failure.buried else f"dropped ({failure.reason})" if lost else "handed back to the sender"
        kind = f"{failure.reason} {lost} {failure.buried}"
        level = logging.ERROR if lost else logging.WARNING
        attempts = f" after {failure.attempts} attempts" if failure.attempts > 1 else ""
        self._log(kind, level, failure.request.items, f"{text}; {end}{attempts}")

    def not_buried(self, items: int, error: ConsumeError) -> None:
        """The dead-letter queue does not take what was given up."""
        self._log("not buried", logging.ERROR, items, f"{items} items wait for the dead-letter queue: {error}")

    def evicted(self, items: int) -> None:
        """The queue was full, and the oldest had to go."""
        self._log("evicted", logging.ERROR, items, f"sending queue is full: the oldest {items} items were dropped")

    def crashed(self, error: Exception) -> None:
        """A sender raised what it must not raise."""
        self._logger.error("unexpected error while sending to %s", self._destination, exc_info=error)

    def found(self, held: Totals) -> None:
        """The queue on disk holds something from before."""
        self._logger.info("%d items (%d bytes) lie in the queue on disk, and are sent now", held.items, held.bytes)

    def drained(self, pending: int, accounting: Accounting, seconds: float) -> None:
        """The end: what was still to be sent, and what of it was not."""
        took = format_duration(round(seconds, 1))
        lost = accounting.dropped.get(Reason.SHUTDOWN, 0)
        if lost:
            self._logger.error("stopped after %s: %d of %d pending items were dropped (shutdown)", took, lost, pending)
        elif accounting.left:
            self._logger.info("stopped after %s: %d items stay in the queue on disk", took, accounting.left)
        elif pending:
            self._logger.info("drained %d pending items in %s", pending, took)

    def _refused(self, request: Request, error: ConsumeError) -> str:
        text = str(error)
        because = error.code.name if not text else f"{error.code.name}: {text}"
        return f"{_amount(request)} refused by {self._destination} ({because})"

    def _become(self, status: Status, message: str) -> None:
        """Report a change of status. The engine writes recovery and permanent errors to the log; the rest we write."""
        self._status = status
        if self._host:
            self._host.report(status, message)

    def _log(self, kind: str, level: int, items: int, text: str) -> None:
        now = time.monotonic()
        state = self._kinds.setdefault(kind, _Kind())
        if now < state.quiet_until:
            state.lines += 1
            state.items += items
            return
        more = f"; {state.lines} more like this before, {state.items} items" if state.lines else ""
        self._kinds[kind] = _Kind(now + LOG_INTERVAL_SECONDS)
        self._logger.log(level, "%s%s", text, more)


class _Kind:
    """What was left out of one kind of line."""

    def __init__(self, quiet_until: float = 0.0) -> None:
        self.quiet_until = quiet_until
        self.lines = 0
        self.items = 0


def _amount(request: Request) -> str:
    return request.batch.signal.counted(request.items)
