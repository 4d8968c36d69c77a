"""Consumers for tests."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence

from untrace_pipeline.data import Batch, Field, Level, Value
from untrace_pipeline.errors import ConsumeError, RetryableError

__all__ = ["BlockingSink", "FailingSink", "Sink"]


class Sink:
    """Accepts everything and keeps it, in order."""

    def __init__(self) -> None:
        self.batches: list[Batch] = []
        self.drops: Counter[str] = Counter()
        """Items that the component before it dropped, by reason."""
        self._arrived = asyncio.Condition()

    def admit(self, byte_size: int) -> None:
        """Admit everything."""

    def dropped(self, reason: str, items: int) -> None:
        """Count what ends before it gets here."""
        self.drops[reason] += items

    async def consume(self, batch: Batch) -> None:
        """Keep the batch."""
        batch.to_otlp()
        self.batches.append(batch)
        async with self._arrived:
            self._arrived.notify_all()

    @property
    def item_count(self) -> int:
        """Items received so far."""
        return sum(batch.item_count for batch in self.batches)

    async def wait_for_items(self, count: int, timeout: float = 10.0) -> None:
        """Wait until at least that many items arrived. Raises ``TimeoutError``."""
        async with asyncio.timeout(timeout), self._arrived:
            await self._arrived.wait_for(lambda: self.item_count >= count)

    def column(self, field: Field, level: Level | None = None) -> list[Value]:
        """Return one column over everything received."""
        return [value for batch in self.batches for value in batch.column(field, level)]


class FailingSink(Sink):
    """Raises the given errors, one per call, then accepts; without a sequence it fails for ever."""

    def __init__(self, error: ConsumeError | Sequence[ConsumeError] | None = None) -> None:
        super().__init__()
        self.calls = 0
        forever = error is None or isinstance(error, ConsumeError)
        self._forever: ConsumeError | None = (error or RetryableError("refused by the test")) if forever else None  # type: ignore[assignment]
        self._errors: list[ConsumeError] = [] if isinstance(error, ConsumeError) or error is None else list(error)

    async def consume(self, batch: Batch) -> None:
        """Fail, or keep the batch when the errors are used up."""
        self.calls += 1
        if self._forever is not None:
            raise self._forever
        if self._errors:
            raise self._errors.pop(0)
        await super().consume(batch)


class BlockingSink(Sink):
    """Holds every caller until ``release`` is set."""

    def __init__(self) -> None:
        super().__init__()
        self.release = asyncio.Event()
        self.waiting = 0
        self.calls = 0

    async def wait_for_calls(self, count: int) -> None:
        """Wait until that many batches have come, whatever became of them."""
        async with self._arrived:
            await self._arrived.wait_for(lambda: self.calls >= count)

    async def consume(self, batch: Batch) -> None:
        """Wait, then keep the batch."""
        self.calls += 1
        self.waiting += 1
        try:
            async with self._arrived:
                self._arrived.notify_all()
            await self.release.wait()
        finally:
            self.waiting -= 1
        await super().consume(batch)
