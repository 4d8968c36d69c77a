"""The ``webhook`` receiver: an HTTP server with a path per source."""

from __future__ import annotations

import time
from collections.abc import Callable
from http import HTTPStatus

import orjson

from untrace_pipeline.api import ConsumeError, Host, Intake, ServerAuthenticator, Settings, StartError, Status
from untrace_pipeline.data import Batch, Context
from untrace_pipeline.data.signal import DRY_RUN_HEADER
from untrace_pipeline.net.auth import check_request, find_server_authenticator
from untrace_pipeline.net.endpoint import Endpoint
from untrace_pipeline.net.http_body import admit_body, read_body
from untrace_pipeline.net.http_message import HttpError, Request, Response, metadata
from untrace_pipeline.net.http_once import Once
from untrace_pipeline.net.http_server import Handler, HttpServer
from untrace_pipeline.net.refusal import http_refusal
from untrace_plugins.core_trace.checking import InvalidError
from untrace_plugins.receivers.webhook.config import WebhookReceiverConfig
from untrace_plugins.receivers.webhook.mapping import Compose, compile_mapping
from untrace_plugins.receivers.webhook.source import Source
from untrace_plugins.shaping.expressions import View
from untrace_plugins.signing.schemes import SignatureError

__all__ = ["WebhookReceiver"]

JSON = "application/json"
_CREDENTIALS = frozenset({"authorization", "cookie", "proxy-authorization"})
_MARK = "signature"
"""Headers that have it in their names go no further."""


class WebhookReceiver:
    """Takes events; acknowledges what ``next`` has accepted."""

    def __init__(
        self,
        config: WebhookReceiverConfig,
        settings: Settings,
        next: Intake,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._config = config
        self._settings = settings
        self._next = next
        self._clock = clock
        self._authenticator: ServerAuthenticator | None = None
        self._sources = [Source(name, source, settings.logger, clock) for name, source in config.sources.items()]
        paths = config.paths()
        routes = {paths[source.name]: {"POST": self._handler(source)} for source in self._sources}
        self._server = HttpServer(config, routes, settings.logger, _render, settings.meter)

    @property
    def endpoint(self) -> Endpoint:
        """Where it listens, with the port that was chosen."""
        return self._server.endpoint

    async def start(self, host: Host) -> None:
        """Listen. Raises :class:`StartError` naming source, endpoint or file, and cause."""
        try:
            for source in self._sources:
                signal = source.config.signal
                if signal not in self._settings.signals:
                    msg = f"source {source.name} makes {signal}, and no {signal} pipeline names this receiver"
                    raise StartError(msg)
                source.open()
            self._authenticator = find_server_authenticator(host, self._config.auth)
            await self._server.start()
        except StartError as error:
            msg = f"receiver {self._settings.id}: {error}"
            raise StartError(msg) from error
        self._settings.logger.info("listening for webhooks on http %s", self.endpoint)
        host.report(Status.OK, f"http {self.endpoint}")

    async def shutdown(self) -> None:
        """Take no new requests, answer those under way, close. If cancelled, the rest stays unacknowledged."""
        await self._server.stop()

    def _handler(self, source: Source) -> Handler:
        compose = compile_mapping(source.name, source.config)
        meter, window = self._settings.meter, source.config.replay_window
        repeated = meter.counter("receiver_webhook_events", source=source.name, outcome="repeated")
        refused = {
            reason: meter.counter("receiver_webhook_refusals", source=source.name, reason=reason)
            for reason in ("signature", "content")
        }
        once = Once(window, self._config.max_event_ids, repeated) if window else None

        async def handle(request: Request) -> Response:
            await check_request(request, self._authenticator)
            admit_body(request, self._next.admit)
            body = await read_body(request, self._config.compression_algorithms)
            try:
                signed = source.verify(request, body)
                view = source.read(request, body)
                if (answer := source.answer(view)) is not None:
                    return Response(HTTPStatus.OK, orjson.dumps({"challenge": answer}), JSON)
                key = source.repetition(view, signed)
                context = self._context(request, source)
                if once is None or not key or context.dry_run:
                    return await self._take(source, compose, view, context)
                return await once.once((key,), b"", lambda: self._take(source, compose, view, context))
            except SignatureError as error:
                refused["signature"].add()
                raise HttpError(HTTPStatus.UNAUTHORIZED, str(error)) from None
            except InvalidError as error:
                refused["content"].add()
                raise HttpError(HTTPStatus.BAD_REQUEST, str(error)) from None

        return handle

    async def _take(self, source: Source, compose: Compose, view: View, context: Context) -> Response:
        """Hand the events of a request on. Raises :class:`HttpError`, :class:`InvalidError`."""
        events, all_events = source.events(view)
        meter, name = self._settings.meter, source.name
        if events:
            batch = Batch(source.config.signal, compose(events, int(self._clock() * 1e9)), context)
            try:
                await self._next.consume(batch)
            except ConsumeError as error:
                raise http_refusal(error) from error
        meter.counter("receiver_webhook_events", source=name, outcome="taken").add(len(events))
        meter.counter("receiver_webhook_events", source=name, outcome="ignored").add(all_events - len(events))
        said: dict[str, object] = {"accepted": len(events), "ignored": all_events - len(events)}
        if context.dry_run:
            said["remarks"] = context.remarks
        return Response(HTTPStatus.OK, orjson.dumps(said), JSON)

    def _context(self, request: Request, source: Source) -> Context:
        config = source.config
        secret = {config.token_header.lower(), *_CREDENTIALS}
        kept = {
            name: values
            for name, values in metadata(request.headers).items()
            if name == DRY_RUN_HEADER or (self._config.include_metadata and name not in secret and _MARK not in name)
        }
        return Context(kept, {"source": source.name}, config.tenant, request.peer, "http")


def _render(_request: Request | None, error: HttpError) -> Response:
    return Response(error.status, orjson.dumps({"error": str(error)}), JSON, error.headers)
