"""An HTTP server on loopback that remembers what it was asked, and answers by a script or a rule."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

from aiohttp import web

__all__ = ["Asked", "HttpPeer", "Reply"]

LARGEST_BODY = 1 << 28


@dataclass
class Asked:
    """A request; the body without gzip or deflate."""

    method: str
    path: str
    raw_path: str
    """With the query, as it came."""
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes

    def lines(self) -> list[Any]:
        """Return the JSON of each line."""
        return [json.loads(line) for line in self.body.splitlines()]


@dataclass
class Reply:
    """An answer; a body that is no bytes becomes JSON."""

    status: int = 200
    body: Any = b""
    headers: Mapping[str, str] = field(default_factory=dict)


Rule = Callable[[Asked], Reply]


class HttpPeer:
    """Answers with the replies of the script, one after another, and then as the rule says: 200 unless there is one."""

    def __init__(self, *script: Reply, rule: Rule = lambda _asked: Reply()) -> None:
        self.asked: list[Asked] = []
        self.script = list(script)
        self.rule = rule
        self.url = ""
        self._runner: web.AppRunner | None = None

    async def __aenter__(self) -> Self:
        app = web.Application(client_max_size=LARGEST_BODY)
        app.router.add_route("*", "/{path:.*}", self._handle)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        host, port = self._runner.addresses[0][:2]
        self.url = f"http://{host}:{port}"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._runner is not None
        await self._runner.cleanup()

    async def _handle(self, request: web.Request) -> web.Response:
        headers = {name.lower(): value for name, value in request.headers.items()}
        asked = Asked(
            request.method, request.path, request.raw_path, dict(request.query), headers, await request.read()
        )
        self.asked.append(asked)
        reply = self.script.pop(0) if self.script else self.rule(asked)
        body = reply.body if isinstance(reply.body, bytes) else json.dumps(reply.body).encode()
        kind = {} if isinstance(reply.body, bytes) else {"Content-Type": "application/json"}
        return web.Response(status=reply.status, body=body, headers={**kind, **reply.headers})
