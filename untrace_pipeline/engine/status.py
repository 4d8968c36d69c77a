"""What every component reported last, and which changes are believed."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from untrace_pipeline.api.status import Status, StatusEvent

__all__ = ["StatusCell"]

_RUNNING = frozenset({Status.OK, Status.RECOVERABLE_ERROR, Status.PERMANENT_ERROR})
_FOLLOWS = {
    None: frozenset({Status.STARTING}),
    Status.STARTING: _RUNNING | {Status.FATAL_ERROR, Status.STOPPING},
    Status.OK: _RUNNING | {Status.FATAL_ERROR, Status.STOPPING},
    Status.RECOVERABLE_ERROR: _RUNNING | {Status.FATAL_ERROR, Status.STOPPING},
    Status.PERMANENT_ERROR: _RUNNING | {Status.FATAL_ERROR, Status.STOPPING},
    Status.FATAL_ERROR: frozenset({Status.STOPPING}),
    Status.STOPPING: frozenset({Status.STOPPED, Status.FATAL_ERROR}),
    Status.STOPPED: frozenset(),
}
"""The Collector's state machine (docs/component-status.md). Differs: a permanent error may end without a restart,
because the other side can mend it."""

# What is wrong for a while, components log themselves, with the number of items and the next step.
_LEVELS = {
    Status.OK: logging.INFO,
    Status.RECOVERABLE_ERROR: logging.DEBUG,
    Status.PERMANENT_ERROR: logging.ERROR,
    Status.FATAL_ERROR: logging.ERROR,
}


class StatusCell:
    """The state of one component."""

    def __init__(self, logger: logging.Logger, clock: Callable[[], float] = time.time) -> None:
        self._logger = logger
        self._clock = clock
        self._last: StatusEvent | None = None

    @property
    def last(self) -> StatusEvent:
        """The newest event; a component that was never started is starting."""
        return self._last or StatusEvent(Status.STARTING)

    def report(self, status: Status, message: str = "") -> None:
        """Take a report; one that cannot follow the last one, because it comes too late, is left out.

        The time is that of the change of state: a new message of the same state does not move it.
        """
        before = self._last.status if self._last else None
        if self._last is not None and status is before:
            self._last = self._last._replace(message=message)
            return
        if status not in _FOLLOWS[before]:
            return
        self._last = StatusEvent(status, message, self._clock())
        if before in _LEVELS and status in _LEVELS:
            self._logger.log(_LEVELS[status], "%s", message or f"state is now {status}")
