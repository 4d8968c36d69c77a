"""Delivery as an exporter sees it, on a clock that jumps."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from tests.support.senders import Bench, ScriptedSender, all_errors, statuses
from untrace_pipeline.data import Batch, Context, Field, Level, Signal
from untrace_pipeline.data.codecs.upb import UpbCodec
from untrace_pipeline.delivery import Outcome, Reason
from untrace_pipeline.errors import Code, DecodeError, OversizeError, PermanentError, QueueFullError, RetryableError
from untrace_pipeline.testing import make_batch, run_with_fake_clock

SPAN_ID = Field(Level.ITEM, "span_id")
STEADY = {"randomization_factor": 0}


def run(main: Coroutine[Any, Any, None]) -> None:
    run_with_fake_clock(main)


class TooLarge(ScriptedSender):
    """Refuses requests of more than ``limit`` items, and single items whose number is in ``never``."""

    def __init__(self, limit: int, error: type[Exception] = OversizeError, never: bool = False) -> None:
        super().__init__()
        self.limit = limit
        self.error = error
        self.never = never

    async def answer(self, request: Any, step: Any) -> Outcome:
        if request.items > self.limit or self.never:
            raise self.error("message larger than max")
        return await super().answer(request, step)


# ------------------------------------------------------------------- the road


def test_what_is_accepted_is_delivered_as_it_came(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pass-through: the same bytes, without decoding, counted as sent."""
    monkeypatch.delattr(UpbCodec, "table")

    async def main() -> None:
        batch = make_batch(items=7, context=Context(tenant="acme"))
        before = batch.to_otlp()
        sender = ScriptedSender()
        async with Bench(sender) as bench:
            await bench.delivery.consume(batch)
        assert sender.sent[0].batch.to_otlp() is before
        assert bench.meter.value("exporter_sent_spans") == 7
        assert bench.meter.value("destination_requests", destination="backend:4317", status="OK") == 1
        assert bench.meter.value("traces_processed", customer_id="acme", status="delivered") == 1
        assert len(bench.meter.recorded("destination_latency_seconds")) == 1

    run(main())


def test_an_empty_request_is_accepted_and_not_sent() -> None:
    """OTLP: an empty request is a success; there is nothing to deliver."""

    async def main() -> None:
        sender = ScriptedSender()
        async with Bench(sender) as bench:
            await bench.delivery.consume(Batch(Signal.TRACES, b""))
        assert sender.times == []

    run(main())


def test_bytes_that_are_no_request_are_refused_for_good() -> None:
    """Nothing that cannot be counted gets into the queue."""

    async def main() -> None:
        async with Bench(ScriptedSender()) as bench:
            with pytest.raises(DecodeError):
                await bench.delivery.consume(Batch(Signal.TRACES, b"\x0a\xff\xff\xff"))

    run(main())


def test_at_most_num_consumers_requests_are_under_way() -> None:
    """num_consumers bounds the load on the destination; the gauge shows it."""

    async def main() -> None:
        sender = ScriptedSender()
        sender.gate.clear()
        async with Bench(sender, sending_queue={"num_consumers": 3}) as bench:
            for _ in range(8):
                await bench.delivery.consume(make_batch(items=1))
            await asyncio.sleep(1)
            assert bench.meter.value("exporter_in_flight_requests") == 3
            assert bench.meter.value("exporter_queue_size") == 8
            assert bench.meter.value("exporter_queue_age_seconds") == 1
            assert bench.delivery.pending_items() == 8
            sender.gate.set()
        assert sender.most_under_way == 3
        assert sender.item_count == 8

    run(main())


def test_one_destination_down_does_not_touch_another() -> None:
    """Deliveries share nothing: the healthy one is done while the other one waits."""

    async def main() -> None:
        healthy, broken = ScriptedSender(), ScriptedSender(forever=RetryableError("down"))
        async with Bench(healthy) as good:
            bad = Bench(broken)
            await bad.delivery.start(bad.host)
            for batch in (make_batch(items=5), make_batch(items=5)):
                await asyncio.gather(good.delivery.consume(batch.copy()), bad.delivery.consume(batch.copy()))
            await good.until_idle()
            assert asyncio.get_running_loop().time() < 1
            assert (good.delivery.pending_items(), bad.delivery.pending_items()) == (0, 10)
            broken.forever = None
            await bad.delivery.shutdown()
        assert healthy.item_count == broken.item_count == 10

    run(main())


# ---------------------------------------------------------------------- retry


def test_retries_on_schedule_until_it_works() -> None:
    """5 s, 7.5 s, 11.25 s: the Collector's schedule; then status goes back to OK."""

    async def main() -> None:
        sender = ScriptedSender(*[RetryableError("down")] * 3)
        async with Bench(sender, retry_on_failure=STEADY) as bench:
            await bench.delivery.consume(make_batch(items=4))
            await bench.until_idle()
        assert sender.times == pytest.approx([0, 5, 12.5, 23.75])
        assert bench.meter.value("exporter_retries") == 3
        assert bench.meter.value("exporter_sent_spans") == 4
        assert bench.meter.value("destination_requests", status="UNAVAILABLE") == 3
        assert statuses(bench.host) == ["RECOVERABLE_ERROR", "OK"]

    run(main())


def test_the_destination_may_ask_for_a_longer_wait() -> None:
    """RetryInfo and Retry-After win over a shorter backoff."""

    async def main() -> None:
        sender = ScriptedSender(RetryableError("busy", retry_after=17.0))
        async with Bench(sender, retry_on_failure=STEADY) as bench:
            await bench.delivery.consume(make_batch(items=1))
            await bench.until_idle()
        assert sender.times == pytest.approx([0, 17])

    run(main())


def test_expires_when_the_next_attempt_would_come_too_late() -> None:
    """After max_elapsed_time the items are dropped as expired, counted and logged as an error."""

    async def main() -> None:
        sender = ScriptedSender(forever=RetryableError("down"))
        retry = {**STEADY, "initial_interval": "10s", "multiplier": 1, "max_elapsed_time": "35s"}
        async with Bench(sender, retry_on_failure=retry) as bench:
            await bench.delivery.consume(make_batch(items=4))
            await bench.until_idle()
        assert sender.times == pytest.approx([0, 10, 20, 30])
        assert bench.dropped == {"expired": 4}
        assert bench.meter.value("exporter_send_failed_spans") == 4
        assert bench.meter.value("dropped_items", signal="traces", reason="expired") == 4
        assert bench.meter.value("traces_processed", status="dropped") == 1

    run(main())


def test_a_hanging_destination_runs_into_the_timeout() -> None:
    """An attempt ends after ``timeout`` and is tried again."""

    async def main() -> None:
        sender = ScriptedSender()
        sender.gate.clear()
        async with Bench(sender, timeout="2s", retry_on_failure={**STEADY, "initial_interval": "1s"}) as bench:
            await bench.delivery.consume(make_batch(items=1))
            await asyncio.sleep(4)
            sender.gate.set()
            await bench.until_idle()
        assert sender.times == pytest.approx([0, 3])
        assert bench.meter.value("destination_requests", status="DEADLINE_EXCEEDED") == 1

    run(main())


@pytest.mark.parametrize("error", [ConnectionRefusedError("no"), TimeoutError(), OSError("odd")])
def test_errors_of_the_network_are_retried(error: Exception) -> None:
    """A sender need not translate what the operating system says."""

    async def main() -> None:
        sender = ScriptedSender(error)
        async with Bench(sender) as bench:
            await bench.delivery.consume(make_batch(items=1))
            await bench.until_idle()
        assert sender.item_count == 1

    run(main())


def test_a_permanent_error_drops_at_once() -> None:
    """What will never succeed is not tried again; the reason is counted."""

    async def main() -> None:
        sender = ScriptedSender(PermanentError("bad data", code=Code.INVALID_ARGUMENT))
        async with Bench(sender) as bench:
            await bench.delivery.consume(make_batch(items=3))
            await bench.delivery.consume(make_batch(items=2))
            await bench.until_idle()
        assert bench.dropped == {"permanent": 3}
        assert sender.item_count == 2
        assert bench.meter.value("traces_processed", status="rejected") == 1

    run(main())


@pytest.mark.parametrize(
    ("code", "text"),
    [(Code.UNAUTHENTICATED, "refuses our credentials"), (Code.PERMISSION_DENIED, "does not let us in")],
)
def test_refused_credentials_are_a_permanent_status(code: Code, text: str) -> None:
    """A human must act: the status says so, and recovers when data is taken again."""

    async def main() -> None:
        sender = ScriptedSender(PermanentError("who are you?", code=code))
        async with Bench(sender) as bench:
            await bench.delivery.consume(make_batch(items=1))
            await bench.until_idle()
            assert text in bench.host.reports[0][1]
            await bench.delivery.consume(make_batch(items=1))
        assert statuses(bench.host) == ["PERMANENT_ERROR", "OK"]

    run(main())


def test_a_bug_in_a_sender_costs_its_request_only(caplog: pytest.LogCaptureFixture) -> None:
    """An unexpected exception is logged with its traceback, counted, and the queue goes on."""

    async def main() -> None:
        sender = ScriptedSender(KeyError("oops"))
        async with Bench(sender) as bench:
            await bench.delivery.consume(make_batch(items=3))
            await bench.delivery.consume(make_batch(items=2))
            await bench.until_idle()
        assert bench.dropped == {"permanent": 3}
        assert sender.item_count == 2

    run(main())
    assert any(record.exc_info for record in caplog.records)


# ------------------------------------------------------------------ splitting


def test_splits_what_is_too_large() -> None:
    """Halves down to what the destination takes; every item arrives once, in order."""

    async def main() -> None:
        batch = make_batch(items=10)
        ids = batch.copy().column(SPAN_ID)
        sender = TooLarge(3)
        async with Bench(sender) as bench:
            await bench.delivery.consume(batch)
            await bench.until_idle()
        assert [one for request in sender.sent for one in request.batch.column(SPAN_ID)] == ids
        assert [request.items for request in sender.sent] == [3, 2, 3, 2]
        assert bench.dropped == {}

    run(main())


def test_one_item_that_is_too_large_does_not_cost_the_others(caplog: pytest.LogCaptureFixture) -> None:
    """The Collector loses the whole batch; we lose the one item, counted as too_large and logged."""

    async def main() -> None:
        big = make_batch(items=1, attributes={"prompt": "x" * 100_000})
        batch = Batch.merge([make_batch(items=6), big, make_batch(items=6, seed=2)])

        class Limited(ScriptedSender):
            async def answer(self, request: Any, step: Any) -> Outcome:
                if request.batch.byte_size > 50_000:
                    raise OversizeError("message larger than max")
                return await super().answer(request, step)

        sender = Limited()
        async with Bench(sender) as bench:
            await bench.delivery.consume(batch)
            await bench.until_idle()
        assert sender.item_count == 12
        assert bench.dropped == {"too_large": 1}

    run(main())
    assert any("too_large" in record.getMessage() for record in caplog.records if record.levelname == "ERROR")


def test_stops_splitting_where_size_is_not_the_reason() -> None:
    """RESOURCE_EXHAUSTED may mean a quota: a request of 1000 small items is not asked for a thousand times."""

    async def main() -> None:
        sender = TooLarge(0, never=True)
        async with Bench(sender) as bench:
            await bench.delivery.consume(make_batch(items=1000))
            await bench.until_idle()
        assert len(sender.times) < 40
        assert sum(bench.dropped.values()) == 1000

    run(main())


def test_halves_are_retried_on_their_own() -> None:
    """A half that fails for now is tried again, without the half that was taken."""

    async def main() -> None:
        sender = ScriptedSender(OversizeError("large"), Outcome(), RetryableError("busy"))
        async with Bench(sender, retry_on_failure=STEADY) as bench:
            await bench.delivery.consume(make_batch(items=8))
            await bench.until_idle()
        assert sender.sizes == [8, 4, 4, 4]
        assert sender.item_count == 8

    run(main())


# ------------------------------------------------------------ partial success


def test_partial_success_is_counted_and_not_retried(caplog: pytest.LogCaptureFixture) -> None:
    """OTLP: what was rejected must not be sent again; unlike the Collector we count it."""

    async def main() -> None:
        sender = ScriptedSender(Outcome(3, "too old"))
        async with Bench(sender) as bench:
            await bench.delivery.consume(make_batch(items=10))
            await bench.until_idle()
        assert len(sender.times) == 1
        assert bench.meter.value("exporter_sent_spans") == 7
        assert bench.meter.value("exporter_rejected_spans") == 3
        assert bench.delivery.accounting.ended["rejected"] == 3

    run(main())
    assert "3 of 10 spans were rejected" in caplog.text
    assert "too old" in caplog.text


def test_a_message_without_rejections_is_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    """Everything was taken; the destination only had something to say."""

    async def main() -> None:
        async with Bench(ScriptedSender(Outcome(0, "use the new endpoint"))) as bench:
            await bench.delivery.consume(make_batch(items=10))
            await bench.until_idle()
        assert bench.meter.value("exporter_sent_spans") == 10

    run(main())
    assert [r.levelname for r in caplog.records if "new endpoint" in r.getMessage()] == ["WARNING"]


def test_more_rejected_than_sent_does_not_break_the_sums() -> None:
    """A destination that counts wrongly cannot unbalance the accounting."""

    async def main() -> None:
        async with Bench(ScriptedSender(Outcome(99))) as bench:
            await bench.delivery.consume(make_batch(items=10))
        assert bench.delivery.accounting.ended["rejected"] == 10

    run(main())


# ------------------------------------------------------------------- overflow


def test_full_queue_refuses_before_anything_is_taken() -> None:
    """The caller is told to come back, and counted; nothing of the batch is held."""

    async def main() -> None:
        sender = ScriptedSender()
        sender.gate.clear()
        async with Bench(sender, sending_queue={"queue_size": 2, "num_consumers": 1}) as bench:
            for _ in range(2):
                await bench.delivery.consume(make_batch(items=5))
            with pytest.raises(QueueFullError, match="exporter otlp/backend"):
                bench.delivery.admit(1000)
            with pytest.raises(QueueFullError):
                await bench.delivery.consume(make_batch(items=5))
            assert bench.delivery.pending_items() == 10
            assert bench.meter.value("exporter_enqueue_failed_spans") == 5
            sender.gate.set()
            await bench.until_idle()
            bench.delivery.admit(1000)
        assert sender.item_count == 10

    run(main())


def test_block_waits_for_room() -> None:
    """overflow: block makes the caller wait instead of refusing."""

    async def main() -> None:
        sender = ScriptedSender()
        sender.gate.clear()
        queue = {"queue_size": 1, "num_consumers": 1, "block_on_overflow": True}
        async with Bench(sender, sending_queue=queue) as bench:
            await bench.delivery.consume(make_batch(items=1))
            bench.delivery.admit(0)
            waits = asyncio.create_task(bench.delivery.consume(make_batch(items=2)))
            await asyncio.sleep(5)
            assert not waits.done()
            sender.gate.set()
            await waits
        assert sender.item_count == 3

    run(main())


def test_drop_oldest_counts_what_it_drops(caplog: pytest.LogCaptureFixture) -> None:
    """The newest data is kept; the loss is counted with its reason and logged as an error."""

    async def main() -> None:
        sender = ScriptedSender()
        sender.gate.clear()
        queue = {"queue_size": 2, "num_consumers": 1, "overflow": "drop_oldest"}
        async with Bench(sender, sending_queue=queue) as bench:
            await bench.delivery.consume(make_batch(items=1))
            await asyncio.sleep(0.1)
            await bench.delivery.consume(make_batch(items=2))
            await bench.delivery.consume(make_batch(items=4))
            assert bench.dropped == {"queue_full": 2}
            sender.gate.set()
        assert [request.items for request in sender.sent] == [1, 4]

    run(main())
    assert any("oldest 2 items" in record.getMessage() for record in caplog.records)


def test_a_batch_larger_than_the_queue_is_refused_for_good() -> None:
    """It is never taken and never looped over."""

    async def main() -> None:
        async with Bench(ScriptedSender(), sending_queue={"queue_size": 5, "sizer": "items"}) as bench:
            with pytest.raises(OversizeError, match="queue_size 5"):
                await bench.delivery.consume(make_batch(items=6))
            assert bench.meter.value("exporter_enqueue_failed_spans") == 6
        assert bench.delivery.accounting.enqueued == 0

    run(main())


# ------------------------------------------------------------------- batching


def test_batches_requests_and_flushes_after_the_timeout() -> None:
    """Small requests travel together; the last ones do not wait longer than flush_timeout."""

    async def main() -> None:
        sender = ScriptedSender()
        batch = {"min_size": 10, "flush_timeout": "200ms"}
        async with Bench(sender, sending_queue={"batch": batch}) as bench:
            for _ in range(7):
                await bench.delivery.consume(make_batch(items=3))
            await bench.until_idle()
            assert sender.sizes == [12, 9]
            assert sender.times == pytest.approx([0, 0.2])

    run(main())


def test_a_full_queue_flushes_what_waits_to_be_merged() -> None:
    """Nothing more can come, so waiting for the flush timeout would only stall the sender."""

    async def main() -> None:
        sender = ScriptedSender()
        queue = {"queue_size": 3, "overflow": "block", "batch": {"min_size": 1000, "flush_timeout": "60s"}}
        async with Bench(sender, sending_queue=queue) as bench:
            for _ in range(9):
                await bench.delivery.consume(make_batch(items=1))
            assert asyncio.get_running_loop().time() < 1
        assert sender.item_count == 9

    run(main())


def test_wait_for_result_survives_batching() -> None:
    """Whoever waits learns the outcome of the merged request that holds their items."""

    async def main() -> None:
        sender = ScriptedSender(PermanentError("bad data"))
        queue = {"wait_for_result": True, "batch": {"min_size": 6, "max_size": 6}}
        async with Bench(sender, sending_queue=queue) as bench:
            errors = await all_errors(bench.delivery.consume(make_batch(items=3)) for _ in range(4))
        assert [type(error) for error in errors] == [PermanentError, PermanentError, type(None), type(None)]
        assert bench.delivery.accounting.ended["refused"] == 6
        assert bench.dropped == {}

    run(main())


# ------------------------------------------------------------ waiting callers


@pytest.mark.parametrize("queue", [{"wait_for_result": True}, {"enabled": False}])
def test_the_caller_learns_the_outcome(queue: dict[str, Any]) -> None:
    """With wait_for_result, or without a queue, accepted means delivered, and failures go back, uncounted as drops."""

    async def main() -> None:
        sender = ScriptedSender(RetryableError("busy"), PermanentError("bad data", code=Code.INVALID_ARGUMENT))
        async with Bench(sender, sending_queue=queue) as bench:
            with pytest.raises(PermanentError, match="bad data"):
                await bench.delivery.consume(make_batch(items=2))
            await bench.delivery.consume(make_batch(items=3))
            assert sender.item_count == 3
        assert bench.delivery.accounting.ended["refused"] == 2
        assert bench.dropped == {}
        assert bench.meter.value("exporter_send_failed_spans") == 2

    run(main())


@pytest.mark.parametrize("queue", [{"wait_for_result": True}, {"enabled": False}])
def test_a_too_large_item_among_others_is_dropped_not_returned(queue: dict[str, Any]) -> None:
    """Sending everything again would not help: the rest arrived, so the caller is not told to repeat it."""

    async def main() -> None:
        sender = ScriptedSender(OversizeError("large"), Outcome(), OversizeError("large"))
        async with Bench(sender, sending_queue=queue) as bench:
            await bench.delivery.consume(make_batch(items=2))
            assert bench.dropped == {"too_large": 1}
            sender.steps = [OversizeError("large")]
            with pytest.raises(OversizeError):
                await bench.delivery.consume(make_batch(items=1))
        assert sender.item_count == 1

    run(main())


def test_a_caller_who_left_is_not_served() -> None:
    """A client that gave up will come again: its old request is not sent as well."""

    async def main() -> None:
        sender = ScriptedSender()
        sender.gate.clear()
        async with Bench(sender, sending_queue={"wait_for_result": True, "num_consumers": 1}) as bench:
            stays = asyncio.create_task(bench.delivery.consume(make_batch(items=1)))
            leaves = asyncio.create_task(bench.delivery.consume(make_batch(items=2)))
            await asyncio.sleep(1)
            leaves.cancel()
            sender.gate.set()
            await stays
            await bench.until_idle()
            assert bench.delivery._queue is not None
            assert bench.delivery._queue.size == 0
        assert sender.item_count == 1
        assert bench.delivery.accounting.ended["refused"] == 2

    run(main())


def test_a_caller_without_queue_who_leaves_stops_the_attempts() -> None:
    """On cancellation the batch counts as refused, and nobody goes on sending it."""

    async def main() -> None:
        sender = ScriptedSender(forever=RetryableError("down"))
        async with Bench(sender, sending_queue={"enabled": False}) as bench:
            call = asyncio.create_task(bench.delivery.consume(make_batch(items=2)))
            await asyncio.sleep(1)
            call.cancel()
            await bench.until_idle()
            attempts = len(sender.times)
            await asyncio.sleep(100)
            assert len(sender.times) == attempts
        assert bench.delivery.accounting.ended["refused"] == 2

    run(main())


# ------------------------------------------------------------------- shutdown


def test_shutdown_sends_what_is_left() -> None:
    """Draining flushes batches at once and sends everything that was accepted."""

    async def main() -> None:
        sender = ScriptedSender()
        queue = {"batch": {"min_size": 1000, "flush_timeout": "60s"}}
        async with Bench(sender, sending_queue=queue) as bench:
            for _ in range(5):
                await bench.delivery.consume(make_batch(items=3))
        assert sender.sizes == [15]
        assert asyncio.get_running_loop().time() < 1

    run(main())


def test_shutdown_does_not_wait_out_long_backoffs() -> None:
    """A destination that is back is used at once, one that is not is asked every second."""

    async def main() -> None:
        sender = ScriptedSender(*[RetryableError("down", retry_after=200.0)] * 4)
        async with Bench(sender) as bench:
            await bench.delivery.consume(make_batch(items=3))
            await asyncio.sleep(10)
        assert sender.times == pytest.approx([0, 10, 11, 12, 13])
        assert sender.item_count == 3

    run(main())


def test_shutdown_refuses_input() -> None:
    """After shutdown began, the client is told to come back elsewhere."""

    async def main() -> None:
        async with Bench(ScriptedSender()) as bench:
            await bench.delivery.shutdown()
            with pytest.raises(RetryableError, match="shutting down"):
                await bench.delivery.consume(make_batch())
            with pytest.raises(RetryableError, match="shutting down"):
                bench.delivery.admit(1)

    run(main())


@pytest.mark.parametrize("batch", [None, {"min_size": 1000}])
def test_cancelled_shutdown_counts_what_is_lost(batch: dict[str, Any] | None, caplog: pytest.LogCaptureFixture) -> None:
    """At the deadline, what is queued and what is under way is dropped, counted, and told in one line."""

    async def main() -> None:
        sender = ScriptedSender()
        sender.gate.clear()
        bench = Bench(sender, timeout="0s", sending_queue={"num_consumers": 1, "batch": batch})
        await bench.delivery.start(bench.host)
        for _ in range(4):
            await bench.delivery.consume(make_batch(items=5))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(3):
                await bench.delivery.shutdown()
        assert bench.dropped == {"shutdown": 20}
        assert bench.delivery.pending_items() == 0
        assert bench.delivery.accounting.balance == 0
        assert all(task.done() for task in bench.host.tasks)
        await bench.delivery.shutdown()

    run(main())
    assert [r.getMessage() for r in caplog.records if r.levelname == "ERROR"] == [
        "stopped after 3s: 20 of 20 pending items were dropped (shutdown)"
    ]


@pytest.mark.parametrize("queue", [{"wait_for_result": True, "num_consumers": 1}, {"enabled": False}])
def test_cancelled_shutdown_tells_callers_who_wait(queue: dict[str, Any]) -> None:
    """They still own their batches: a retryable error, and nothing counted as dropped."""

    async def main() -> None:
        sender = ScriptedSender()
        sender.gate.clear()
        bench = Bench(sender, timeout="0s", sending_queue=queue)
        await bench.delivery.start(bench.host)
        calls = [asyncio.create_task(bench.delivery.consume(make_batch(items=5))) for _ in range(3)]
        await asyncio.sleep(1)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(3):
                await bench.delivery.shutdown()
        assert all(isinstance(error, RetryableError) for error in await all_errors(calls))
        assert bench.dropped == {}
        assert bench.delivery.accounting.ended["refused"] == 15
        assert bench.delivery.accounting.balance == 0

    run(main())


def test_shutdown_without_start_drops_what_was_taken() -> None:
    """Even then every item is accounted for."""

    async def main() -> None:
        bench = Bench(ScriptedSender())
        await bench.delivery.consume(make_batch(items=5))
        await bench.delivery.shutdown()
        assert bench.delivery.accounting.dropped[Reason.SHUTDOWN] == 5

    run(main())
