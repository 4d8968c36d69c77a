"""No call is without its span: thousands of calls that end in every way, and a daemon that is told to stop amid them.

Each call has a number, which the provider sees in a header and the span has as its session.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import socket
import struct
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.llm_proxy import CHAT, chat, proxy_config
from tests.support.llm_upstream import FAULT_HEADER, LlmUpstream
from tests.support.peers import Daemon
from tests.support.service import metric
from tests.support.span_sink import SpanSink
from tests.support.wait import wait_until

pytestmark = [pytest.mark.e2e, pytest.mark.once]

NUMBER = "X-Untrace-Session"
SEEN_NUMBER = "x-call"
CLIENTS = 32
FAULTS = ("", "", "", "", "reset_mid", "close_mid", "reset", "close", "status_429", "status_500", "gzip", "hang")
"""What providers do, in about these shares."""
RESET = struct.pack("ii", 1, 0)


class Callers:
    """Clients that call in parallel and leave whenever they like."""

    def __init__(self, port: int, seed: int) -> None:
        self._port = port
        self._random = random.Random(seed)
        self._next = 0
        self.refused = 0
        """Connections that could not be made, or ended before anything came back."""
        self.answered: set[int] = set()
        """Numbers of the calls of which something came back."""

    async def call(self, calls: int) -> None:
        """Make so many calls."""
        await asyncio.gather(*(self._client(self._next + calls) for _ in range(CLIENTS)))

    async def _client(self, until: int) -> None:
        while self._next < until:
            number, self._next = self._next, self._next + 1
            try:
                await self._one(number)
            except OSError:
                self.refused += 1

    async def _one(self, number: int) -> None:
        fault, stream = self._random.choice(FAULTS), self._random.random() < 0.5
        leaves = self._random.random() < 0.3 or fault == "hang"
        body = json.dumps(chat(stream=stream)).encode()
        head = (
            f"POST {CHAT} HTTP/1.1\r\nHost: x\r\n{NUMBER}: {number}\r\n{SEEN_NUMBER}: {number}\r\nConnection: close\r\n"
        )
        head += f"{FAULT_HEADER}: {fault}\r\n" if fault else ""
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        try:
            writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
            if leaves:
                await self._leave(reader, writer, number)
            elif await reader.read():
                self.answered.add(number)
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def _leave(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._random.choice((0.001, 0.01, 0.03))):
                if await reader.read(self._random.choice((1, 500, 3000))):
                    self.answered.add(number)
        if self._random.random() < 0.5:
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)


@pytest.fixture
def sink() -> Iterator[SpanSink]:
    """One per test: all of its spans are counted."""
    with SpanSink() as running:
        yield running


def config(upstream: LlmUpstream, sink: SpanSink, **options: Any) -> dict[str, Any]:
    """Return the config of a proxy with a short patience."""
    return proxy_config(upstream.url, sink.url, **options)


def asked(upstream: LlmUpstream) -> set[int]:
    """Return the numbers of the calls that the provider got."""
    return {int(request.header(SEEN_NUMBER) or -1) for request in upstream.requests}


def numbers(sink: SpanSink) -> Counter[int]:
    """Count the spans of each call."""
    return Counter(int(span.attributes["session.id"]) for span in sink.spans)


@pytest.mark.timeout(300)
@pytest.mark.parametrize(("policy", "calls"), [("cancel", 10_000), ("drain", 2_000)])
async def test_every_call_has_one_span(policy: str, calls: int, sink: SpanSink) -> None:
    """A third of the clients leave, a third of the answers break. Then the daemon is stopped."""
    with LlmUpstream() as upstream:
        options: dict[str, Any] = {"on_client_disconnect": policy}
        proxy = config(upstream, sink, **options)
        proxy["receivers"]["llm_proxy"]["upstreams"]["openai"] |= {"first_byte_timeout": "1s"}
        proxy["receivers"]["llm_proxy"]["upstreams"]["openai"]["circuit_breaker"] = {"enabled": False}
        async with Daemon(proxy) as daemon:
            callers = Callers(daemon.ports["PROXY_PORT"], seed=7)
            await callers.call(calls)
            assert callers.refused == 0
            await asyncio.to_thread(wait_until, lambda: metric(daemon, "untrace_llm_proxy_in_flight") == 0, daemon)
            counted = metric(daemon, "untrace_llm_proxy_calls_total")
            refused = metric(daemon, "untrace_llm_proxy_calls_total", outcome="refused")
            lost = metric(daemon, "untrace_llm_proxy_lost_spans_total")
            await asyncio.to_thread(daemon.stop)
        found = numbers(sink)
        assert set(found.values()) == {1}
        assert callers.answered | asked(upstream) <= set(found)
        assert (len(found), lost) == (counted - refused, 0)


@pytest.mark.timeout(300)
async def test_a_daemon_that_stops_amid_calls_loses_none(sink: SpanSink) -> None:
    """What the provider got, or a client an answer to, has its one span when the daemon has ended by SIGTERM."""
    with LlmUpstream() as upstream:
        async with Daemon(config(upstream, sink)) as daemon:
            callers = Callers(daemon.ports["PROXY_PORT"], seed=11)
            calling = asyncio.create_task(callers.call(3000))
            while len(callers.answered) < 500:
                await asyncio.sleep(0.01)
            await asyncio.to_thread(daemon.stop)
            assert daemon.returncode == 0
            assert len(callers.answered) < 3000
            await calling
            assert "have no span" not in daemon.log
        found = numbers(sink)
        assert set(found.values()) == {1}
        assert callers.answered | asked(upstream) <= set(found)
