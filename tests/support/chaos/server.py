"""An OTLP backend that misbehaves by a schedule and records what it took."""

from __future__ import annotations

from contextlib import AsyncExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.support.chaos.faults import Schedule
from tests.support.chaos.grpc_server import GrpcChaos
from tests.support.chaos.http_server import HttpChaos
from tests.support.chaos.judge import Judge
from tests.support.chaos.record import Record


class ChaosSink:
    """Both protocols with one judge; ``grpc`` and ``http`` are their addresses, ``host:port``."""

    def __init__(
        self,
        schedule: Schedule | None = None,
        record: Path | None = None,
        *,
        grpc_port: int = 0,
        http_port: int = 0,
    ) -> None:
        self._record = Record(record) if record else None
        self.judge = Judge(schedule or Schedule(), self._record)
        self._servers: dict[str, GrpcChaos | HttpChaos] = {"grpc": GrpcChaos(self.judge), "http": HttpChaos(self.judge)}
        self._ports = {"grpc": grpc_port, "http": http_port}
        self._stack = AsyncExitStack()

    @property
    def grpc(self) -> str:
        return f"127.0.0.1:{self._servers['grpc'].port}"

    @property
    def http(self) -> str:
        return f"127.0.0.1:{self._servers['http'].port}"

    async def __aenter__(self) -> Self:
        if self._record is not None:
            self._stack.callback(self._record.close)
        for name, server in self._servers.items():
            self._stack.push_async_callback(server.stop)
            await server.start(self._ports[name])
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()
