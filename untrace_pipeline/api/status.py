"""The states of a component, as in the Collector's docs/component-status.md."""

from __future__ import annotations

import enum
from typing import NamedTuple

__all__ = ["Status", "StatusEvent"]


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


class StatusEvent(NamedTuple):
    """What a component, or the engine for it, reported last."""

    status: Status
    message: str = ""
    time: float = 0.0
    """When it was reported, seconds since the Unix epoch."""
