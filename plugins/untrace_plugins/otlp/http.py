"""OTLP/HTTP: protobuf and JSON on the same paths, answers in the form of the request."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from http import HTTPStatus

from untrace_pipeline.api import Code
from untrace_pipeline.data import Context, Signal
from untrace_pipeline.net.http_body import read_body
from untrace_pipeline.net.http_message import HttpError, Request, Response
from untrace_pipeline.net.http_server import Handler, plain_text
from untrace_plugins.otlp.service import OK, Answer, Encoding, OtlpService
from untrace_plugins.otlp.status import http_status, retry_after_header, status_bytes, success_bytes

__all__ = ["export", "render", "respond"]

_SUCCESS = {Encoding.PROTOBUF: b"", Encoding.JSON: b"{}"}
"""An ``Export*ServiceResponse`` without ``partial_success``: everything was taken."""
_ENCODINGS = {str(encoding): encoding for encoding in Encoding}
_NOT_OTLP = {HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED, HTTPStatus.UNSUPPORTED_MEDIA_TYPE}
"""Answered in plain text, as the Collector does: who gets these may be no OTLP client at all."""
_CODES = {
    HTTPStatus.BAD_REQUEST: Code.INVALID_ARGUMENT,
    HTTPStatus.REQUEST_TIMEOUT: Code.DEADLINE_EXCEEDED,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: Code.RESOURCE_EXHAUSTED,
    HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE: Code.RESOURCE_EXHAUSTED,
    HTTPStatus.SERVICE_UNAVAILABLE: Code.UNAVAILABLE,
}


def export(
    service: OtlpService, signal: Signal, sender: Callable[[Request], Awaitable[Context]], algorithms: Sequence[str]
) -> Handler:
    """Return what answers requests of one signal.

    ``sender`` says who a request comes from, before its body is read; it may raise :class:`HttpError`. ``algorithms``
    are the ``compression_algorithms`` of the server.
    """

    async def handle(request: Request) -> Response:
        encoding = _encoding(request)
        context = await sender(request)
        answer = service.refusal(signal, request.content_length or 0)
        if answer is None:
            request.on_growth(lambda size: _as_error(service.refusal(signal, size)))
            body = await read_body(request, algorithms)
            answer = await service.export(signal, encoding, body, context)
        return respond(answer, encoding)

    return handle


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


def render(request: Request | None, error: HttpError) -> Response:
    """Return an error as ``google.rpc.Status`` in the form of the request, if that has one."""
    encoding = None if request is None else _ENCODINGS.get(request.header("content-type").partition(";")[0].lower())
    if encoding is None or error.status in _NOT_OTLP:
        return plain_text(request, error)
    code = _CODES.get(error.status, Code.UNKNOWN)
    return Response(error.status, status_bytes(Answer(code, str(error)), encoding), encoding, error.headers)
