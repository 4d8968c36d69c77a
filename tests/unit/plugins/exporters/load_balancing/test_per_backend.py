"""A queue before each backend, against real servers that come and go."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from contextlib import AsyncExitStack
from typing import Any

import pytest

from tests.support.balancing import balanced, sent, trace_ids, traces, until
from tests.support.exporters import QUICK_RETRY
from tests.support.otlp_servers import Accept, GrpcServer, Hang, Refuse
from untrace_pipeline.api import Code, RetryableError, StartError, Status
from untrace_pipeline.testing import make_batch
from untrace_plugins.exporters.load_balancing import per_backend

DEAD = "127.0.0.1:9"
"""Nobody listens at the port of discard."""


async def test_a_trace_is_never_split(monkeypatch: pytest.MonkeyPatch) -> None:
    """All spans arrive once, those of one trace at one backend, whichever request they came in."""
    async with AsyncExitStack() as stack:
        servers = [await stack.enter_async_context(GrpcServer()) for _ in range(4)]
        batches = [traces(60, 20, seed % 3) for seed in range(9)]
        async with balanced(monkeypatch, servers) as (r, _):
            await asyncio.gather(*(r.consume(batch.copy()) for batch in batches))
        found = [Counter(trace_ids(server)) for server in servers]
    assert sum(found, Counter()) == sent(*batches)
    assert sum(len(one) for one in found) == len(sent(*batches))
    assert all(found)


async def test_a_batch_of_one_backend_passes_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same bytes, also where the trace decides."""
    async with GrpcServer() as one, GrpcServer() as other:
        batch = traces(10, 1)
        async with balanced(monkeypatch, [one, other]) as (r, _):
            await r.consume(batch.copy())
    assert [received.batch.to_otlp() for received in one.accepted + other.accepted] == [batch.to_otlp()]


async def test_a_dead_backend_keeps_nothing_from_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """They get theirs at once; its part waits for it."""
    async with GrpcServer() as one, GrpcServer() as other:
        batches = [traces(30, 30, seed) for seed in range(5)]
        async with balanced(monkeypatch, [one, other, DEAD], otlp={"retry_on_failure": QUICK_RETRY}) as (r, directory):
            for batch in batches:
                await r.consume(batch.copy())
            total = sum(batch.item_count for batch in batches)
            await until(lambda: r.exporter.pending_items() + one.item_count + other.item_count == total)
            assert r.exporter.pending_items() > 0
            await until(lambda: [status for status, _ in r.host.reports[-1:]] == [Status.RECOVERABLE_ERROR])
            await directory.change(one, other)
            await r.until_idle()
            assert r.host.reports[-1] == (Status.OK, "the others work")
        assert sent(*(received.batch for received in one.accepted + other.accepted)) == sent(*batches)
        assert r.dropped == {}


async def test_what_waits_for_a_backend_that_goes_goes_to_the_others(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Nothing is lost, nothing doubled, and each trace is where the new ring has it."""
    async with GrpcServer() as one, GrpcServer() as other, GrpcServer(forever=Refuse(Code.UNAVAILABLE)) as going:
        batches = [traces(40, 40, seed) for seed in range(6)]
        async with balanced(monkeypatch, [one, other, going], otlp={"retry_on_failure": QUICK_RETRY}) as (r, directory):
            for batch in batches:
                await r.consume(batch.copy())
            await going.wait_for_attempts(3)
            with caplog.at_level(logging.INFO):
                await directory.change(one, other)
                await r.until_idle()
            again = traces(240, 40)
            await r.consume(again.copy())
            assert r.meter.value("loadbalancer_num_backends", resolver="static") == 2
        found = [Counter(trace_ids(server)) for server in (one, other)]
        assert sum(found, Counter()) == sent(*batches, again)
        assert not found[0].keys() & found[1].keys()
        assert r.dropped == {}
        assert r.meter.value("exporter_queue_size") == 0
    assert f"2 backends now: none came, {going.address} left" in caplog.text
    assert "that waited go to others" in caplog.text


async def test_an_attempt_under_way_is_not_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    """A backend that goes while it answers keeps what it took."""
    async with GrpcServer() as stays, GrpcServer(forever=Accept(delay=0.3)) as going:
        batch = traces(40, 40)
        async with balanced(monkeypatch, [stays, going]) as (r, directory):
            await r.consume(batch.copy())
            await going.wait_for_attempts(1)
            await directory.change(stays)
        assert going.item_count > 0
        assert sent(*(received.batch for received in stays.accepted + going.accepted)) == sent(batch)


@pytest.mark.parametrize("queue", [{"enabled": False}, {"wait_for_result": True}])
async def test_a_caller_who_waits_is_served_by_the_successor(
    monkeypatch: pytest.MonkeyPatch, queue: dict[str, Any]
) -> None:
    """Without handing the batch back: it is accepted when the new owner has it."""
    async with GrpcServer() as stays, GrpcServer(forever=Refuse(Code.UNAVAILABLE)) as going:
        batch = traces(40, 40)
        otlp = {"sending_queue": queue, "retry_on_failure": QUICK_RETRY, "timeout": "200ms"}
        async with balanced(monkeypatch, [stays, going], otlp=otlp) as (r, directory):
            call = asyncio.create_task(r.consume(batch.copy()))
            await going.wait_for_attempts(2)
            assert not call.done()
            await directory.change(stays)
            await call
        assert sent(*(received.batch for received in stays.accepted)) == sent(batch)


async def test_a_refusal_without_queues_goes_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the others took counts as taken without an acknowledgement: it comes again."""
    off = {"enabled": False}
    async with GrpcServer() as one, GrpcServer(forever=Refuse(Code.UNAVAILABLE)) as other:
        otlp = {"sending_queue": off, "retry_on_failure": off}
        async with balanced(monkeypatch, [one, other], otlp=otlp) as (r, _):
            with pytest.raises(RetryableError, match="refused by the test"):
                await r.consume(traces(40, 40))
            assert r.meter.value("ledger_items", state="unacknowledged") == one.item_count > 0


async def test_a_full_queue_drops_while_others_take(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in every fan-out: counted to the item; where all are full, the sender is told to come again."""
    async with GrpcServer() as one, GrpcServer(forever=Hang()) as full:
        otlp = {"sending_queue": {"queue_size": 1}, "timeout": "100ms", "retry_on_failure": QUICK_RETRY}
        async with balanced(monkeypatch, [one, full], otlp=otlp) as (r, _):
            await r.consume(traces(40, 40))
            await one.wait_for_items(1)
            await r.until(lambda: r.meter.value("exporter_queue_size") == 1)
            taken = one.item_count
            await r.consume(traces(40, 40, seed=1))
            await until(lambda: one.item_count > taken)
            lost = r.dropped["queue_full"]
            assert lost == 40 - (one.item_count - taken)
            assert r.meter.value("ledger_items", state="queue_full") == lost
            one.forever = Hang()
            await r.consume(traces(40, 40, seed=2))
            with pytest.raises(RetryableError, match="is full"):
                await r.consume(traces(40, 40, seed=3))
            with pytest.raises(RetryableError):
                r.exporter.admit(1)
            one.forever = full.forever = Accept()


async def test_full_queues_of_the_others_are_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """What moves from a backend that is gone is never dropped for want of room."""
    monkeypatch.setattr(per_backend, "MOVE_AGAIN_SECONDS", 0.01)
    async with GrpcServer(forever=Refuse(Code.UNAVAILABLE)) as going, GrpcServer(forever=Accept(delay=0.02)) as stays:
        otlp = {"sending_queue": {"queue_size": 2}, "retry_on_failure": QUICK_RETRY}
        async with balanced(monkeypatch, [going], otlp=otlp) as (r, directory):
            batches = [traces(10, 10, seed) for seed in range(2)]
            for batch in batches:
                await r.consume(batch.copy())
            await directory.change(stays)
            more = [traces(10, 10, seed) for seed in (2, 3)]
            for batch in more:
                while True:
                    try:
                        await r.consume(batch.copy())
                        break
                    except RetryableError:
                        await asyncio.sleep(0.005)
            await r.until_idle()
        assert sent(*(received.batch for received in stays.accepted)) == sent(*batches, *more)
        assert r.dropped == {}


async def test_backends_that_come_get_their_part(monkeypatch: pytest.MonkeyPatch) -> None:
    """From one to three; an empty list changes nothing, and one that cannot be told neither."""
    async with GrpcServer() as one, GrpcServer() as two, GrpcServer() as three:
        async with balanced(monkeypatch, [one]) as (r, directory):
            await r.consume(traces(60, 60))
            await directory.change(one, two, three)
            await r.consume(traces(60, 60, seed=1))
            await directory.change()
            await r.consume(traces(60, 60, seed=2))
            directory.fail("no answer")
            await r.consume(traces(60, 60, seed=3))
            assert r.host.reports[-1] == (Status.RECOVERABLE_ERROR, "no answer")
            await directory.change(one, two, three)
            assert r.host.reports[-1][0] is Status.OK
            labels = {"resolver": "static", "success": "false"}
            assert r.meter.value("loadbalancer_num_resolutions", **labels) == 1
            assert r.meter.value("loadbalancer_num_backend_updates") == 2
        assert one.item_count + two.item_count + three.item_count == 240
        assert two.item_count
        assert three.item_count
        outcomes = r.meter.value("loadbalancer_backend_outcome", endpoint=two.address, success="true")
        assert outcomes == two.attempts
        assert len(r.meter.recorded("loadbalancer_backend_latency")) == one.attempts + two.attempts + three.attempts


async def test_without_any_backend(monkeypatch: pytest.MonkeyPatch) -> None:
    """Refused, to come again, with the reason."""
    async with GrpcServer() as late, balanced(monkeypatch, []) as (r, directory):
        with pytest.raises(RetryableError, match="no backend is known yet: there is no backend at the moment"):
            await r.consume(make_batch())
        with pytest.raises(RetryableError):
            r.exporter.admit(1)
        await directory.change(late)
        await r.consume(make_batch(items=5))
        await late.wait_for_items(5)


async def test_metrics_of_all_backends_are_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Capacity and fill are sums; what is sent is counted once."""
    async with GrpcServer() as one, GrpcServer() as two, AsyncExitStack() as stack:
        otlp = {"sending_queue": {"queue_size": 7}}
        r, directory = await stack.enter_async_context(balanced(monkeypatch, [one, two], otlp=otlp))
        assert r.meter.value("exporter_queue_capacity") == 14
        await r.consume(traces(40, 40))
        await r.until_idle()
        assert r.meter.value("exporter_sent_spans") == 40
        await directory.change(one)
        await until(lambda: r.meter.value("exporter_queue_capacity") == 7)


async def test_shutdown_at_the_deadline_counts_what_is_left(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """In the queues, under way, and on the move to others that had no room."""
    async with GrpcServer(forever=Hang()) as stuck, GrpcServer(forever=Refuse(Code.UNAVAILABLE)) as going:
        otlp = {"sending_queue": {"queue_size": 3}, "timeout": "0s", "retry_on_failure": QUICK_RETRY}
        async with balanced(monkeypatch, [stuck, going], otlp=otlp) as (r, directory):
            for seed in range(3):
                await r.consume(traces(40, 40, seed))
            await stuck.wait_for_attempts(3)
            await directory.change(stuck)
            await until(lambda: r.exporter._moves)
            assert r.exporter.pending_items() == 120
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.2):
                    await r.exporter.shutdown()
            assert r.dropped == {"shutdown": 120}
            assert r.exporter.pending_items() == 0
    assert "of a backend that is gone dropped (shutdown)" in caplog.text


async def test_after_shutdown_nothing_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not even for a moment."""
    async with GrpcServer() as one:
        async with balanced(monkeypatch, [one]) as (r, _):
            pass
        with pytest.raises(RetryableError, match="is shutting down"):
            await r.consume(make_batch())


async def test_unusable_options_fail_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of backends too, although they are made later."""
    with pytest.raises(StartError, match="/nowhere/ca"):
        async with balanced(monkeypatch, ["localhost:1"], otlp={"tls": {"ca_file": "/nowhere/ca.pem"}}):
            pass


async def test_a_timeout_of_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """The caller is told to come again when a backend without a queue hangs."""
    async with GrpcServer(forever=Hang()) as one:
        otlp = {"sending_queue": {"enabled": False}}
        async with balanced(monkeypatch, [one], otlp=otlp, timeout="50ms") as (r, _):
            with pytest.raises(RetryableError, match="in time") as caught:
                await r.consume(make_batch())
            assert caught.value.code is Code.DEADLINE_EXCEEDED
