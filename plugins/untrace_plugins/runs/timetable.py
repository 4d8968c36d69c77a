"""When what is held goes on."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Container, Iterator, Mapping
from contextlib import suppress

from untrace_plugins.runs.held import Held

__all__ = ["MOST_OLD_ENTRIES", "Timetable"]

MOST_OLD_ENTRIES = 1000
"""Of what is held no longer or has another time now; so many are not worth a look."""


class Timetable:
    """Those that are held, by the time when they go on."""

    def __init__(self, held: Mapping[str, Held]) -> None:
        self._held = held
        self._heap: list[tuple[float, int, str]] = []
        self._entries = 0
        self._sooner = asyncio.Event()

    def put(self, held: Held) -> None:
        """Note when it goes on: ``held.due``, whatever was noted before."""
        if len(self._heap) > 2 * len(self._held) + MOST_OLD_ENTRIES:
            # What went on before its time is still in it, perhaps for an hour.
            self._heap = [(one.due, 0, one.key) for one in self._held.values()]
            heapq.heapify(self._heap)
        self._entries += 1
        heapq.heappush(self._heap, (held.due, self._entries, held.key))
        if self._heap[0][1] == self._entries:
            self._sooner.set()

    def take(self, now: float, busy: Container[str]) -> Iterator[Held]:
        """Take those off whose time has come, and yield those that nobody is at; whoever is puts them back."""
        found: set[str] = set()
        while self._heap and self._heap[0][0] <= now:
            _, _, key = heapq.heappop(self._heap)
            held = self._held.get(key)
            if held is not None and held.due <= now and key not in found and key not in busy:
                found.add(key)
                yield held

    async def wait(self) -> None:
        """Return when the time of the first has come, or another is the first now."""
        self._sooner.clear()
        until = self._heap[0][0] if self._heap else None
        with suppress(TimeoutError):
            async with asyncio.timeout_at(until):
                await self._sooner.wait()

    def __len__(self) -> int:
        return len(self._heap)
