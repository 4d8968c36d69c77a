"""What all checks of the conformance suite share."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from untrace_pipeline.api import Component
from untrace_pipeline.testing.host import StubHost

__all__ = ["ContractError", "check_lifecycle", "create", "require", "settle"]


class ContractError(AssertionError):
    """A component breaks its contract; the message names the rule."""


def require(holds: bool, rule: str) -> None:
    """Raise :class:`ContractError` with the rule unless it holds."""
    if not holds:
        raise ContractError(rule)


def create(make: Callable[[], Any]) -> Any:
    """Make a component, which must not start anything."""
    before = asyncio.all_tasks()
    made = make()
    require(asyncio.all_tasks() == before, "creating starts no task; start() does")
    return made


async def check_lifecycle(make: Callable[[], Component], host: StubHost) -> None:
    """Stop without a start, and twice; nothing survives."""
    unstarted = create(make)
    await unstarted.shutdown()
    before = asyncio.all_tasks()
    component = make()
    await component.start(host)
    await component.shutdown()
    await component.shutdown()
    await settle(before)


async def settle(before: set[asyncio.Task[Any]]) -> None:
    """Give cancelled tasks one turn to end, then look for survivors."""
    await asyncio.sleep(0)
    left = [task.get_name() for task in asyncio.all_tasks() - before if not task.done()]
    require(not left, f"no task survives shutdown(): {', '.join(left)}")
