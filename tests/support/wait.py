"""Waiting for what a process does: polled, bounded, with the process's own words when it does not come."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol, TypeVar

T = TypeVar("T")


class HasLog(Protocol):
    """A process that keeps what it wrote."""

    @property
    def log(self) -> str: ...


def wait_until(condition: Callable[[], T], process: HasLog, *, seconds: float = 20.0) -> T:
    """Return the first true answer of ``condition``; fail with the end of the process's log after the deadline."""
    deadline = time.monotonic() + seconds
    while not (answer := condition()):
        assert time.monotonic() < deadline, f"it did not happen within {seconds} s; log:\n{process.log[-3000:]}"
        time.sleep(0.02)
    return answer
