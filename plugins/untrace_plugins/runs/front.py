"""The server of a vendor's API: who may send, what is read, errors in the vendor's form, and OTLP among its paths."""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from typing import Any

import orjson

from untrace_pipeline.api import Host, Intake, ServerAuthenticator, Settings, StartError
from untrace_pipeline.data import Context, Signal
from untrace_pipeline.net.auth import find_server_authenticator, sender_of
from untrace_pipeline.net.endpoint import Endpoint
from untrace_pipeline.net.http_body import admit_body, read_body
from untrace_pipeline.net.http_message import HttpError, Request, Response
from untrace_pipeline.net.http_server import HttpServer, Routes
from untrace_plugins.otlp.http import export, render
from untrace_plugins.otlp.service import OtlpService
from untrace_plugins.runs.config import VendorReceiverConfig
from untrace_plugins.runs.json_text import read_json
from untrace_plugins.runs.keys import Keys
from untrace_plugins.runs.shelf import Shelf

__all__ = ["Front", "answer"]

JSON = "application/json"
OTLP_PATH = "/v1/traces"
"""How paths of OTLP end."""


class Front:
    """Listens, and lets in whom it should; the shelf behind it ends with it."""

    def __init__(
        self,
        config: VendorReceiverConfig,
        settings: Settings,
        next: Intake,
        shelf: Shelf,
        *,
        keys: Keys,
        hidden: frozenset[str],
        complaint: Callable[[HttpError], object],
    ) -> None:
        """``hidden``: headers with credentials; ``complaint`` makes the body of an answer of an error."""
        self.name = f"receiver {settings.id}"
        self._config = config
        self._settings = settings
        self._shelf = shelf
        self._keys = keys
        self._hidden = hidden
        self._complaint = complaint
        self._authenticator: ServerAuthenticator | None = None
        self._server: HttpServer | None = None
        otlp = OtlpService(str(settings.id), settings.signals, next, settings.logger)
        self.otlp = export(otlp, Signal.TRACES, self.sender, config.compression_algorithms)
        """Answers requests of OTLP."""

    async def start(self, host: Host, routes: Routes) -> None:
        """Listen. Raises :class:`StartError`."""
        settings = self._settings
        try:
            found = find_server_authenticator(host, self._config.auth)
            self._authenticator = self._keys if self._config.own_keys else found
            self._server = HttpServer(self._config, routes, settings.logger, self._render, settings.meter)
            await self._server.start()
        except StartError as error:
            msg = f"{self.name}: {error}"
            raise StartError(msg) from error
        self._shelf.start(host, f"{self.name} hands on runs")
        settings.logger.info("listening on %s", self._server.endpoint)

    @property
    def endpoint(self) -> Endpoint:
        """Where it listens."""
        return self._server.endpoint if self._server is not None else Endpoint.parse(self._config.endpoint)

    async def shutdown(self) -> None:
        """Take no more requests, hand on what is held as it is."""
        try:
            if self._server is not None:
                await self._server.stop()
        finally:
            await self._shelf.close()

    async def sender(self, request: Request) -> Context:
        """Return who a request comes from. Raises :class:`HttpError` 401 or 403."""
        keep = self._config.include_metadata
        return await sender_of(request, self._authenticator, include_metadata=keep, hidden=self._hidden)

    async def open(self, request: Request) -> tuple[Context, bytes]:
        """Return who sends, and the body, if it is welcome. Raises :class:`HttpError`."""
        context = await self.sender(request)
        admit_body(request, self._shelf.admit)
        return context, await read_body(request, self._config.compression_algorithms)

    async def open_json(self, request: Request) -> tuple[Context, Any]:
        """Return who sends, and what the body says. Raises :class:`HttpError`."""
        context, body = await self.open(request)
        try:
            return context, read_json(body)
        except ValueError as error:
            raise HttpError(HTTPStatus.BAD_REQUEST, f"the body is {error}") from error

    def _render(self, request: Request | None, error: HttpError) -> Response:
        if request is not None and request.path.endswith(OTLP_PATH):
            return render(request, error)
        return Response(error.status, orjson.dumps(self._complaint(error)), JSON, error.headers)


def answer(value: object, status: HTTPStatus = HTTPStatus.OK) -> Response:
    """Return an answer of JSON."""
    return Response(status, orjson.dumps(value), JSON)
