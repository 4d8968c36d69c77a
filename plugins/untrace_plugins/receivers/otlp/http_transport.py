"""OTLP/HTTP: protobuf and JSON on the same paths, answers in the form of the request."""

from __future__ import annotations

from http import HTTPStatus

from untrace_pipeline.api import Code, ConsumeError, Credentials, ServerAuthenticator, Settings
from untrace_pipeline.data import Context, Signal
from untrace_pipeline.net.endpoint import Endpoint
from untrace_pipeline.net.http_body import read_body
from untrace_pipeline.net.http_message import HttpError, Request, Response, metadata
from untrace_pipeline.net.http_server import Handler, HttpServer, plain_text
from untrace_plugins.receivers.otlp.config import OtlpHttpConfig
from untrace_plugins.receivers.otlp.service import OK, Answer, Encoding, OtlpService
from untrace_plugins.receivers.otlp.status import http_status, retry_after_header, status_bytes, success_bytes

__all__ = ["OtlpHttpServer", "respond"]

_SUCCESS = {Encoding.PROTOBUF: b"", Encoding.JSON: b"{}"}
"""An ``Export*ServiceResponse`` without ``partial_success``: everything was taken."""
_ENCODINGS = {str(encoding): encoding for encoding in Encoding}
_NOBODY = Credentials()
_NOT_OTLP = {HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED, HTTPStatus.UNSUPPORTED_MEDIA_TYPE}
"""Answered in plain text, as the Collector does: who gets these may be no OTLP client at all."""
_CODES = {
    HTTPStatus.BAD_REQUEST: Code.INVALID_ARGUMENT,
    HTTPStatus.REQUEST_TIMEOUT: Code.DEADLINE_EXCEEDED,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: Code.RESOURCE_EXHAUSTED,
    HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE: Code.RESOURCE_EXHAUSTED,
    HTTPStatus.SERVICE_UNAVAILABLE: Code.UNAVAILABLE,
}


class OtlpHttpServer:
    """The HTTP server with a route per signal that has a pipeline."""

    def __init__(self, config: OtlpHttpConfig, service: OtlpService, settings: Settings) -> None:
        self._config = config
        self._service = service
        self.authenticator: ServerAuthenticator | None = None
        routes = {path: {"POST": self._export(signal)} for signal, path in config.paths.items()}
        self.server = HttpServer(config, routes, settings.logger, _render, settings.meter)
        """What answers; it also counts answers that others gave."""

    async def start(self, authenticator: ServerAuthenticator | None) -> None:
        """Listen and serve. Raises :class:`StartError`."""
        self.authenticator = authenticator
        await self.server.start()

    async def stop(self) -> None:
        """Finish what is under way and close."""
        await self.server.stop()

    @property
    def endpoint(self) -> Endpoint:
        """Where it listens."""
        return self.server.endpoint

    @property
    def unfinished(self) -> int:
        """Requests that :meth:`stop` cut off because it was cancelled."""
        return self.server.unfinished

    def _export(self, signal: Signal) -> Handler:
        async def export(request: Request) -> Response:
            encoding = _encoding(request)
            who = _NOBODY if self.authenticator is None else await self._authenticate(request, self.authenticator)
            answer = self._service.refusal(signal, request.content_length or 0)
            if answer is None:
                request.on_growth(lambda size: _as_error(self._service.refusal(signal, size)))
                body = await read_body(request, self._config.compression_algorithms)
                answer = await self._service.export(signal, encoding, body, self._context(request, who))
            return respond(answer, encoding)

        return export

    async def _authenticate(self, request: Request, authenticator: ServerAuthenticator) -> Credentials:
        try:
            return await authenticator.authenticate(metadata(request.headers))
        except ConsumeError as error:
            status = http_status(Answer(error.code))
            headers = (("www-authenticate", authenticator.challenge),) if status is HTTPStatus.UNAUTHORIZED else ()
            raise HttpError(status, str(error), headers) from error

    def _context(self, request: Request, who: Credentials) -> Context:
        if self._config.include_metadata:
            return Context(metadata(request.headers), who.attributes, who.tenant, request.peer, "http")
        return Context(auth=who.attributes, tenant=who.tenant, peer=request.peer, transport="http")


def _encoding(request: Request) -> Encoding:
    media_type = request.header("content-type")
    encoding = _ENCODINGS.get(media_type) or _ENCODINGS.get(media_type.partition(";")[0].strip().lower())
    if encoding is None:
        supported = ", ".join(Encoding)
        message = f"Content-Type {media_type[:100]!r} is not supported; supported: {supported}"
        raise HttpError(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, message, (("accept", supported),))
    return encoding


def respond(answer: Answer, encoding: Encoding) -> Response:
    """Return the answer of HTTP for how a request ended."""
    if answer is OK:
        return Response(HTTPStatus.OK, _SUCCESS[encoding], encoding)
    if answer.code is Code.OK:
        return Response(HTTPStatus.OK, success_bytes(answer, encoding), encoding)
    return Response(http_status(answer), status_bytes(answer, encoding), encoding, retry_after_header(answer))


def _as_error(refusal: Answer | None) -> HttpError | None:
    if refusal is None:
        return None
    return HttpError(http_status(refusal), refusal.message, retry_after_header(refusal))


def _render(request: Request | None, error: HttpError) -> Response:
    """Return an error as ``google.rpc.Status`` in the form of the request, if that has one."""
    encoding = None if request is None else _ENCODINGS.get(request.header("content-type").partition(";")[0].lower())
    if encoding is None or error.status in _NOT_OTLP:
        return plain_text(request, error)
    code = _CODES.get(error.status, Code.UNKNOWN)
    return Response(error.status, status_bytes(Answer(code, str(error)), encoding), encoding, error.headers)
