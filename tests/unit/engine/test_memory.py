"""Memory that a burst left behind goes back to the system, once, and only when it stays free."""

from __future__ import annotations

import asyncio

import pytest

from untrace_pipeline.engine.memory import IDLE_LOOKS, INTERVAL, WORTH_BYTES, Heap, give_back, glibc_heap
from untrace_pipeline.testing import run_with_fake_clock

MIB = 1024 * 1024


class FakeHeap:
    """A process that uses 50 MiB, and whose free memory the test sets."""

    def __init__(self) -> None:
        self.free, self.resident_free, self.trims = 0, 0, 0

    def trim(self) -> None:
        self.trims += 1
        self.resident_free = 0

    def set(self, free: int) -> None:
        self.free = self.resident_free = free


def trims_after(*phases: tuple[int, int | None]) -> list[int]:
    """Return how often memory was given back after each phase of (looks, free bytes or as before)."""

    async def main() -> list[int]:
        fake, counts = FakeHeap(), []
        heap = Heap(lambda: fake.free, fake.trim, lambda: 50 * MIB + fake.resident_free)
        task = asyncio.create_task(give_back(heap))
        for looks, free in phases:
            if free is not None:
                fake.set(free)
            await asyncio.sleep(looks * INTERVAL + INTERVAL / 2)
            counts.append(fake.trims)
        task.cancel()
        return counts

    return run_with_fake_clock(main())


def test_what_stays_free_is_given_back_once() -> None:
    """After a burst, one trim; the heap still counts those bytes as free, which is no reason for another."""
    assert trims_after((3, 0), (IDLE_LOOKS - 2, 4 * WORTH_BYTES), (4, None), (50, None)) == [0, 0, 1, 1]


def test_another_burst_is_another_trim() -> None:
    """Memory that came back after a trim is given back again when it has been free for a while."""
    burst = (IDLE_LOOKS + 2, 4 * WORTH_BYTES)
    assert trims_after((1, 0), burst, burst) == [0, 1, 2]


def test_memory_in_use_is_left_alone() -> None:
    """Under steady load, when free memory is taken again every few seconds, nothing is trimmed."""
    phases = [(IDLE_LOOKS - 3, 4 * WORTH_BYTES), (2, 0)] * 5
    assert trims_after(*phases)[-1] == 0


def test_little_is_not_worth_it() -> None:
    """A trim stops the allocator, so it must give something back."""
    assert trims_after((50, WORTH_BYTES - MIB)) == [0]


def test_the_real_heap() -> None:
    """Where the C library is glibc, it can be asked and trimmed."""
    heap = glibc_heap()
    if heap is None:
        pytest.skip("the C library is not glibc 2.33 or newer")
    assert heap.free_bytes() >= 0
    assert heap.resident_bytes() > MIB
    heap.trim()
