"""The native transports: servers of the extension behind the same service and with the same answers.

A thread of the extension reads, decompresses, decodes and validates requests, and merges small ones of one sender. The
event loop takes what is there in one go, makes one task per merged group, and gives the answers back in one go.
Requests that are no plain OTLP (other paths, web pages, whatever must be authenticated) are answered by the code of
the Python servers, which gets their heads and asks for their bodies.
"""

from __future__ import annotations

import asyncio
import logging
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine
from functools import lru_cache
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, ClassVar

from untrace_pipeline.api import Code, ConsumeError, ServerAuthenticator, Settings, StartError
from untrace_pipeline.data import Batch, Context, Signal
from untrace_pipeline.data.codecs import active_codec
from untrace_pipeline.net import grpc_server, stream_server
from untrace_pipeline.net.endpoint import Endpoint, close_listeners, open_listeners
from untrace_pipeline.net.grpc_settings import GrpcServerConfig
from untrace_pipeline.net.http_message import ClientGoneError, HttpError, Request, Response
from untrace_pipeline.net.http_settings import HttpServerConfig
from untrace_pipeline.net.tls import CLIENT_CA_CHECK_SECONDS, ServerTls, ServerTlsConfig, TlsVersion
from untrace_plugins.receivers.otlp.config import OtlpGrpcConfig, OtlpHttpConfig
from untrace_plugins.receivers.otlp.http_transport import OtlpHttpServer, metadata, respond
from untrace_plugins.receivers.otlp.service import OK, Answer, Encoding, NativeLimitError, OtlpService
from untrace_plugins.receivers.otlp.status import http_status, status_bytes

if TYPE_CHECKING:
    from untrace_pipeline_native import Group, Head, Ingress, IngressTls, Question, Refusal

__all__ = ["NativeGrpcServer", "NativeHttpServer"]

READ_AHEAD_BYTES = 32 * 1024 * 1024
"""Bodies that a listener takes in before the event loop was asked."""
_SIGNALS = {str(signal): signal for signal in Signal}


class _NativeServer(ABC):
    """What both protocols share: from events to tasks to answers."""

    transport: ClassVar[str]

    def __init__(
        self, config: GrpcServerConfig | HttpServerConfig, service: OtlpService, logger: logging.Logger
    ) -> None:
        self._tls = config.tls
        self._include_metadata = config.include_metadata
        self._service = service
        self._logger = logger
        self._authenticator: ServerAuthenticator | None = None
        self._ingress: Ingress | None = None
        self._tables = False
        self._merging = True
        self._running: dict[asyncio.Task[None], int] = {}  # and the requests that each stands for
        self._finished: list[Group] = []
        self._empty = asyncio.Event()
        self.unfinished = 0
        """Requests that :meth:`stop` cut off because it was cancelled."""
        self.endpoint = Endpoint.parse(config.endpoint, unix=config.unix)
        """Where it listens; after :meth:`start` with the port that was chosen."""

    # -------------------------------------------------------------- lifecycle

    async def start(self, authenticator: ServerAuthenticator | None = None) -> None:
        """Listen and serve. Raises :class:`StartError` naming the endpoint and the cause.

        Raises :class:`NativeLimitError` for what only the Python transport can do; nothing is open then.
        """
        from untrace_pipeline_native import Ingress  # noqa: PLC0415  only here is the extension needed

        self._authenticator = authenticator
        self._loop = asyncio.get_running_loop()
        self._tables = active_codec().name == "native"
        tls = self._make_tls(self._tls) if self._tls else None
        options = self._options() | {
            "sweep": stream_server.SWEEP_SECONDS,
            "tls_handshake": stream_server.TLS_HANDSHAKE_SECONDS,
            "read_ahead": READ_AHEAD_BYTES,
            "unserved": [not self._service.is_served(signal) for signal in Signal],
            "metadata": self._include_metadata,
            "authenticate": authenticator is not None,
        }
        sockets, self.endpoint = open_listeners(self.endpoint)
        descriptors = [one.detach() for one in sockets]
        try:
            self._ingress = Ingress(options, descriptors, bool(self.endpoint.path), self._tables, tls)
        except OSError as error:
            close_listeners([], self.endpoint)
            raise StartError(f"cannot serve on {self.endpoint}: {error}") from error
        self._empty.clear()
        self._loop.add_reader(self._ingress.fd, self._on_events, self._ingress)

    async def stop(self) -> None:
        """Take no new requests, finish those under way, close. If cancelled, cut the rest off."""
        ingress, self._ingress = self._ingress, None
        if ingress is None:
            return
        ingress.drain()
        close_listeners([], self.endpoint)
        try:
            await self._wait_empty(ingress)
            while self._running:
                await asyncio.wait(self._running)
        finally:
            self.unfinished = sum(self._running.values())
            for task in self._running:
                task.cancel()
            self._answer_finished()
            ingress.abort()
            self._loop.remove_reader(ingress.fd)

    async def _wait_empty(self, _ingress: Ingress) -> None:
        await self._empty.wait()

    def _make_tls(self, config: ServerTlsConfig) -> IngressTls:
        from untrace_pipeline_native import IngressTls  # noqa: PLC0415

        protocol = "h2" if self.transport == "grpc" else "http/1.1"
        ServerTls(config, self._logger).ssl_context(protocol)  # says what is wrong with the files
        if weak := [suite for suite in config.cipher_suites if "_CBC_" in suite]:
            raise NativeLimitError(f"tls.cipher_suites: {', '.join(weak)}")
        interval = config.reload_interval
        if config.client_ca_file_reload:
            interval = min(interval or CLIENT_CA_CHECK_SECONDS, CLIENT_CA_CHECK_SECONDS)
        newest = config.max_version or TlsVersion.V1_3
        try:
            return IngressTls(
                certificate=config.cert_file or (config.cert_pem or "").encode(),
                key=config.key_file or (config.key_pem.reveal().encode() if config.key_pem else b""),
                client_authorities=config.client_ca_file,
                versions=(config.min_version is TlsVersion.V1_2, newest is TlsVersion.V1_3),
                suites=[str(suite) for suite in config.cipher_suites],
                protocol=protocol,
                reload=interval or None,
            )
        except ValueError as error:
            raise NativeLimitError(f"tls: {error}") from error

    # ----------------------------------------------------------------- events

    def _on_events(self, ingress: Ingress) -> None:
        groups, events = ingress.take()
        for group in groups:
            self._begin(ingress, group)
        for name, *values in events:
            if name == "ask":
                self._on_question(ingress, *values)
            elif name == "head":
                self._on_head(*values)
            elif name == "empty":
                self._empty.set()
            elif name == "log":
                warning, words = values
                self._logger.log(logging.WARNING if warning else logging.INFO, "tls: %s", words)
            else:
                self._on_other(name, *values)

    def _on_question(self, ingress: Ingress, question: Question) -> None:
        refusal = self._service.refusal(_SIGNALS[question.signal], question.size)
        if refusal is None:
            ingress.set_gate(question.signal, True)
            question.admit()
        else:
            ingress.set_gate(question.signal, False)
            self._count(_SIGNALS[question.signal], refusal, lambda: [0.0])
            question.refuse(self._refusal(refusal))

    def _begin(self, ingress: Ingress, group: Group) -> None:
        """Start work on a group, unless it would be refused anyway."""
        if group.requests > 1 and not self._merging:
            for part in group.split(self._tables):
                self._begin(ingress, part)
            return
        signal = _SIGNALS[group.signal]
        refusal = self._service.refusal(signal, len(group.body), group.requests)
        if refusal is None:
            self._spawn(self._serve(signal, group), group.requests)
        else:
            ingress.set_gate(group.signal, False)
            self._refuse(signal, group, refusal)

    def _spawn(self, step: Coroutine[Any, Any, None], requests: int) -> asyncio.Task[None]:
        task = self._loop.create_task(step)
        self._running[task] = requests
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[None]) -> None:
        del self._running[task]

    # ---------------------------------------------------------------- serving

    async def _serve(self, signal: Signal, group: Group) -> None:
        answer = await self._answer(signal, group)
        if answer.partly and group.requests > 1:
            self._stop_merging()
        if answer is OK:
            self._succeed(signal, group)
        elif answer.retry_after is None and group.requests > 1:
            # One of them may be the reason, and the others are innocent.
            for part in group.split(self._tables):
                self._spawn(self._serve(signal, part), 1)
        else:
            self._refuse(signal, group, answer)

    def _stop_merging(self) -> None:
        """One destination refuses what another takes: the innocent of a merged group would come to the other again."""
        if self._merging:
            self._merging = False
            self._logger.warning(
                "a destination refused requests that another has taken; from now on requests are not merged, "
                "so that each is judged by itself (this costs CPU where requests are small)"
            )

    async def _answer(self, signal: Signal, group: Group) -> Answer:
        count = group.item_count
        context = self._context(group)
        if count is not None:
            return await self._service.take(Batch.decoded(signal, group.body, context, count, group.table))
        encoding = Encoding.JSON if group.is_json else Encoding.PROTOBUF
        return await self._service.export(signal, encoding, group.body, context)

    def _context(self, group: Group) -> Context:
        headers = group.headers
        if headers is None:
            return Context(peer=group.peer, transport=self.transport, requests=group.requests)
        return Context(metadata(headers), peer=group.peer, transport=self.transport)

    def _succeed(self, signal: Signal, group: Group) -> None:
        self._count(signal, OK, group.ages)
        if not self._finished:
            self._loop.call_soon(self._answer_finished)
        self._finished.append(group)

    def _answer_finished(self) -> None:
        from untrace_pipeline_native import Ingress  # noqa: PLC0415

        finished, self._finished = self._finished, []
        Ingress.succeed(finished)

    def _refuse(self, signal: Signal, group: Group, answer: Answer) -> None:
        self._count(signal, answer, group.ages)
        group.refuse(self._refusal(answer))

    # --------------------------------------------------------- per protocol

    @abstractmethod
    def _options(self) -> dict[str, object]:
        """Return the options of the extension that this protocol has."""

    @abstractmethod
    def _refusal(self, answer: Answer) -> Refusal:
        """Return a failure in the form of this protocol."""

    @abstractmethod
    def _count(self, signal: Signal, answer: Answer, ages: Callable[[], list[float]]) -> None:
        """Count answers, with the seconds that each of the requests took."""

    @abstractmethod
    def _on_head(self, head: Head) -> None:
        """The head of a request came that is not handled by the extension alone."""

    @abstractmethod
    def _on_other(self, name: str, *values: Any) -> None:
        """Something came that only this protocol has."""


class NativeGrpcServer(_NativeServer):
    """OTLP/gRPC."""

    transport = "grpc"

    def __init__(self, config: OtlpGrpcConfig, service: OtlpService, logger: logging.Logger) -> None:
        super().__init__(config, service, logger)
        self._config = config
        self._asking: dict[int, asyncio.Task[None]] = {}
        self._let_in: dict[int, Context] = {}

    def _options(self) -> dict[str, object]:
        limits = self._config.limits(eager=self._authenticator is None)
        return {
            "protocol": "grpc",
            "max_connections": grpc_server.MAX_CONNECTIONS,
            "max_streams": limits.max_streams,
            "stream_window": limits.stream_window,
            "max_message": self._config.max_message_bytes,
            "handshake": _finite(limits.handshake),
            "write": _finite(limits.write),
            "idle": _finite(limits.idle),
            "age": _finite(limits.age),
            "age_grace": _finite(limits.age_grace),
            "ping_after": _finite(limits.ping_after),
            "ping_timeout": _finite(limits.ping_timeout),
            "least_ping_interval": limits.least_ping_interval,
            "ping_without_streams": limits.ping_without_streams,
            "message_idle": grpc_server.MESSAGE_IDLE_SECONDS,
        }

    async def _wait_empty(self, ingress: Ingress) -> None:
        """As the last connection; who has begun a call and brings no message is not waited for."""
        try:
            await asyncio.wait_for(self._empty.wait(), grpc_server.MESSAGE_SECONDS)
        except TimeoutError:
            ingress.cut()
            await self._empty.wait()

    def _refusal(self, answer: Answer) -> Refusal:
        return _grpc_refusal(answer)

    def _count(self, signal: Signal, answer: Answer, ages: Callable[[], list[float]]) -> None:
        """The intake counts the requests; there is nothing like a status line."""

    def _on_head(self, head: Head) -> None:
        self._asking[head.number] = self._spawn(self._authenticate(head), 1)

    async def _authenticate(self, head: Head) -> None:
        assert self._authenticator is not None
        assert head.signal is not None
        try:
            refusal = self._service.refusal(_SIGNALS[head.signal], 0)
            if refusal is not None:
                head.refuse(_grpc_refusal(refusal))
                return
            values = metadata(head.headers)
            who = await self._authenticator.authenticate(values)
            kept = values if self._include_metadata else {}
            self._let_in[head.number] = Context(kept, who.attributes, who.tenant, head.peer, self.transport)
            head.admit()
        except ConsumeError as error:
            head.refuse(_plain_refusal(error.code, str(error)))
        except Exception:
            self._logger.exception("a call failed unexpectedly")
            head.refuse(_plain_refusal(Code.INTERNAL, "internal error, see the log"))
        finally:
            self._asking.pop(head.number, None)

    def _context(self, group: Group) -> Context:
        if group.number:
            return self._let_in.pop(group.number)
        return super()._context(group)

    def _refuse(self, signal: Signal, group: Group, answer: Answer) -> None:
        self._let_in.pop(group.number, None)
        super()._refuse(signal, group, answer)

    def _on_other(self, name: str, *values: Any) -> None:
        assert name == "gone", name
        (number,) = values
        self._let_in.pop(number, None)
        if task := self._asking.get(number):
            task.cancel()


class NativeHttpServer(_NativeServer):
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
        status = HTTPStatus.OK if answer is OK else http_status(answer)
        self._handlers.server.count("POST", self._config.paths[signal], status.value, ages())

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
            head.respond(*_parts(response))
        except ClientGoneError:
            pass  # there is nobody to answer
        finally:
            del self._requests[head.number]

    def _on_other(self, name: str, *values: Any) -> None:
        if name == "answered":
            signal, status, seconds = values
            self._handlers.server.count("POST", self._config.paths[_SIGNALS[signal]], status, (seconds,))
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


def _finite(seconds: float) -> float | None:
    return None if seconds == math.inf else seconds


def _parts(response: Response) -> tuple[int, bytes, bytes]:
    return response.status.value, response.head(), response.body


def _plain_refusal(code: Code, message: str) -> Refusal:
    from untrace_pipeline_native import Refusal  # noqa: PLC0415

    return Refusal.grpc(code, message, b"")


@lru_cache(maxsize=64)
def _grpc_refusal(answer: Answer) -> Refusal:
    from untrace_pipeline_native import Refusal  # noqa: PLC0415

    return Refusal.grpc(answer.code, answer.message, status_bytes(answer))


@lru_cache(maxsize=64)
def _http_refusal(answer: Answer, own_headers: tuple[tuple[str, str], ...]) -> Refusal:
    from untrace_pipeline_native import Refusal  # noqa: PLC0415

    both = [respond(answer, encoding) for encoding in (Encoding.PROTOBUF, Encoding.JSON)]
    for response in both:
        response.headers += own_headers
    return Refusal.http(*map(_parts, both))
