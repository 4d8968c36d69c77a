"""A clock that jumps: timers fire at once, in order, as if their time had passed."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

__all__ = ["run_with_fake_clock"]

T = TypeVar("T")

LOOK_SECONDS = 0.05
"""How long it is waited, in real time, for threads that work before it is looked again."""


class _JumpingSelector(selectors.DefaultSelector):
    """Returns at once from a wait for a timer, and moves the clock instead."""

    now = 0.0
    working = 0
    """Calls that run in threads: real time passes for them, and no timer overtakes them."""

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if self.working and timeout:
            return super().select(LOOK_SECONDS)
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

    def run_in_executor(self, executor: Any, func: Any, *args: Any) -> Any:  # type: ignore[override]
        future = super().run_in_executor(executor, func, *args)
        self._jumping.working += 1
        future.add_done_callback(self._worked)
        return future

    def _worked(self, _future: asyncio.Future[Any]) -> None:
        self._jumping.working -= 1


def run_with_fake_clock(main: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine on an event loop whose ``time()`` starts at 0 and jumps to the next timer when nothing is ready.

    For code that waits through the loop (``asyncio.sleep``, ``timeout``, ``call_later``) and does no real network I/O;
    while something runs in a thread (``asyncio.to_thread``), the clock stands still.
    """
    with asyncio.Runner(loop_factory=_FakeClockLoop) as runner:
        return runner.run(main)
