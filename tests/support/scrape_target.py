"""A program with metrics, for receivers that scrape."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import TracebackType
from typing import Self

from aiohttp import web

__all__ = ["OPENMETRICS", "TEXT", "ScrapeTarget"]

TEXT = "text/plain; version=0.0.4; charset=utf-8"
OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"


class ScrapeTarget:
    """Answers ``GET`` on any path with what it was told to."""

    def __init__(self, text: str = "a 1\n", content_type: str = TEXT) -> None:
        self.text = text
        self.content_type = content_type
        self.status = 200
        self.headers: dict[str, str] = {}
        """More headers of its answers."""
        self.delay = 0.0
        self.requests: list[web.BaseRequest] = []
        self.on_request: Callable[[int], None] | None = None
        """Called with the number of the request, before it is answered."""
        self.port = 0
        self._runner = web.ServerRunner(web.Server(self._answer))

    @property
    def address(self) -> str:
        """``host:port``."""
        return f"127.0.0.1:{self.port}"

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        self.requests.append(request)
        if self.on_request is not None:
            self.on_request(len(self.requests))
        await asyncio.sleep(self.delay)
        headers = {"Content-Type": self.content_type, **self.headers}
        answer = web.Response(status=self.status, body=self.text.encode(), headers=headers)
        if "gzip" in request.headers.get("Accept-Encoding", ""):
            answer.enable_compression()
        return answer

    async def __aenter__(self) -> Self:
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.port = self._runner.addresses[0][1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._runner.cleanup()
