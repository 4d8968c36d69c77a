"""Which level gets the data, and how it comes back."""

from __future__ import annotations

import asyncio
import functools
import logging
import random
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from untrace_pipeline.api import Code, ConsumeError, Kind, PermanentError, PipelineId, RetryableError, Status
from untrace_pipeline.data import Batch, Signal
from untrace_pipeline.testing import (
    RecordingMeter,
    Sink,
    StubHost,
    make_batch,
    make_settings,
    run_with_fake_clock,
)
from untrace_plugins.connectors.failover import FACTORY


class Switch(Sink):
    """A pipeline that refuses while ``error`` is set, and takes some time for either."""

    def __init__(self) -> None:
        super().__init__()
        self.error: ConsumeError | None = None
        self.seconds = 0.0
        self.asked = 0

    async def consume(self, batch: Batch) -> None:
        self.asked += 1
        if self.seconds:
            await asyncio.sleep(self.seconds)
        if self.error is not None:
            raise self.error
        await super().consume(batch)


class Levels:
    """A connector with a switch behind each pipeline; ``a`` is the best of three levels."""

    def __init__(
        self, levels: str = "a b c", *, signals: tuple[Signal, ...] = (Signal.TRACES,), **options: Any
    ) -> None:
        names = [[f"{signal}/{name}" for name in level for signal in signals] for level in levels.split()]
        config = FACTORY.config.model_validate({"priority_levels": names, "retry_interval": "60s", **options})
        self.pipelines = {PipelineId.parse(name): Switch() for level in names for name in level}
        self.meter = RecordingMeter()
        self.host = StubHost()
        settings = make_settings(Kind.CONNECTOR, "failover", signals=signals, meter=self.meter)
        self.connector = FACTORY.create(config, settings, self.pipelines)

    def __getitem__(self, name: str) -> Switch:
        return self.pipelines[PipelineId(Signal.TRACES, name)]

    async def send(self, signal: Signal = Signal.TRACES) -> None:
        await self.connector.consume(make_batch(signal, items=1))

    def got(self, signal: Signal = Signal.TRACES) -> list[int]:
        return [sink.item_count for pipeline, sink in self.pipelines.items() if pipeline.signal is signal]

    def level(self, signal: Signal = Signal.TRACES) -> float:
        return self.meter.value("connector_failover_level", signal=signal)


DOWN = RetryableError("down")


def fake_time(work: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Let a test wait for minutes without taking any."""

    @functools.wraps(work)
    def run(*args: Any, **kwargs: Any) -> None:
        run_with_fake_clock(work(*args, **kwargs))

    return run


@fake_time
async def test_the_first_level_gets_everything_while_it_works() -> None:
    """The others are not asked."""
    levels = Levels()
    await levels.send()
    assert levels.got() == [1, 0, 0]
    assert levels.level() == 1


@fake_time
async def test_a_refusal_moves_the_batch_and_those_after_it() -> None:
    """The next level gets the batch at once, and then all data: the first is left alone."""
    levels = Levels()
    levels["a"].error = DOWN
    for _ in range(5):
        await levels.send()
    assert levels.got() == [0, 5, 0]
    assert levels["a"].asked == 1
    assert levels.level() == 2
    assert levels.meter.value("connector_failover_switches", level="2") == 1


@fake_time
async def test_better_levels_are_tried_with_one_batch_per_interval() -> None:
    """Nothing is lost or doubled by trying, and the data returns when the first level accepts."""
    levels = Levels()
    levels["a"].error = DOWN
    await levels.send()
    for _ in range(3):
        await asyncio.sleep(60)
        await levels.send()
        await levels.send()
    assert levels["a"].asked == 4
    assert levels.got() == [0, 7, 0]
    levels["a"].error = None
    await levels.send()
    assert levels.level() == 2
    await asyncio.sleep(60)
    await levels.send()
    await levels.send()
    assert levels.got() == [2, 8, 0]
    assert levels.level() == 1


@fake_time
async def test_only_one_of_many_batches_tries() -> None:
    """While a better level takes its time to refuse, the other batches do not wait for it."""
    levels = Levels()
    levels["a"].error = DOWN
    await levels.send()
    levels["a"].seconds = 30
    await asyncio.sleep(60)
    trying = asyncio.create_task(levels.send())
    await asyncio.sleep(0)
    for _ in range(5):
        await asyncio.wait_for(levels.send(), 1)
    await trying
    assert levels["a"].asked == 2
    assert levels.got() == [0, 7, 0]


@fake_time
async def test_it_returns_to_the_best_level_that_works() -> None:
    """From the third level to the second while the first is still down."""
    levels = Levels()
    levels["a"].error = levels["b"].error = DOWN
    await levels.send()
    assert levels.level() == 3
    levels["b"].error = None
    await asyncio.sleep(60)
    await levels.send()
    assert levels.level() == 2
    levels["a"].error = None
    await asyncio.sleep(60)
    await levels.send()
    assert levels.level() == 1
    assert levels.got() == [1, 1, 1]


@fake_time
async def test_a_better_level_is_asked_before_a_batch_is_refused() -> None:
    """Long before the interval is over, when the levels that should work do not."""
    levels = Levels()
    levels["a"].error = DOWN
    await levels.send()
    levels["a"].error, levels["b"].error, levels["c"].error = None, DOWN, DOWN
    await levels.send()
    assert levels.got() == [1, 1, 0]
    assert levels.level() == 1


@fake_time
async def test_when_all_refuse_the_sender_is_told_and_no_level_is_given_up() -> None:
    """The Collector then refuses everything until its interval is over; here every batch asks all levels."""
    levels = Levels()
    levels["a"].error = levels["b"].error = DOWN
    levels["c"].error = RetryableError("busy", retry_after=7.0)
    for _ in range(2):
        with pytest.raises(RetryableError, match="busy"):
            await levels.send()
    assert levels.level() == 1
    levels["b"].error = None
    await levels.send()
    assert levels.got() == [0, 1, 0]


@pytest.mark.parametrize("code", [Code.INVALID_ARGUMENT, Code.INTERNAL])
@fake_time
async def test_one_bad_batch_does_not_move_the_others(code: Code) -> None:
    """It is offered to the other levels, which may take it; the data after it goes to the first."""
    levels = Levels()
    levels["a"].error = PermanentError("bad", code=code)
    await levels.send()
    levels["a"].error = None
    await levels.send()
    assert levels.got() == [1, 1, 0]
    assert levels.level() == 1


@fake_time
async def test_refused_credentials_move_the_data() -> None:
    """They are permanent, and have nothing to do with the batch."""
    levels = Levels()
    levels["a"].error = PermanentError("who are you", code=Code.UNAUTHENTICATED)
    await levels.send()
    assert levels.level() == 2


@fake_time
async def test_a_level_works_only_if_all_of_its_pipelines_do() -> None:
    """Two pipelines of a level get the same data; when one refuses, the next level gets it too."""
    levels = Levels("ab c")
    await levels.send()
    levels["b"].error = DOWN
    await levels.send()
    await levels.send()
    assert levels.got() == [2, 1, 2]
    assert levels.level() == 2


@fake_time
async def test_signals_have_levels_of_their_own() -> None:
    """Logs stay where they are when traces must move; a signal without pipelines is refused for good."""
    levels = Levels(signals=(Signal.TRACES, Signal.LOGS))
    levels["a"].error = DOWN
    await levels.send()
    await levels.send(Signal.LOGS)
    assert levels.got() == [0, 1, 0]
    assert levels.got(Signal.LOGS) == [1, 0, 0]
    assert (levels.level(), levels.level(Signal.LOGS)) == (2, 1)
    with pytest.raises(PermanentError, match="no level has a pipeline of metrics"):
        await levels.send(Signal.METRICS)


@fake_time
async def test_an_old_batch_does_not_bring_a_level_back() -> None:
    """One that was under way to the first level before it failed, and got through, says nothing about now."""
    levels = Levels()
    levels["a"].seconds = 20
    old = asyncio.create_task(levels.send())
    await asyncio.sleep(1)
    levels["a"].seconds, levels["a"].error = 0.0, DOWN
    await levels.send()
    assert levels.level() == 2
    levels["a"].error = None
    await old
    assert levels.level() == 2
    assert levels.got() == [1, 1, 0]


@fake_time
async def test_cancelled_while_a_level_hangs() -> None:
    """The batch counts as refused, and nothing is learnt from it."""
    levels = Levels()
    levels["a"].seconds = 1000
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(levels.send(), 5)
    assert levels.got() == [0, 0, 0]
    assert levels.level() == 1


@fake_time
async def test_every_change_is_told(caplog: pytest.LogCaptureFixture) -> None:
    """In the log once per change, in the status as long as it lasts."""
    levels = Levels("a b", retry_interval="90s")
    await levels.connector.start(levels.host)
    with caplog.at_level(logging.INFO):
        levels["a"].error = DOWN
        await levels.send()
        await levels.send()
        levels["b"].error = DOWN
        for _ in range(3):
            with pytest.raises(RetryableError):
                await levels.send()
        levels["b"].error = None
        await levels.send()
        levels["a"].error = None
        await asyncio.sleep(90)
        await levels.send()
    await levels.connector.shutdown()
    moved = "traces go to level 2 (traces/b) now: traces/a refused (UNAVAILABLE: down)"
    assert [record.getMessage() for record in caplog.records] == [
        f"{moved}; better levels are tried again every 1m30s",
        "no level accepts traces (UNAVAILABLE: down); the sender is told",
    ]
    assert [status for status, _ in levels.host.reports] == [Status.RECOVERABLE_ERROR] * 5 + [Status.OK]
    assert levels.host.reports[0][1] == "traces go to level 2 (traces/b)"
    assert levels.host.reports[-1][1] == "traces go to level 1 (traces/a) again"


@pytest.mark.parametrize("seed", range(30))
@fake_time
async def test_every_accepted_batch_is_at_exactly_one_level(seed: int) -> None:
    """Whatever fails when: no batch is lost, doubled, or reported as refused although a level has it."""
    rng = random.Random(seed)
    levels = Levels()

    async def weather() -> None:
        while True:
            await asyncio.sleep(rng.uniform(0, 20))
            one = levels[rng.choice("abc")]
            one.error = rng.choice([None, DOWN, RetryableError("full"), PermanentError("bad")])
            one.seconds = rng.choice([0, 0.1, 5])

    async def sender(number: int) -> int:
        accepted = 0
        for _ in range(20):
            await asyncio.sleep(rng.uniform(0, 30))
            try:
                async with asyncio.timeout(rng.choice([3, 100])):
                    await levels.send()
                accepted += 1
            except (ConsumeError, TimeoutError):
                pass
        return accepted

    changing = asyncio.create_task(weather())
    accepted = sum(await asyncio.gather(*(sender(number) for number in range(10))))
    changing.cancel()
    assert sum(levels.got()) == accepted > 0
