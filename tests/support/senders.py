"""Senders for tests of the delivery: scripted, recording, no network."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

from untrace_pipeline.api import Kind
from untrace_pipeline.delivery import DELIVERED, Delivery, DeliveryConfig, Outcome, Request
from untrace_pipeline.testing import RecordingMeter, StubHost, make_settings


class ScriptedSender:
    """Answers with the steps given, one per attempt: an outcome, or an error that is raised; then delivers.

    ``times`` are the event loop's times of all attempts, ``sent`` the item counts of those that were delivered.
    """

    destination = "backend:4317"

    def __init__(self, *steps: Outcome | Exception, forever: Exception | None = None) -> None:
        self.steps = list(steps)
        self.forever = forever
        self.times: list[float] = []
        self.sizes: list[int] = []
        self.sent: list[Request] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.under_way = 0
        self.most_under_way = 0

    async def send(self, request: Request) -> Outcome:
        self.times.append(asyncio.get_running_loop().time())
        self.sizes.append(request.items)
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        try:
            await self.gate.wait()
            step = self.steps.pop(0) if self.steps else self.forever
            return await self.answer(request, step)
        finally:
            self.under_way -= 1

    async def answer(self, request: Request, step: Outcome | Exception | None) -> Outcome:
        if isinstance(step, Exception):
            raise step
        self.sent.append(request)
        return step or DELIVERED

    @property
    def item_count(self) -> int:
        return sum(request.items for request in self.sent)


class Bench:
    """A delivery with everything around it: ``async with Bench(sender, retry_on_failure={…}) as bench``."""

    def __init__(self, sender: Any, **options: Any) -> None:
        self.sender = sender
        self.meter = RecordingMeter()
        self.host = StubHost()
        self.settings = make_settings(Kind.EXPORTER, "otlp/backend", meter=self.meter)
        self.delivery = Delivery(config(**options), sender, self.settings)

    async def __aenter__(self) -> Bench:
        await self.delivery.start(self.host)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.delivery.shutdown()
        assert self.delivery.accounting.balance == 0
        assert all(task.done() for task in self.host.tasks)

    async def until_idle(self) -> None:
        while self.delivery.pending_items():
            await asyncio.sleep(0.001)

    @property
    def dropped(self) -> dict[str, int]:
        return {str(reason): count for reason, count in self.delivery.accounting.dropped.items() if count}


def config(**options: Any) -> DeliveryConfig:
    return DeliveryConfig.model_validate(options)


def statuses(host: StubHost) -> list[str]:
    return [status.name for status, _ in host.reports]


async def all_errors(calls: Iterable[Any]) -> list[BaseException | None]:
    return list(await asyncio.gather(*calls, return_exceptions=True))
