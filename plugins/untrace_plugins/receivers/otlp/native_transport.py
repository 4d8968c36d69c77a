"""What the native transports share: servers of the extension behind the same service and with the same answers.

A thread of the extension reads, decompresses, decodes and validates requests, and merges small ones of one sender. The
event loop takes what is there in one go, makes one task per merged group, and gives the answers back in one go.
Requests that are no plain OTLP (other paths, web pages, whatever must be authenticated) are answered by the code of
the Python servers, which gets their heads and asks for their bodies.
"""

from __future__ import annotations

import asyncio
import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, ClassVar

from untrace_pipeline.api import Code, ServerAuthenticator, StartError
from untrace_pipeline.data import Batch, Context, Signal
from untrace_pipeline.data.codecs import active_codec
from untrace_pipeline.net import stream_server
from untrace_pipeline.net.endpoint import Endpoint, close_listeners, open_listeners
from untrace_pipeline.net.grpc_settings import GrpcServerConfig
from untrace_pipeline.net.http_message import metadata
from untrace_pipeline.net.http_settings import HttpServerConfig
from untrace_pipeline.net.tls import CLIENT_CA_CHECK_SECONDS, ServerTls, ServerTlsConfig, TlsVersion
from untrace_plugins.otlp.service import OK, Answer, Encoding, NativeLimitError, OtlpService

if TYPE_CHECKING:
    from untrace_pipeline_native import Group, Head, Ingress, IngressTls, Question, Refusal

__all__ = ["SIGNALS", "NativeServer"]

READ_AHEAD_BYTES = 32 * 1024 * 1024
"""Bodies that a listener takes in before the event loop was asked."""
SIGNALS = {str(signal): signal for signal in Signal}
"""By the names that the extension uses."""


class NativeServer(ABC):
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
        refusal = self._service.refusal(SIGNALS[question.signal], question.size)
        if refusal is None:
            ingress.set_gate(question.signal, True)
            question.admit()
        else:
            ingress.set_gate(question.signal, False)
            self._count(SIGNALS[question.signal], refusal, lambda: [0.0])
            question.refuse(self._refusal(refusal))

    def _begin(self, ingress: Ingress, group: Group) -> None:
        """Start work on a group, unless it would be refused anyway."""
        if group.requests > 1 and not self._merging:
            for part in group.split(self._tables):
                self._begin(ingress, part)
            return
        signal = SIGNALS[group.signal]
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
        elif answer.code is Code.OK:
            self._remark(signal, group, answer)
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

    def _remark(self, signal: Signal, group: Group, _answer: Answer) -> None:
        """Answer a success about which there is something to say; a protocol that cannot say it leaves it out."""
        self._succeed(signal, group)

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
