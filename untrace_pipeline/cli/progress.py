"""How far a replay is: a bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import TextIO

from untrace_pipeline.api.config import format_duration
from untrace_pipeline.cli import counted
from untrace_pipeline.delivery.dead_letters import Amount, Progress

__all__ = ["ProgressDisplay"]

BAR_SECONDS = 0.1
LINE_SECONDS = 10.0
"""Between two lines where nobody sees a bar: a log of a job, usually."""
_WIDTH = 24


class ProgressDisplay:
    """Shows a :class:`Progress` until it is cancelled."""

    def __init__(
        self, progress: Progress, total: Amount, stream: TextIO, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._progress = progress
        self._total = total
        self._stream = stream
        self._clock = clock
        self._began = clock()
        self._terminal = stream.isatty()

    async def show(self) -> None:
        """Show it again and again."""
        while True:
            await asyncio.sleep(BAR_SECONDS if self._terminal else LINE_SECONDS)
            self.update()

    def update(self) -> None:
        """Show it now."""
        if self._terminal:
            self._stream.write(f"\r{self.line()}\x1b[K")
        else:
            self._stream.write(f"{self.line()}\n")
        self._stream.flush()

    def end(self) -> None:
        """Leave the line to others."""
        if self._terminal:
            self.update()
            self._stream.write("\n")

    def line(self) -> str:
        """Return what is shown: ``[######----] 60 %  600 of 1000 items, 2 letters failed, 120 items/s, 3.4s left``."""
        done, total = self._progress.done.items, max(self._total.items, 1)
        share = min(done / total, 1.0)
        parts = [f"{done} of {self._total.items} items"]
        if self._progress.failed.letters:
            parts.append(f"{counted(self._progress.failed.letters, 'letter')} failed")
        if self._progress.waiting:
            parts.append(f"waiting for {self._progress.waiting} that another replay has")
        if speed := done / max(self._clock() - self._began, 1e-9):
            parts.append(f"{speed:.0f} items/s")
            if done < total:
                parts.append(f"{format_duration(round((total - done) / speed, 1))} left")
        full = round(share * _WIDTH)
        bar = f"[{'#' * full}{'-' * (_WIDTH - full)}] " if self._terminal else ""
        return f"{bar}{share:>4.0%}  {', '.join(parts)}"
