"""One queue before the ring: each attempt goes where the ring of that moment says."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import AsyncExitStack
from typing import Any

import pytest

from tests.support.balancing import balanced, sent, trace_ids, traces, until
from tests.support.exporters import QUICK_RETRY
from tests.support.otlp_servers import Accept, GrpcServer, Hang, Refuse
from untrace_pipeline.api import Code, PermanentError
from untrace_pipeline.data import Batch

QUEUE: dict[str, Any] = {"sending_queue": {}, "retry_on_failure": QUICK_RETRY}
OFF = {"enabled": False}


async def test_a_trace_is_never_split(monkeypatch: pytest.MonkeyPatch) -> None:
    """All spans arrive once, those of one trace at one backend; they count as sent once."""
    async with AsyncExitStack() as stack:
        servers = [await stack.enter_async_context(GrpcServer()) for _ in range(4)]
        batches = [traces(60, 20, seed % 3) for seed in range(9)]
        async with balanced(monkeypatch, servers, **QUEUE) as (r, _):
            await asyncio.gather(*(r.consume(batch.copy()) for batch in batches))
        found = [Counter(trace_ids(server)) for server in servers]
        assert r.meter.value("exporter_sent_spans") == 540
    assert sum(found, Counter()) == sent(*batches)
    assert sum(len(one) for one in found) == len(sent(*batches))


async def test_only_what_was_not_taken_is_sent_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """A backend that took its part does not get it a second time because another one refused."""
    refusals = [Refuse(Code.UNAVAILABLE)] * 4
    async with GrpcServer() as one, GrpcServer(*refusals) as other:
        batch = traces(40, 40)
        async with balanced(monkeypatch, [one, other], **QUEUE) as (r, _):
            await r.consume(batch.copy())
            await r.until_idle()
        assert (one.attempts, other.attempts) == (1, 5)
        assert sent(*(received.batch for received in one.accepted + other.accepted)) == sent(batch)
        assert r.meter.value("exporter_retries") == 4


async def test_the_rest_goes_where_the_ring_says_then(monkeypatch: pytest.MonkeyPatch) -> None:
    """While it waits for the next attempt, its backend goes, and two others come."""
    async with GrpcServer() as one, GrpcServer(forever=Refuse(Code.UNAVAILABLE)) as going, GrpcServer() as new:
        batches = [traces(40, 40, seed) for seed in range(5)]
        async with balanced(monkeypatch, [one, going], **QUEUE) as (r, directory):
            for batch in batches:
                await r.consume(batch.copy())
            await going.wait_for_attempts(5)
            await directory.change(one, new)
            await r.until_idle()
        assert sent(*(received.batch for received in one.accepted + new.accepted)) == sent(*batches)
        assert r.dropped == {}


async def test_what_one_backend_will_never_take(monkeypatch: pytest.MonkeyPatch) -> None:
    """Counts as rejected, like partial success; without anything taken the request is permanently refused."""
    async with GrpcServer(Accept(rejected=2, message="old")) as one, GrpcServer(Refuse(Code.INVALID_ARGUMENT)) as other:
        async with balanced(monkeypatch, [one, other], **QUEUE) as (r, _):
            await r.consume(traces(40, 40))
            await r.until_idle()
        share = one.accepted[0].batch.item_count
        assert r.meter.value("exporter_rejected_spans") == 2 + 40 - share
        assert r.meter.value("exporter_sent_spans") == share - 2
    refusal = Refuse(Code.INVALID_ARGUMENT)
    async with GrpcServer(forever=refusal) as one, GrpcServer(forever=refusal) as other:
        async with balanced(monkeypatch, [one, other], **QUEUE) as (r, _):
            await r.consume(traces(40, 40))
            await r.until_idle()
        assert r.dropped == {"permanent": 40}


async def test_one_part_that_is_too_large_is_split(monkeypatch: pytest.MonkeyPatch) -> None:
    """Alone, after the others have theirs."""
    async with GrpcServer() as one, GrpcServer(max_bytes=9000) as small:
        batch = traces(60, 60)
        async with balanced(monkeypatch, [one, small], **QUEUE) as (r, _):
            await r.consume(batch.copy())
            await r.until_idle()
        assert one.attempts == 1
        assert small.attempts > 2
        assert sent(*(received.batch for received in one.accepted + small.accepted)) == sent(batch)


async def test_without_a_queue_the_caller_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Retries alone: accepted when all backends have their part."""
    async with GrpcServer(Refuse(Code.UNAVAILABLE)) as one, GrpcServer() as other:
        batch = traces(40, 40)
        options = {"sending_queue": OFF, "retry_on_failure": QUICK_RETRY}
        async with balanced(monkeypatch, [one, other], **options) as (r, _):
            await r.consume(batch.copy())
            assert sent(*(received.batch for received in one.accepted + other.accepted)) == sent(batch)
    async with GrpcServer(forever=Refuse(Code.INVALID_ARGUMENT)) as one, AsyncExitStack() as stack:
        r, _ = await stack.enter_async_context(balanced(monkeypatch, [one], **options))
        with pytest.raises(PermanentError, match="refused by the test"):
            await r.consume(batch.copy())


async def test_data_waits_for_the_first_backend(monkeypatch: pytest.MonkeyPatch) -> None:
    """Accepted into the queue, and delivered when there is somebody."""
    async with GrpcServer() as late, balanced(monkeypatch, [], **QUEUE) as (r, directory):
        await r.consume(traces(10, 10))
        await until(lambda: r.meter.value("exporter_retries") > 0)
        await directory.change(late)
        await late.wait_for_items(10)


async def test_shutdown_drains_and_closes(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is in the queue is sent."""
    async with GrpcServer(forever=Accept(delay=0.02)) as one:
        batches: list[Batch] = [traces(10, 10, seed) for seed in range(20)]
        async with balanced(monkeypatch, [one], **QUEUE) as (r, _):
            for batch in batches:
                await r.consume(batch)
        assert one.item_count == 200


async def test_shutdown_at_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is under way to a backend, and to one that is gone, is counted, and nothing stays open."""
    async with GrpcServer(forever=Hang()) as stuck, GrpcServer(forever=Hang()) as going, AsyncExitStack() as stack:
        options = {"otlp": {"timeout": "0s"}, **QUEUE}
        r, directory = await stack.enter_async_context(balanced(monkeypatch, [stuck, going], **options))
        await r.consume(traces(10, 10))
        await stuck.wait_for_attempts(1)
        await directory.change(stuck)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await r.exporter.shutdown()
        assert r.dropped == {"shutdown": 10}
