"""Backends that come, go, refuse and dawdle at random: every accepted item arrives once, and traces stay together."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from typing import Any

import pytest

from tests.support.balancing import TRACE_ID, Directory, sent, traces
from tests.support.exporters import Running
from untrace_pipeline.api import PermanentError, RetryableError
from untrace_pipeline.data import Batch, Signal
from untrace_pipeline.delivery import DELIVERED, Outcome, Request
from untrace_pipeline.testing import run_with_fake_clock
from untrace_plugins.exporters.load_balancing import FACTORY, backend, balancing

NAMES = [f"backend-{number}:4317" for number in range(6)]
FORMS: dict[str, dict[str, Any]] = {
    "a queue each": {"protocol": {"otlp": {"retry_on_failure": {"max_elapsed_time": "0s"}}}},
    "a queue each that merges": {
        "protocol": {
            "otlp": {"retry_on_failure": {"max_elapsed_time": "0s"}, "sending_queue": {"batch": {"min_size": 40}}}
        }
    },
    "callers wait": {
        "protocol": {
            "otlp": {"retry_on_failure": {"max_elapsed_time": "0s"}, "sending_queue": {"wait_for_result": True}}
        }
    },
    "one queue before the ring": {"sending_queue": {}, "retry_on_failure": {"max_elapsed_time": "0s"}},
}


class World:
    """What all backends of a run got, and how they are."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.got: dict[str, list[Batch]] = {name: [] for name in NAMES}
        self.bad: dict[str, float] = {}
        self.calm = False

    async def receive(self, name: str, batch: Batch) -> Outcome:
        """Take a request or not, after some time."""
        await asyncio.sleep(self.rng.uniform(0, 2))
        if not self.calm and self.rng.random() < self.bad.get(name, 0.1):
            raise RetryableError("not now")
        self.got[name].append(batch)
        return DELIVERED


class FakeSender:
    """The way to a backend, without a network."""

    world: World

    def __init__(self, config: Any, _logger: Any, *, may_repeat: bool) -> None:
        self.destination = config.endpoint

    async def start(self, host: Any) -> None:
        """Nothing to open."""

    async def send(self, request: Request) -> Outcome:
        """Reach the backend."""
        return await self.world.receive(self.destination, request.batch)

    async def close(self) -> None:
        """Nothing to close."""


async def run(world: World, form: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> list[Batch]:
    """Send for some minutes while everything changes, and then until all is done; return what was accepted."""
    rng, accepted, refused = world.rng, list[Batch](), list[Batch]()
    FakeSender.world = world
    directory = Directory(rng.sample(NAMES, rng.randint(1, 4)))
    monkeypatch.setattr(backend, "OtlpGrpcSender", FakeSender)
    monkeypatch.setattr(balancing, "make_resolver", lambda _config: directory)
    made = Running(FACTORY, {"resolver": {"static": {"hostnames": ["x"]}}, **form}, Signal)
    await made.exporter.start(made.host)

    async def change() -> None:
        while True:
            await asyncio.sleep(rng.uniform(1, 20))
            await directory.change(*rng.sample(NAMES, rng.randint(0, 5)))
            world.bad = {name: rng.choice([0.0, 0.2, 1.0]) for name in NAMES}

    async def send(number: int) -> None:
        for step in range(8):
            await asyncio.sleep(rng.uniform(0, 20))
            batch = traces(12, rng.randint(1, 12), seed=100 * number + step)
            try:
                await made.consume(batch.copy())
            except (RetryableError, PermanentError):
                refused.append(batch)
            else:
                accepted.append(batch)

    changing = asyncio.create_task(change())
    await asyncio.gather(*(send(number) for number in range(6)))
    changing.cancel()
    world.calm = True
    await directory.change(*NAMES[:3])
    while made.exporter.pending_items():
        await asyncio.sleep(1)
    await made.exporter.shutdown()
    assert made.dropped == {}
    assert refused == []
    return accepted


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("seed", range(12))
def test_every_item_once(seed: int, form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever happens to the backends; requests that they took are never sent again, nor lost with one that goes."""
    world = World(seed)
    accepted = run_with_fake_clock(run(world, FORMS[form], monkeypatch))
    arrived = sum((sent(*batches) for batches in world.got.values()), Counter())
    assert arrived == sent(*accepted)
    assert len(accepted) == 48


@pytest.mark.parametrize("form", FORMS)
def test_traces_stay_together_while_nobody_comes_or_goes(form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Refusals and retries do not split them."""
    monkeypatch.setattr(Directory, "change", lambda *_: asyncio.sleep(0))
    world = World(1)
    run_with_fake_clock(run(world, FORMS[form], monkeypatch))
    owners: dict[Any, set[str]] = {}
    for name, batches in world.got.items():
        for batch in batches:
            for trace in batch.column(TRACE_ID):
                owners.setdefault(trace, set()).add(name)
    assert all(len(names) == 1 for names in owners.values())
