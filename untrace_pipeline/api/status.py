"""The states of a component, as in the Collector's docs/component-status.md."""

from __future__ import annotations

import enum
from typing import NamedTuple

__all__ = ["WORST_FIRST", "Status", "StatusEvent"]


class Status(enum.StrEnum):
    """State of a component; reported by itself or by the engine, served by ``health_check``."""

    STARTING = "StatusStarting"
    OK = "StatusOK"
    RECOVERABLE_ERROR = "StatusRecoverableError"
    """It works on recovering alone: destination unreachable, memory above the soft limit."""
    PERMANENT_ERROR = "StatusPermanentError"
    """A human must act, the rest of the daemon goes on: credentials refused."""
    FATAL_ERROR = "StatusFatalError"
    STOPPING = "StatusStopping"
    STOPPED = "StatusStopped"


WORST_FIRST = (
    Status.FATAL_ERROR,
    Status.STARTING,
    Status.STOPPING,
    Status.STOPPED,
    Status.PERMANENT_ERROR,
    Status.RECOVERABLE_ERROR,
    Status.OK,
)
"""Which state speaks for several."""


class StatusEvent(NamedTuple):
    """What a component, or the engine for it, reported last."""

    status: Status
    message: str = ""
    time: float = 0.0
    """When it was reported, seconds since the Unix epoch."""
