"""OTLP/gRPC over the native transport."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from untrace_pipeline.api import Code, ConsumeError
from untrace_pipeline.data import Context, Signal
from untrace_pipeline.net import grpc_server
from untrace_pipeline.net.http_message import metadata
from untrace_plugins.otlp.service import Answer, OtlpService
from untrace_plugins.otlp.status import status_bytes
from untrace_plugins.receivers.otlp.config import OtlpGrpcConfig
from untrace_plugins.receivers.otlp.native_transport import SIGNALS, NativeServer

if TYPE_CHECKING:
    from untrace_pipeline_native import Group, Head, Ingress, Refusal

__all__ = ["NativeGrpcServer"]


class NativeGrpcServer(NativeServer):
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
            refusal = self._service.refusal(SIGNALS[head.signal], 0)
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


def _finite(seconds: float) -> float | None:
    return None if seconds == math.inf else seconds


def _plain_refusal(code: Code, message: str) -> Refusal:
    from untrace_pipeline_native import Refusal  # noqa: PLC0415

    return Refusal.grpc(code, message, b"")


@lru_cache(maxsize=64)
def _grpc_refusal(answer: Answer) -> Refusal:
    from untrace_pipeline_native import Refusal  # noqa: PLC0415

    return Refusal.grpc(answer.code, answer.message, status_bytes(answer))
