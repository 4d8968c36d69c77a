"""One failover configuration, our daemon and the real Collector: the data goes the same way, in bad times and after."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import grpc
import grpc.aio
import pytest

from tests.support.otlp_servers import Accept, GrpcServer, Refuse
from tests.support.peers import (
    Collector,
    ConfiguredProcess,
    Daemon,
    collector_binary,
    daemon_command,
    peer_or_skip,
)
from untrace_pipeline.data import Signal
from untrace_pipeline.errors import Code
from untrace_pipeline.testing import make_request

pytestmark = [pytest.mark.peer, pytest.mark.timeout(120), pytest.mark.xdist_group("failover")]

EXPORT = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
SUBJECTS: dict[str, type[ConfiguredProcess]] = {"ours": Daemon, "theirs": Collector}


def config(main: str, spare: str) -> dict[str, Any]:
    """Return two levels without queues, so that a level refuses when its destination does."""

    def exporter(address: str) -> dict[str, Any]:
        off = {"enabled": False}
        plain = {"tls": {"insecure": True}, "sending_queue": off, "retry_on_failure": off}
        return {"endpoint": address, "timeout": "5s", **plain}

    return {
        "receivers": {"otlp": {"protocols": {"grpc": {"endpoint": "127.0.0.1:${env:GRPC_PORT}"}}}},
        "connectors": {
            "failover": {
                "priority_levels": [["traces/main"], ["traces/spare"]],
                "retry_interval": "1s",
                "sending_queue": {"enabled": False},
            }
        },
        "exporters": {"otlp_grpc/main": exporter(main), "otlp_grpc/spare": exporter(spare)},
        "service": {
            "pipelines": {
                "traces": {"receivers": ["otlp"], "exporters": ["failover"]},
                "traces/main": {"receivers": ["failover"], "exporters": ["otlp_grpc/main"]},
                "traces/spare": {"receivers": ["failover"], "exporters": ["otlp_grpc/spare"]},
            }
        },
    }


@dataclass
class Scene:
    """A running subject between a client and two destinations."""

    subject: str
    call: Any
    main: GrpcServer
    spare: GrpcServer
    sent: int = 0

    async def send(self) -> str:
        """Send one span; return the status and who got it."""
        before = self.main.item_count, self.spare.item_count
        self.sent += 1
        try:
            await self.call(make_request(Signal.TRACES, 1, seed=self.sent), timeout=20)
        except grpc.aio.AioRpcError as error:
            return str(error.code().name)
        arrived = self.main.item_count - before[0], self.spare.item_count - before[1]
        return {(1, 0): "main", (0, 1): "spare"}.get(arrived, f"main {arrived[0]}, spare {arrived[1]}")


@asynccontextmanager
async def scene(subject: str) -> AsyncIterator[Scene]:
    """Run a subject, or skip where it is not to be had."""
    with peer_or_skip():
        collector_binary(build=False) if subject == "theirs" else daemon_command()
    async with GrpcServer() as main, GrpcServer() as spare, AsyncExitStack() as stack:
        process = await stack.enter_async_context(SUBJECTS[subject](config(main.address, spare.address)))
        channel = await stack.enter_async_context(grpc.aio.insecure_channel(process.endpoint("GRPC_PORT")))
        call = channel.unary_unary(EXPORT, request_serializer=lambda request: request.SerializeToString())
        yield Scene(subject, call, main, spare)


@pytest.mark.parametrize("subject", SUBJECTS)
async def test_to_the_spare_and_back(subject: str) -> None:
    """While main refuses, the spare gets each batch; when it accepts again, the data returns. Each has one owner."""
    async with scene(subject) as here:
        assert [await here.send() for _ in range(3)] == ["main"] * 3
        here.main.forever = Refuse(Code.UNAVAILABLE)
        assert [await here.send() for _ in range(3)] == ["spare"] * 3
        here.main.forever = Accept()
        async with asyncio.timeout(20):
            while (owner := await here.send()) != "main":
                assert owner == "spare"
                await asyncio.sleep(0.05)
        assert [await here.send() for _ in range(3)] == ["main"] * 3
        assert here.main.item_count + here.spare.item_count == here.sent


@pytest.mark.parametrize("subject", SUBJECTS)
async def test_a_batch_that_main_will_never_take(subject: str) -> None:
    """It is offered to the spare. Only the Collector then leaves main alone, although nothing is wrong with it."""
    async with scene(subject) as here:
        here.main.script.append(Refuse(Code.INVALID_ARGUMENT))
        assert await here.send() == "spare"
        assert await here.send() == {"ours": "main", "theirs": "spare"}[subject]


@pytest.mark.parametrize("subject", SUBJECTS)
async def test_when_nobody_accepts(subject: str) -> None:
    """The client is told to come again. Only the Collector goes on refusing when both are well again."""
    async with scene(subject) as here:
        here.main.script.append(Refuse(Code.UNAVAILABLE))
        here.spare.script.append(Refuse(Code.UNAVAILABLE))
        assert await here.send() == "UNAVAILABLE"
        assert await here.send() == {"ours": "main", "theirs": "UNAVAILABLE"}[subject]
