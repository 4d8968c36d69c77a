"""However a call ends, the client gets a clear answer, and one span says how it ended."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import uvloop

from tests.support.llm_upstream import LlmUpstream
from tests.support.proxying import Proxying, proxying, request_bytes
from untrace_pipeline.api import PermanentError, RetryableError
from untrace_pipeline.data import Batch
from untrace_pipeline.testing import FailingSink, Sink
from untrace_plugins.genai import names
from untrace_plugins.receivers.llm_proxy import sending
from untrace_plugins.receivers.llm_proxy.call import Call

CHAT = "/v1/chat/completions"
HELLO = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Hello"}]}
STREAM = {**HELLO, "stream": True}
LIMITS = {"connect_timeout": "2s", "first_byte_timeout": "200ms", "idle_timeout": "200ms"}


@pytest.fixture
def upstream() -> Iterator[LlmUpstream]:
    with LlmUpstream() as running:
        yield running


def impatient(upstream: LlmUpstream) -> dict[str, Any]:
    return {"openai": {"base_url": upstream.url, **LIMITS}}


async def ended_with(proxy: Proxying, error: str | None) -> None:
    """Check that there is one span, and how it says that the call ended."""
    (span,) = await proxy.spans(1)
    assert span.attributes.get("error.type") == error
    assert proxy.count("llm_proxy_calls", upstream="openai", outcome=error or "success") == 1
    assert proxy.count("llm_proxy_in_flight") == 0


@pytest.mark.parametrize(
    ("fault", "status", "code"),
    [
        ("hang", 504, "timeout"),
        ("reset", 502, "upstream_reset"),
        ("close", 502, "upstream_reset"),
        ("garbage", 502, "invalid_response"),
    ],
)
async def test_no_answer(upstream: LlmUpstream, fault: str, status: int, code: str) -> None:
    """The client is told in the provider's form what went wrong, and by whom."""
    async with proxying(upstreams=impatient(upstream)) as proxy:
        answer = await proxy.ask(CHAT, HELLO, headers={"x-upstream-fault": fault})
        await ended_with(proxy, code)
    assert (answer.status, answer.json["error"]["code"], answer.header("x-untrace-error")) == (status, code, code)
    assert answer.json["error"]["message"].startswith("untrace-pipeline: upstream openai: ")


async def test_nobody_there() -> None:
    """A connection that is refused is said so."""
    async with proxying(upstreams={"openai": {"base_url": "http://127.0.0.1:1"}}) as proxy:
        answer = await proxy.ask(CHAT, HELLO)
        await ended_with(proxy, "connect_error")
    assert answer.status == 502
    assert "cannot connect to 127.0.0.1:1" in answer.json["error"]["message"]


@pytest.mark.parametrize(
    ("body", "fault", "error"),
    [
        (HELLO, "reset_mid", "upstream_reset"),
        (STREAM, "reset_mid", "upstream_reset"),
        (HELLO, "close_mid", "upstream_reset"),
        (STREAM, "close_mid", "upstream_reset"),
        (HELLO, "hang_mid", "timeout"),
        (STREAM, "hang_mid", "timeout"),
        (HELLO, "long_length", "upstream_reset"),
    ],
)
async def test_answer_breaks_off(upstream: LlmUpstream, body: dict[str, Any], fault: str, error: str) -> None:
    """The client sees that it is not complete, as it would directly; what came is on the span."""
    async with proxying(upstreams=impatient(upstream)) as proxy:
        answer = await proxy.ask(CHAT, body, headers={"x-upstream-fault": fault})
        await ended_with(proxy, error)
    assert (answer.status, answer.complete) == (200, False)
    assert answer.body


async def test_whole_call_in_time(upstream: LlmUpstream) -> None:
    """``timeout`` bounds the call, also while pieces are coming."""
    async with proxying(upstream, timeout="300ms") as proxy:
        answer = await proxy.ask(CHAT, STREAM, headers={"x-upstream-fault": "slow_50"})
        await ended_with(proxy, "timeout")
    assert not answer.complete


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run])
@pytest.mark.parametrize("policy", ["cancel", "drain"])
@pytest.mark.parametrize("fault", ["first_300", "slow_30"])
def test_client_goes(upstream: LlmUpstream, run: Callable[..., None], policy: str, fault: str) -> None:
    """``cancel`` gives the call up, ``drain`` reads it to its end; both leave a span that says so.

    On both event loops: they differ in what may be done with a connection that is closed.
    """
    run(_client_goes(upstream, policy, fault))


async def _client_goes(upstream: LlmUpstream, policy: str, fault: str) -> None:
    async with proxying(upstream, on_client_disconnect=policy) as proxy:
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        writer.write(request_bytes(CHAT, STREAM, headers={"x-upstream-fault": fault}))
        if fault.startswith("slow"):
            await reader.readuntil(b"data: ")
        else:
            await proxy.running.until(lambda: upstream.requests)
        writer.close()
        (span,) = await proxy.spans(1)
        assert proxy.count("llm_proxy_calls", upstream="openai", outcome="client_disconnect") == 1
    assert span.attributes["error.type"] == "client_disconnect"
    assert (names.RESPONSE_FINISH_REASONS in span.attributes) == (policy == "drain")
    assert upstream.aborted == (policy == "cancel")


async def test_client_goes_while_it_sends(upstream: LlmUpstream) -> None:
    """A request that never became whole is a call that failed; no upstream is asked."""
    async with proxying(upstream) as proxy:
        _, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        writer.write(request_bytes(CHAT, HELLO)[:-10])
        await proxy.running.until(lambda: proxy.count("llm_proxy_in_flight"))
        writer.close()
        (span,) = await proxy.spans(1)
    assert span.attributes["error.type"] == "client_disconnect"
    assert not upstream.requests


async def test_slow_client_does_not_fill_the_memory(upstream: LlmUpstream) -> None:
    """What a client does not take is not read from the provider either, and it gets everything in the end."""
    async with proxying(upstream, max_capture_bytes="64KiB") as proxy:
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port, limit=1 << 16)
        writer.write(request_bytes(CHAT, STREAM, headers={"x-upstream-fault": "huge_30"}))
        head = await reader.readuntil(b"\r\n\r\n")
        await asyncio.sleep(0.2)
        assert upstream.requests
        received = len(head)
        while not (piece := await reader.read(1 << 20)).endswith(b"\r\n0\r\n\r\n"):
            received += len(piece)
        writer.close()
        (span,) = await proxy.spans(1)
    assert received > 25_000_000
    assert span.attributes[names.CAPTURE_TRUNCATED] is True


async def test_call_that_may_have_been_taken_is_not_sent_again(
    upstream: LlmUpstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A kept connection that ends only after a while was not stale: the provider may have done what it is paid for."""
    monkeypatch.setattr(sending, "STALE_SECONDS", 0.0)
    async with proxying(upstream) as proxy:
        assert (await proxy.ask(CHAT, HELLO)).status == 200
        upstream.script(["close"])
        answer = await proxy.ask(CHAT, HELLO)
        assert (answer.status, answer.header("x-untrace-error")) == (502, "upstream_reset")
        assert len(upstream.requests) == 2
        await proxy.spans(2)


async def test_stale_connection_is_replaced(upstream: LlmUpstream) -> None:
    """A kept connection that the provider has closed meanwhile costs the client nothing."""
    async with proxying(upstream) as proxy:
        await proxy.ask(CHAT, HELLO)
        upstream.script(["close", ""])
        assert (await proxy.ask(CHAT, HELLO)).status == 200
        assert len(await proxy.spans(2)) == 2
    assert upstream.connections == 2


async def test_too_large_request(upstream: LlmUpstream) -> None:
    """413 in the provider's form, before anything is sent on."""
    async with proxying(upstream, max_request_body_size="1KiB") as proxy:
        answer = await proxy.ask("/v1/messages", b"x" * 2000)
    assert answer.status == 413
    assert answer.json == {
        "type": "error",
        "error": {
            "type": "request_too_large",
            "message": "untrace-pipeline: the body is larger than the limit of 1024 bytes",
        },
    }
    assert not upstream.requests


async def test_refused_spans_are_offered_again(upstream: LlmUpstream) -> None:
    """Pipelines that refuse for now get the span later."""
    sink = FailingSink([RetryableError("full", retry_after=0.01)])
    async with proxying(upstream, sink) as proxy:
        assert (await proxy.ask(CHAT, HELLO)).status == 200
        assert len(await proxy.spans(1)) == 1


async def test_spans_refused_for_good_are_counted(upstream: LlmUpstream) -> None:
    """The client does not notice."""
    async with proxying(upstream, FailingSink(PermanentError("no"))) as proxy:
        assert (await proxy.ask(CHAT, HELLO)).status == 200
        await proxy.running.until(lambda: proxy.count("llm_proxy_lost_spans", reason="refused") == 1)


class Stuck(Sink):
    """Pipelines that never accept."""

    async def consume(self, batch: Batch) -> None:
        await asyncio.Event().wait()


class Gathering(Sink):
    """Pipelines that accept when several batches have come, as a ``batch`` processor does."""

    def __init__(self, count: int) -> None:
        super().__init__()
        self.offered = 0
        self._count, self._enough = count, asyncio.Event()

    async def consume(self, batch: Batch) -> None:
        self.offered += 1
        if self.offered == self._count:
            self._enough.set()
        await self._enough.wait()
        await super().consume(batch)


async def test_pipelines_may_gather_batches(upstream: LlmUpstream) -> None:
    """The next batch does not wait until the one before is accepted."""
    sink = Gathering(3)
    async with proxying(upstream, sink) as proxy:
        for number in range(1, 4):
            assert (await proxy.ask(CHAT, HELLO)).status == 200
            await proxy.running.until(lambda: sink.offered == number)  # noqa: B023 - awaited in the same turn
        assert len(await proxy.spans(3)) == 3


async def test_full_queue_is_a_counted_gap(upstream: LlmUpstream) -> None:
    """Pipelines that hang do not delay a call."""
    async with proxying(upstream, Stuck(), capture_queue={"max_calls": 2, "flush_interval": "10ms"}) as proxy:
        for _ in range(12):
            assert (await proxy.ask(CHAT, HELLO)).status == 200
        await proxy.running.until(lambda: proxy.count("llm_proxy_lost_spans", reason="queue_full"))
        task = asyncio.create_task(proxy.running.receiver.shutdown())
        await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    lost = [proxy.count("llm_proxy_lost_spans", reason=reason) for reason in ("queue_full", "shutdown")]
    assert sum(lost) == 12


async def test_shutdown_finishes_calls_and_spans(upstream: LlmUpstream) -> None:
    """Calls under way are answered to their end, and every span is handed on, however long spans are gathered."""
    async with proxying(upstream, capture_queue={"flush_interval": "1h"}) as proxy:
        asking = [
            asyncio.create_task(proxy.ask(CHAT, STREAM, headers={"x-upstream-fault": "slow_20"})) for _ in range(5)
        ]
        await proxy.running.until(lambda: len(upstream.requests) == 5)
        await proxy.running.receiver.shutdown()
        answers = await asyncio.gather(*asking)
        assert all(answer.complete for answer in answers)
        assert proxy.running.sink.item_count == 5


async def test_shutdown_that_is_cut_short(upstream: LlmUpstream) -> None:
    """A call that cannot be finished has a span that says so."""
    async with proxying(upstream) as proxy:
        asking = asyncio.create_task(proxy.ask(CHAT, HELLO, headers={"x-upstream-fault": "hang"}))
        await proxy.running.until(lambda: upstream.requests)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await proxy.running.receiver.shutdown()
        with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
            await asking
        lost = proxy.count("llm_proxy_lost_spans", reason="shutdown")
        assert proxy.count("llm_proxy_calls", upstream="openai", outcome="cancelled") == 1
        assert lost + proxy.running.sink.item_count == 1


@pytest.mark.parametrize("policy", ["cancel", "drain"])
async def test_client_that_leaves_after_the_last_event(policy: str) -> None:
    """Clients hang up when they have read the end of a stream, which may be before that of the body: no error."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
        writer.write(b"e\r\ndata: [DONE]\n\n\r\n")
        await left.wait()
        writer.write(b"0\r\n\r\n")
        writer.close()

    left = asyncio.Event()
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with proxying(upstreams={"openai": {"base_url": url}}, on_client_disconnect=policy) as proxy:
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        writer.write(request_bytes(CHAT, STREAM))
        await reader.readuntil(b"[DONE]")
        writer.close()
        if policy == "cancel":
            await proxy.spans(1)
        left.set()
        await ended_with(proxy, None)
    server.close()
    await server.wait_closed()


def _calls() -> set[Call]:
    """Return the calls that are in memory; others tests' may be, as long as their failures are remembered."""
    return {one for one in gc.get_objects() if isinstance(one, Call)}


async def test_calls_are_freed_at_once(upstream: LlmUpstream) -> None:
    """A call that has become a span takes no memory, and does not wait for the collector of cycles."""
    gc.collect()
    gc.disable()
    try:
        others = _calls()
        async with proxying(upstream) as proxy:
            for body in (HELLO, STREAM):
                await proxy.ask(CHAT, body)
            await proxy.spans(2)
            await proxy.running.until(lambda: _calls() <= others)
    finally:
        gc.enable()
