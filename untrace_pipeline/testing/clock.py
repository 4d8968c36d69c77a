"""A clock that jumps: timers fire at once, in order, as if their time had passed."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

__all__ = ["run_with_fake_clock"]

T = TypeVar("T")


class _JumpingSelector(selectors.DefaultSelector):
    """Returns at once from a wait for a timer, and moves the clock instead."""

    now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready: list[tuple[selectors.SelectorKey, int]] = super().select(0 if timeout is not None else 1.0)
        if not ready and timeout:
            self.now += timeout
        return ready


class _FakeClockLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._jumping = _JumpingSelector()
        super().__init__(self._jumping)

    def time(self) -> float:
        return self._jumping.now


def run_with_fake_clock(main: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine on an event loop whose ``time()`` starts at 0 and jumps to the next timer when nothing is ready.

    For code that waits through the loop (``asyncio.sleep``, ``timeout``, ``call_later``) and does no real network I/O.
    """
    with asyncio.Runner(loop_factory=_FakeClockLoop) as runner:
        return runner.run(main)
