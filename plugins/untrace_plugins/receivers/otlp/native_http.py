"""OTLP/HTTP over the native transport."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from untrace_pipeline.api import Code, Settings
from untrace_pipeline.data import Signal
from untrace_pipeline.net.http_message import ClientGoneError, HttpError, Request, Response
from untrace_plugins.otlp.http import respond
from untrace_plugins.otlp.service import Answer, Encoding, OtlpService
from untrace_plugins.otlp.status import http_status
from untrace_plugins.receivers.otlp.config import OtlpHttpConfig
from untrace_plugins.receivers.otlp.http_transport import OtlpHttpServer
from untrace_plugins.receivers.otlp.native_transport import SIGNALS, NativeServer

if TYPE_CHECKING:
    from untrace_pipeline_native import Group, Head, Refusal

__all__ = ["NativeHttpServer"]


class NativeHttpServer(NativeServer):
    """OTLP/HTTP. What is no plain OTLP request goes through the Python server's handlers."""

    transport = "http"

    def __init__(self, config: OtlpHttpConfig, service: OtlpService, settings: Settings) -> None:
        super().__init__(config, service, settings.logger)
        self._config = config
        self._handlers = OtlpHttpServer(config, service, settings)
        self._requests: dict[int, Request] = {}

    def _options(self) -> dict[str, object]:
        config = self._config
        self._handlers.authenticator = self._authenticator
        own = "".join(f"{name}: {value}\r\n" for name, value in self._handlers.server.own_headers)
        return {
            "protocol": "http",
            "max_connections": config.max_connections,
            "paths": [config.paths[signal] for signal in Signal],
            "max_body": config.max_body_bytes,
            "codings": config.compression_algorithms,
            "head": config.read_header_timeout or None,
            "body_idle": config.body_idle_timeout or None,
            "request": config.read_timeout or None,
            "write": config.write_timeout or None,
            "idle": config.idle_timeout or None,
            "keep_alive": config.keep_alives_enabled,
            "cors": bool(config.cors and config.cors.allowed_origins),
            "own_headers": own.encode("latin-1"),
        }

    def _refusal(self, answer: Answer) -> Refusal:
        return _http_refusal(answer, self._handlers.server.own_headers)

    def _count(self, signal: Signal, answer: Answer, ages: Callable[[], list[float]]) -> None:
        status = HTTPStatus.OK if answer.code is Code.OK else http_status(answer)
        self._handlers.server.count("POST", self._config.paths[signal], status.value, ages())

    def _remark(self, signal: Signal, group: Group, answer: Answer) -> None:
        self._refuse(signal, group, answer)  # any answer with a body of its own goes this way

    def _on_head(self, head: Head) -> None:
        path, _, query = head.target.partition("?")
        request = Request(head.headers, self._config.max_body_bytes, head.peer)
        request.method, request.path, request.query = head.method, path, query
        request.on_want(head.admit)
        self._requests[head.number] = request
        self._spawn(self._handle(head, request), 1)

    async def _handle(self, head: Head, request: Request) -> None:
        try:
            response = await self._handlers.server.answer(request)
            assert isinstance(response, Response)  # OTLP has no answers that are written while they come
            head.respond(*_parts(response))
        except ClientGoneError:
            pass  # there is nobody to answer
        finally:
            del self._requests[head.number]

    def _on_other(self, name: str, *values: Any) -> None:
        if name == "answered":
            signal, status, seconds = values
            self._handlers.server.count("POST", self._config.paths[SIGNALS[signal]], status, (seconds,))
            return
        number, *rest = values
        request = self._requests.get(number)
        if request is None:  # it was answered already
            return
        if name == "body":
            request.take(*rest)
            request.finish()
        elif name == "problem":
            status, message = rest
            request.fail(HttpError(HTTPStatus(status), message))
        else:
            request.fail(ClientGoneError())


def _parts(response: Response) -> tuple[int, bytes, bytes]:
    return response.status.value, response.head(), response.body


@lru_cache(maxsize=64)
def _http_refusal(answer: Answer, own_headers: tuple[tuple[str, str], ...]) -> Refusal:
    from untrace_pipeline_native import Refusal  # noqa: PLC0415

    both = [respond(answer, encoding) for encoding in (Encoding.PROTOBUF, Encoding.JSON)]
    for response in both:
        response.headers += own_headers
    return Refusal.http(*map(_parts, both))
