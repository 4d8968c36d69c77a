"""Limits that a platform tells itself: asked before the first request, and again from time to time."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Any, Final

import orjson

from untrace_pipeline.errors import ConsumeError
from untrace_pipeline.net.client import one_line
from untrace_pipeline.net.http_answer import refusal
from untrace_pipeline.net.http_client import HttpClient
from untrace_plugins.destinations.model import Limits
from untrace_plugins.destinations.templates import render
from untrace_plugins.exporters.platform.config import PlatformConfig

__all__ = ["AdvertisedLimits"]

TIMEOUT_SECONDS: Final = 10.0
KNOWN_SECONDS: Final = 3600.0
"""An installation may be updated."""
UNKNOWN_SECONDS: Final = 60.0
"""When a platform that gave no answer is asked again."""
_OK = range(200, 300)


class AdvertisedLimits:
    """What the platform takes, as far as it is known. Of requests at once, one asks and the others wait."""

    def __init__(
        self, config: PlatformConfig, logger: logging.Logger, now: Callable[[], float] = time.monotonic
    ) -> None:
        told = config.destination
        assert told.advertised is not None
        self._title = told.title
        self._keys = {"request_bytes": told.advertised.request_bytes, "request_items": told.advertised.request_items}
        self._url = render(told.advertised.url, config.values()) or ""
        self._limits = told.limits
        self._logger = logger
        self._now = now
        self._ask_at = -1.0
        self._lock = asyncio.Lock()

    async def limits(self, client: HttpClient) -> Limits:
        """Return the limits, those of the platform's file where it does not say any. Never raises."""
        async with self._lock:
            if self._now() >= self._ask_at:
                self._ask_at = self._now() + (KNOWN_SECONDS if await self._ask(client) else UNKNOWN_SECONDS)
            return self._limits

    async def _ask(self, client: HttpClient) -> bool:
        try:
            async with asyncio.timeout(TIMEOUT_SECONDS):
                answer = await client.request("GET", self._url, judge=lambda a: None if a.status in _OK else refusal(a))
            said = orjson.loads(answer.body)
        except (ConsumeError, TimeoutError, orjson.JSONDecodeError) as error:
            why = one_line(str(error)) or "no answer"
            self._logger.info("%s did not say what it takes, the known limits are kept: %s", self._title, why)
            return False
        found = {name: value for name, key in self._keys.items() if (value := _value(said, key))}
        self._limits = self._limits.model_copy(update=found)
        return True


def _value(said: Any, key: str) -> int | None:
    """Return a number that is a limit, at a key with dots."""
    for step in key.split("."):
        said = said.get(step) if isinstance(said, dict) else None
    return said if isinstance(said, int) and not isinstance(said, bool) and said > 0 else None
