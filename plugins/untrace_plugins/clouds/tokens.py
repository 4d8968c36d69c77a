"""Proofs that are a header: fixed ones, and tokens that a cloud's library gets."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping

from untrace_pipeline.errors import Code, RetryableError
from untrace_pipeline.net.client import one_line

__all__ = ["Fixed", "Tokens"]

EARLY_SECONDS = 300.0
"""A token is exchanged that long before it ends: clocks differ, and uploads take time."""


class Fixed:
    """Headers that never change; none of them where nobody asks who we are."""

    def __init__(self, **proof: str) -> None:
        self._proof = proof

    async def headers(self, method: str, url: str, headers: Mapping[str, str], data: bytes) -> Mapping[str, str]:
        """Return the headers with those."""
        return {**headers, **self._proof}

    def renew(self) -> None:
        """There are no others."""


class Tokens:
    """Bearer tokens, each used until shortly before it ends."""

    def __init__(
        self, fetch: Callable[[], tuple[str, float]], whose: str, clock: Callable[[], float] = time.time
    ) -> None:
        """``fetch`` returns a token and when it ends, seconds since the Unix epoch; it may block and raise anything."""
        self._fetch = fetch
        self._whose = whose
        self._clock = clock
        self._token, self._ends = "", 0.0
        self._fetching = asyncio.Lock()

    async def headers(self, method: str, url: str, headers: Mapping[str, str], data: bytes) -> Mapping[str, str]:
        """Return the headers with a token. Raises :class:`RetryableError` where there is none to be had."""
        async with self._fetching:
            if self._clock() >= self._ends - EARLY_SECONDS:
                await self._exchange()
        return {**headers, "authorization": f"Bearer {self._token}"}

    def renew(self) -> None:
        """Fetch another token when the next is needed."""
        self._ends = 0.0

    async def _exchange(self) -> None:
        try:
            self._token, self._ends = await asyncio.to_thread(self._fetch)
        except Exception as error:  # whatever the library raises: it is tried again
            msg = f"no {self._whose} credentials: {one_line(str(error))}"
            raise RetryableError(msg, code=Code.UNAUTHENTICATED) from error
