"""Ends what servers of ours forget when they close."""

from __future__ import annotations

import asyncio

__all__ = ["end_handshakes"]


async def end_handshakes() -> None:
    """Wait for connections that a server has taken and nobody closes: until Python 3.12 it forgets handshakes."""
    accepting = [one for one in asyncio.all_tasks() if getattr(one.get_coro(), "__name__", "") == "_accept_connection2"]
    await asyncio.gather(*accepting, return_exceptions=True)
    await asyncio.sleep(0)  # whatever failed closes its socket with the next turn
