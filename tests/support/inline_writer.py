"""The writer of a journal without its thread, so that a schedule can be repeated exactly."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from untrace_plugins.extensions.file_storage.writer import Writer

__all__ = ["InlineWriter", "run_inline"]


class InlineWriter(Writer):
    """Does its work in a turn of the event loop of its own."""

    def _start(self) -> None:
        pass

    def _wake(self) -> None:
        if not self._awake:
            self._awake = True
            self._loop.call_soon(self._turn)


async def run_inline(action: Callable[..., Any], *arguments: Any) -> Any:
    """Stands in for ``asyncio.to_thread``."""
    return action(*arguments)
