"""OTLP/HTTP that does what the judge says, down to half an answer."""

from __future__ import annotations

import asyncio

from aiohttp import web

from tests.support.chaos.judge import Answer, Cut, Judge
from tests.support.otlp_servers import DECOMPRESS

HALF_AN_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/x-protobuf\r\nContent-Le"
CONTENT_TYPE = "application/x-protobuf"


class HttpChaos:
    """Serves ``POST /v1/traces``."""

    def __init__(self, judge: Judge) -> None:
        self.port = 0
        self._judge = judge
        self._runner: web.AppRunner | None = None

    async def start(self, port: int) -> None:
        """Listen; 0 takes a free port."""
        app = web.Application(client_max_size=1 << 30)
        app.router.add_post("/v1/traces", self._export)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1, auto_decompress=False, handler_cancellation=True)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", port).start()
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        """Stop listening and close all connections."""
        if self._runner is not None:
            await self._runner.cleanup()

    async def _export(self, request: web.Request) -> web.StreamResponse:
        data = DECOMPRESS[request.headers.get("Content-Encoding", "")](await request.read())
        answer = await self._judge.judge("http", data)
        if isinstance(answer, Cut):
            await _cut(request, answer)
            return web.Response()
        if request.transport is None:
            self._judge.cut(answer.took)
        return _response(answer)


async def _cut(request: web.Request, cut: Cut) -> None:
    if request.transport is None:
        return
    if cut.midway:
        request.transport.write(HALF_AN_ANSWER)
        request.transport.close()
    else:
        request.transport.abort()
    await asyncio.sleep(0)


def _response(answer: Answer) -> web.Response:
    refusal = answer.refusal
    body = answer.body if refusal is None else refusal.SerializeToString()
    return web.Response(status=answer.http_status, body=body, content_type=CONTENT_TYPE, headers=answer.http_headers)
