"""Large objects go in parts, several at once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import TypeVar

from untrace_pipeline.errors import ConsumeError

__all__ = ["at_once", "pieces"]

T = TypeVar("T")


def pieces(data: bytes, size: int) -> Iterator[memoryview]:
    """Cut a body into parts, without copying it."""
    view = memoryview(data)
    for start in range(0, len(data), size):
        yield view[start : start + size]


async def at_once(calls: Sequence[Callable[[], Awaitable[T]]], limit: int) -> list[T]:
    """Make calls, so many at once, and return their results in order; the first error ends the others."""
    turn = asyncio.Semaphore(limit)

    async def one(call: Callable[[], Awaitable[T]]) -> T:
        async with turn:
            return await call()

    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one(call)) for call in calls]
    except* ConsumeError as errors:
        raise errors.exceptions[0] from None
    return [task.result() for task in tasks]
