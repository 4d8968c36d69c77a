"""The circuit breaker: when it opens, how it probes, and what waits meanwhile."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.support.senders import Bench, ScriptedSender, statuses
from untrace_pipeline.delivery import BreakerConfig
from untrace_pipeline.delivery.breaker import Breaker, Circuit
from untrace_pipeline.errors import PermanentError, RetryableError
from untrace_pipeline.testing import make_batch, run_with_fake_clock

FOREVER = {"max_elapsed_time": "0s", "initial_interval": "1s", "multiplier": 1}


def breaker(**options: Any) -> tuple[Breaker, list[Circuit]]:
    seen: list[Circuit] = []
    given = {"min_requests": 4, "window": "10s", "open_duration": "5s", **options}
    return Breaker(BreakerConfig.model_validate(given), lambda state, _: seen.append(state)), seen


def attempts(one: Breaker, *failed: bool | None, at: float = 0.0) -> None:
    for outcome in failed:
        one.record(at, failed=outcome, probe=False)


@pytest.mark.parametrize(
    ("failed", "opens"),
    [
        ((True, True, True), False),
        ((False, False, True, True), True),
        ((True, False, False, False), False),
        ((None, None, None, None), False),
    ],
)
def test_it_opens_at_the_ratio_and_not_before_enough_requests(failed: tuple[bool | None, ...], opens: bool) -> None:
    """It opens when at least ``min_requests`` lie in the window and ``failure_ratio`` of them failed."""

    async def main() -> None:
        one, _ = breaker()
        attempts(one, *failed)
        assert (one.state is Circuit.OPEN) is opens
        one.close()

    run_with_fake_clock(main())


def test_old_attempts_do_not_count() -> None:
    """Attempts older than the window are forgotten."""

    async def main() -> None:
        one, _ = breaker()
        attempts(one, True, True, True, at=0.0)
        attempts(one, False, False, True, at=10.5)
        assert one.state is Circuit.CLOSED
        attempts(one, True, at=11.0)
        assert one.state is Circuit.OPEN
        one.close()

    run_with_fake_clock(main())


def test_one_probe_decides_and_the_others_wait() -> None:
    """While half-open one attempt is made; its success lets all go, its failure opens the circuit again."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        one, seen = breaker()
        attempts(one, True, True, True, True)
        waiting = [asyncio.create_task(one.permit()) for _ in range(3)]
        await asyncio.sleep(5.1)
        assert one.state is Circuit.HALF_OPEN
        assert sum(task.done() for task in waiting) == 1
        one.record(loop.time(), failed=True, probe=True)
        await asyncio.sleep(4.8)
        assert sum(task.done() for task in waiting) == 1
        await asyncio.sleep(0.3)
        assert sum(task.done() for task in waiting) == 2
        one.record(loop.time(), failed=False, probe=True)
        assert await asyncio.gather(*waiting) == [True, True, False]
        opened_twice = [Circuit.OPEN, Circuit.HALF_OPEN] * 2
        assert seen == [*opened_twice, Circuit.CLOSED]

    run_with_fake_clock(main())


def test_a_longer_wish_of_the_destination_wins() -> None:
    """Retry-After keeps the circuit open for longer than ``open_duration``."""

    async def main() -> None:
        one, _ = breaker()
        attempts(one, True, True, True)
        one.record(0.0, failed=True, probe=False, wish=60.0)
        await asyncio.sleep(59)
        assert one.state is Circuit.OPEN
        await asyncio.sleep(2)
        assert one.state is Circuit.HALF_OPEN

    run_with_fake_clock(main())


def test_a_cancelled_probe_hands_its_turn_on() -> None:
    """A probe that says nothing leaves the circuit half-open, and the next one is made."""

    async def main() -> None:
        one, _ = breaker()
        attempts(one, True, True, True, True)
        first, second = (asyncio.create_task(one.permit()) for _ in range(2))
        await asyncio.sleep(5.1)
        assert first.done()
        assert not second.done()
        one.record(0.0, failed=None, probe=True)
        assert await second is True

    run_with_fake_clock(main())


def test_a_cancelled_waiter_does_not_lose_the_turn() -> None:
    """Whoever is woken and cancelled at the same moment passes the turn on."""

    async def main() -> None:
        one, _ = breaker()
        attempts(one, True, True, True, True)
        first, second = (asyncio.create_task(one.permit()) for _ in range(2))
        await asyncio.sleep(1)
        asyncio.get_running_loop().call_later(4.0, first.cancel)  # in the turn of the loop that wakes it
        await asyncio.sleep(5)
        assert second.done() or first.done()
        if first.cancelled():
            assert await second is True

    run_with_fake_clock(main())


def test_a_dead_destination_is_left_alone_and_taken_up_again() -> None:
    """With the circuit open a dead destination is asked by one probe at a time, and gets everything when it is back."""

    async def main() -> None:
        sender = ScriptedSender(forever=RetryableError("down"))
        options = {"min_requests": 10, "open_duration": "5s"}
        async with Bench(sender, retry_on_failure=FOREVER, circuit_breaker=options) as bench:
            for _ in range(10):
                await bench.delivery.consume(make_batch(items=1))
            await asyncio.sleep(60)
            assert len(sender.times) <= 10 + 60 / 5 + 1
            assert bench.meter.value("exporter_circuit_state") in {Circuit.OPEN, Circuit.HALF_OPEN}
            assert bench.meter.value("exporter_circuit_changes", state="open") >= 10
            assert statuses(bench.host)[-1] == "RECOVERABLE_ERROR"
            sender.forever = None
            await bench.until_idle()
            assert bench.meter.value("exporter_circuit_state") == Circuit.CLOSED
            assert sender.item_count == 10
            assert statuses(bench.host)[-1] == "OK"

    run_with_fake_clock(main())


def test_refused_data_says_nothing_against_the_destination() -> None:
    """A destination that refuses data for good works: the circuit stays closed."""

    async def main() -> None:
        sender = ScriptedSender(forever=PermanentError("bad data"))
        async with Bench(sender, circuit_breaker={"min_requests": 2}) as bench:
            for _ in range(20):
                await bench.delivery.consume(make_batch(items=1))
            await bench.until_idle()
            assert bench.meter.value("exporter_circuit_state") == Circuit.CLOSED
            assert len(sender.times) == 20

    run_with_fake_clock(main())


@pytest.mark.parametrize("queue", [{"enabled": False}, {"wait_for_result": True}, {}])
def test_a_circuit_that_refuses_finds_out_when_all_is_well(queue: dict[str, Any]) -> None:
    """With nothing waiting to ask with, one batch that comes is taken for that; the others are refused meanwhile."""

    async def main() -> None:
        sender = ScriptedSender(forever=RetryableError("down"))
        options = {"min_requests": 3, "open_duration": "5s", "when_open": "refuse"}
        off = {"enabled": False}
        async with Bench(sender, sending_queue=queue, retry_on_failure=off, circuit_breaker=options) as bench:

            async def taken() -> bool:
                try:
                    await bench.delivery.consume(make_batch(items=1))
                except RetryableError:
                    return False
                return True

            for _ in range(3):
                await taken()
                await bench.until_idle()
            assert not await taken()
            await asyncio.sleep(5.1)
            attempts = len(sender.times)
            await taken()
            await bench.until_idle()
            assert len(sender.times) == attempts + 1
            assert not await taken()
            sender.forever = None
            await asyncio.sleep(5.1)
            sender.gate.clear()
            probe = asyncio.create_task(taken())
            await asyncio.sleep(0.1)
            assert not await taken()
            sender.gate.set()
            assert await probe
            await bench.until_idle()
            assert await taken()

    run_with_fake_clock(main())


def test_an_open_circuit_can_refuse() -> None:
    """With ``when_open: refuse`` the sender is told to come back, and when; what was queued stays queued."""

    async def main() -> None:
        sender = ScriptedSender(forever=RetryableError("down"))
        options = {"min_requests": 2, "open_duration": "30s", "when_open": "refuse"}
        async with Bench(sender, retry_on_failure=FOREVER, circuit_breaker=options) as bench:
            await bench.delivery.consume(make_batch(items=1))
            await bench.delivery.consume(make_batch(items=1))
            await asyncio.sleep(10)
            with pytest.raises(RetryableError, match="circuit is open"):
                bench.delivery.admit(0)
            with pytest.raises(RetryableError, match="circuit is open") as refusal:
                await bench.delivery.consume(make_batch(items=1))
            assert 0 < (refusal.value.retry_after or 0) <= 30
            sender.forever = None
            await bench.until_idle()
            await bench.delivery.consume(make_batch(items=1))
            await bench.until_idle()
            assert sender.item_count == 3

    run_with_fake_clock(main())


async def test_the_end_is_not_held_up() -> None:
    """Once everybody is let through, failures of the last attempts, and of probes under way, open nothing again."""
    one, seen = breaker(min_requests=2, open_duration="5s")
    attempts(one, True, True)
    assert one.state is Circuit.OPEN
    waiting = asyncio.create_task(one.permit())
    await asyncio.sleep(0)
    one.close()
    assert await waiting is False
    attempts(one, *[True] * 20)
    one.record(1.0, failed=True, probe=True)
    assert one.state is Circuit.CLOSED
    assert seen == [Circuit.OPEN]
    assert await asyncio.wait_for(one.permit(), 1) is False


def test_it_can_be_switched_off() -> None:
    """``enabled: false`` never holds an attempt back."""

    async def main() -> None:
        sender = ScriptedSender(forever=RetryableError("down"))
        options = {"min_requests": 1, "enabled": False}
        async with Bench(
            sender, retry_on_failure={**FOREVER, "max_elapsed_time": "31s"}, circuit_breaker=options
        ) as bench:
            await bench.delivery.consume(make_batch(items=1))
            await bench.until_idle()
            assert len(sender.times) > 20

    run_with_fake_clock(main())


def test_shutdown_does_not_wait_for_an_open_circuit() -> None:
    """Draining lets whoever waits make its last attempts."""

    async def main() -> None:
        sender = ScriptedSender(*[RetryableError("down")] * 2)
        options = {"min_requests": 2, "open_duration": "1h"}
        retry = {"max_elapsed_time": "0s", "initial_interval": "1s"}
        async with Bench(sender, retry_on_failure=retry, circuit_breaker=options) as bench:
            await bench.delivery.consume(make_batch(items=1))
            await bench.delivery.consume(make_batch(items=1))
            await asyncio.sleep(10)
            assert bench.meter.value("exporter_circuit_state") == Circuit.OPEN
        assert sender.item_count == 2

    run_with_fake_clock(main())
