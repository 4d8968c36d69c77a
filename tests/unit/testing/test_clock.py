"""The clock that jumps."""

from __future__ import annotations

import asyncio
import threading

import pytest

from untrace_pipeline.testing import run_with_fake_clock


def test_timers_fire_at_once_in_order() -> None:
    """An hour takes no time, and what is due first comes first."""
    fired: list[int] = []

    async def scenario() -> float:
        loop = asyncio.get_running_loop()
        loop.call_later(7200, fired.append, 2)
        loop.call_later(3600, fired.append, 1)
        await asyncio.sleep(9000)
        return loop.time()

    assert run_with_fake_clock(scenario()) == pytest.approx(9000)
    assert fired == [1, 2]


def test_no_timer_overtakes_a_thread() -> None:
    """While something works in a thread the clock stands still, so that a timeout over it does not fire."""
    going, release = threading.Event(), threading.Event()

    def work() -> str:
        going.set()
        release.wait(10)
        return "done"

    async def scenario() -> tuple[str, float]:
        async with asyncio.timeout(1):
            task = asyncio.create_task(asyncio.to_thread(work))
            while not going.is_set():
                await asyncio.sleep(0)
            threading.Timer(0.2, release.set).start()
            found = await task
        return found, asyncio.get_running_loop().time()

    assert run_with_fake_clock(scenario()) == ("done", 0.0)
