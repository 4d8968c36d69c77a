"""A platform in a thread with a loop of its own, for tests that run commands, which have theirs."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from tests.support.destinations.platforms import PLATFORMS
from tests.support.destinations.server import ContractServer, Judgement

__all__ = ["platform"]


@contextmanager
def platform(name: str, *script: Judgement) -> Iterator[ContractServer]:
    """Run a platform in a loop of its own: commands have theirs."""
    server, loop, ready = ContractServer(PLATFORMS[name].rules, *script), asyncio.new_event_loop(), threading.Event()

    async def serve() -> None:
        async with server:
            ready.set()
            await stop.wait()

    stop = asyncio.Event()
    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()))
    thread.start()
    ready.wait()
    try:
        yield server
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()
        loop.close()
