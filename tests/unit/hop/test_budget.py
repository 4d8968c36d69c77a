"""How much may be under way: turns, order, cancellation."""

from __future__ import annotations

import asyncio

import pytest

from untrace_pipeline.hop.budget import Budget


async def waiting(budget: Budget, *sizes: int) -> list[asyncio.Task[None]]:
    """Return tasks that want so much, in that order."""
    tasks = [asyncio.create_task(budget.take(size)) for size in sizes]
    await asyncio.sleep(0)
    return tasks


async def test_there_is_room_until_there_is_none() -> None:
    """Whoever does not fit waits until enough was given back."""
    budget = Budget(10)
    await budget.take(6)
    await budget.take(4)
    first, second = await waiting(budget, 5, 5)
    budget.give(4)
    await asyncio.sleep(0)
    assert not first.done()
    budget.give(6)
    await asyncio.wait([first, second])
    assert budget.used == 10


async def test_nobody_overtakes() -> None:
    """A small one behind a large one waits too: else the large one might wait for ever."""
    budget = Budget(10)
    await budget.take(8)
    large, small = await waiting(budget, 9, 1)
    assert not small.done()
    budget.give(8)
    await asyncio.wait([large, small])
    assert budget.used == 10


async def test_one_that_is_larger_than_all_passes_alone() -> None:
    """It waits until nothing is under way, and holds up all others."""
    budget = Budget(10)
    await budget.take(1)
    (huge,) = await waiting(budget, 50)
    assert not huge.done()
    budget.give(1)
    await huge
    (other,) = await waiting(budget, 1)
    assert not other.done()
    budget.give(50)
    await other
    assert budget.used == 1


@pytest.mark.parametrize("late", [False, True])
async def test_cancelling_gives_the_turn_to_the_next(late: bool) -> None:
    """Before its turn or in the moment when it had come: nothing of the room is lost."""
    budget = Budget(10)
    await budget.take(10)
    first, second = await waiting(budget, 10, 3)
    if late:
        budget.give(10)
        first.cancel()
    else:
        first.cancel()
        await asyncio.sleep(0)
        budget.give(10)
    await asyncio.wait([first, second])
    assert first.cancelled()
    assert budget.used == 3
