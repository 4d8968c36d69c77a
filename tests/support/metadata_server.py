"""A metadata service of a cloud on loopback: paths with their answers."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

__all__ = ["MetadataServer", "metadata_server"]


@dataclass
class MetadataServer:
    """What it answers, and what it was asked."""

    url: str
    answers: Mapping[str, Any]
    asked: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)
    """Method, path with its query, and headers."""


@asynccontextmanager
async def metadata_server(
    answers: Mapping[str, Any], required: Mapping[str, str] | None = None
) -> AsyncIterator[MetadataServer]:
    """Serve text, or JSON for mappings, by path; a number is a status. What lacks a ``required`` header is refused."""

    async def answer(request: web.Request) -> web.Response:
        server.asked.append((request.method, str(request.rel_url), dict(request.headers)))
        if request.method == "GET" and any(
            request.headers.get(name) != value for name, value in (required or {}).items()
        ):
            return web.Response(status=401)
        found = server.answers.get(str(request.rel_url), 404)
        if isinstance(found, int):
            return web.Response(status=found)
        return web.json_response(found) if isinstance(found, dict | list) else web.Response(text=str(found))

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    server = MetadataServer(f"http://127.0.0.1:{runner.addresses[0][1]}", answers)
    try:
        yield server
    finally:
        await runner.cleanup()
