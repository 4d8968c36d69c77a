"""End-to-end acknowledgement: a receiver is told *accepted* when, and only when, every exporter behind has accepted.

Each processor and connector of this distribution stands between a receiver and two exporters of a real graph, behind
each of its pipelines. New ones are found in the registry; they need options in ``tests/support/component_cases.py``.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from tests.support.component_cases import CASES, REGISTRY, first_party
from tests.support.components import FACTORIES, FakeConfig, make_spec, new_world
from untrace_pipeline.api import (
    Code,
    ConnectorFactory,
    ConsumeError,
    ExporterFactory,
    Factory,
    Kind,
    PermanentError,
    QueueFullError,
    RetryableError,
    Settings,
    TransformFactory,
)
from untrace_pipeline.data import Batch, Signal
from untrace_pipeline.engine.bookkeeping import Bookkeeping
from untrace_pipeline.engine.build import Builder
from untrace_pipeline.engine.lifecycle import Deadline, start_all, stop_all
from untrace_pipeline.engine.wiring import Wiring
from untrace_pipeline.registry import Installed
from untrace_pipeline.telemetry.metrics import Metrics
from untrace_pipeline.testing import BlockingSink, make_batch

Refusal: TypeAlias = Callable[[], ConsumeError]
Lists: TypeAlias = tuple[list[str], list[str], list[str]]

ITEMS = 40
"""Enough that filters and samplers leave some."""
MIDDLE = [
    one
    for one in first_party()
    if one.kind in {Kind.PROCESSOR, Kind.CONNECTOR}
    and not getattr(REGISTRY.load(one.kind, one.type_name), "holds", False)
]
"""Not those that hold items: they accept before the exporters do, and have tests of their own of what that is worth."""
GOES_ON_WITHOUT_ITS_CALLER = {
    "batch": "what was merged belongs to several callers: one who leaves must not cancel the others' data",
}
"""Components whose ``next`` is not cancelled together with the caller, and why."""


class Gate(BlockingSink):
    """An exporter that waits until it is opened, then accepts or refuses."""

    def __init__(self, config: FakeConfig, settings: Settings) -> None:
        super().__init__()
        self.refusal: Refusal | None = None
        self.refused = 0

    async def start(self, host: object) -> None:
        """Nothing to open."""

    async def shutdown(self) -> None:
        """Nothing to close."""

    async def consume(self, batch: Batch) -> None:
        items = batch.item_count
        await super().consume(batch)
        if self.refusal is not None:
            self.batches.pop()
            self.refused += items
            raise self.refusal()


@dataclass
class Scene:
    """A running graph: a receiver, one component, and the exporters ``a`` and ``b`` behind each of its pipelines."""

    intake: Any
    a: Gate
    b: Gate
    metrics: Metrics
    signal: Signal

    async def consume(self) -> None:
        await self.intake.consume(make_batch(self.signal, ITEMS, resources=4))

    async def answers(self, a: Refusal | None, b: Refusal | None) -> None:
        """Open both exporters, refusing or not, and pass a batch in."""
        for gate, refusal in ((self.a, a), (self.b, b)):
            gate.refusal = refusal
            gate.release.set()
        async with asyncio.timeout(10):
            await self.consume()

    def dropped(self, component: str) -> float:
        labels = {"kind": "exporter", "component": component, "signal": self.signal, "reason": "queue_full"}
        return self.metrics.value("dropped_items", **labels)


def pipelines(
    one: Installed, factory: Factory[Any], signal: Signal
) -> dict[str, tuple[list[str], list[str], list[str]]]:
    """Return the pipelines of a scene, as ``make_spec`` takes them."""
    exporters = ["gate/a", "gate/b"]
    if one.kind is Kind.PROCESSOR:
        return {f"{signal}": (["fake/in"], [one.type_name], exporters)}
    assert isinstance(factory, ConnectorFactory)
    outputs = CASES[one.kind, one.type_name].outputs or tuple(f"{target}/out" for _, target in sorted(factory.pairs))
    reachable = [name for name in outputs if (signal, Signal(name.partition("/")[0])) in factory.pairs]
    entry: dict[str, Lists] = {f"{signal}/in": (["fake/in"], [], [one.type_name])}
    return entry | {name: ([one.type_name], [], exporters) for name in reachable}


@asynccontextmanager
async def scene(one: Installed, signal: Signal, directory: Path) -> AsyncIterator[Scene]:
    """Build and start the graph around a component."""
    world, metrics = new_world(), Metrics()
    factory = REGISTRY.load(one.kind, one.type_name)
    gate = ExporterFactory(type_name="gate", config=FakeConfig, description="For tests.", create=Gate)
    factories = {**FACTORIES, (one.kind, one.type_name): factory, (Kind.EXPORTER, "gate"): gate}
    with ExitStack() as stack:
        options = {f"{one.kind.singular} {one.type_name}": CASES[one.kind, one.type_name].config(directory, stack)}
        spec = make_spec(
            pipelines(one, factory, signal),
            options,
            connectors=[one.type_name] if one.kind is Kind.CONNECTOR else [],
            factories=factories,
        )
        graph = Builder(metrics, dict).build(spec)

        Wiring(graph, Bookkeeping(metrics)).apply(graph.units.values())
        await start_all(graph.units.values())
        gates = {str(unit.id.component): unit.component for unit in graph.units.values()}
        try:
            yield Scene(world.get("receiver fake/in").next, gates["gate/a"], gates["gate/b"], metrics, signal)
        finally:
            deadline = Deadline(1)
            await stop_all(list(graph.units.values()), {}, deadline)
            deadline.close()


def parameters() -> list[Any]:
    """Return every component with each signal that it carries."""
    found = []
    for one in MIDDLE:
        factory = REGISTRY.load(one.kind, one.type_name)
        signals = factory.signals
        if isinstance(factory, ConnectorFactory):
            # Where another signal is made of it, the batch itself ends there.
            signals = frozenset(source for source, target in factory.pairs if source is target)
        found += [pytest.param(one, signal, id=f"{one.type_name}-{signal}") for signal in sorted(signals)]
    return found


for_each_component = pytest.mark.parametrize(("one", "signal"), parameters())


async def until_held(scene: Scene, call: asyncio.Task[None]) -> None:
    """Wait until exporter ``b`` holds a part of the batch. Raises what the call raises."""
    arrived = asyncio.create_task(scene.b.wait_for_calls(1))
    await asyncio.wait({call, arrived}, return_when=asyncio.FIRST_COMPLETED, timeout=10)
    assert not call.done(), "accepted before an exporter had accepted"
    assert scene.b.waiting


@for_each_component
async def test_accepted_after_the_last_exporter(one: Installed, signal: Signal, tmp_path: Path) -> None:
    """One exporter has accepted long ago, the other has not: the receiver still waits."""
    async with scene(one, signal, tmp_path) as here:
        here.a.release.set()
        call = asyncio.create_task(here.consume())
        await until_held(here, call)
        assert here.a.item_count > 0
        here.b.release.set()
        async with asyncio.timeout(10):
            await call
        assert 0 < here.b.item_count == here.a.item_count <= ITEMS


def full() -> ConsumeError:
    return QueueFullError("full", retry_after=3.0)


def later() -> ConsumeError:
    return RetryableError("later", retry_after=7.0, code=Code.RESOURCE_EXHAUSTED)


def never() -> ConsumeError:
    return PermanentError("never", code=Code.INVALID_ARGUMENT)


@pytest.mark.parametrize(
    ("a", "b", "told"),
    [
        (later, later, ("RetryableError", "RESOURCE_EXHAUSTED", 7.0)),
        (never, never, ("PermanentError", "INVALID_ARGUMENT", None)),
        (full, full, ("QueueFullError", "UNAVAILABLE", 3.0)),
        (None, later, ("RetryableError", "RESOURCE_EXHAUSTED", 7.0)),
        (None, never, ("PermanentError", "INVALID_ARGUMENT", None)),
        (never, later, ("RetryableError", "RESOURCE_EXHAUSTED", 7.0)),
        (full, later, ("RetryableError", "RESOURCE_EXHAUSTED", 7.0)),
        (full, never, ("QueueFullError", "UNAVAILABLE", 3.0)),
    ],
    ids=lambda value: value.__name__ if callable(value) else "told" if value else "accepts",
)
@for_each_component
async def test_the_worst_refusal_is_told(
    one: Installed,
    signal: Signal,
    a: Refusal | None,
    b: Refusal,
    told: tuple[str, str, float | None],
    tmp_path: Path,
) -> None:
    """Retryable before permanent, with code and wait; nothing is counted as dropped that the client sends again."""
    async with scene(one, signal, tmp_path) as here:
        with pytest.raises(ConsumeError) as caught:
            await here.answers(a, b)
        error = caught.value
        assert (type(error).__name__, error.code.name, getattr(error, "retry_after", None)) == told
        assert here.dropped("gate/a") == here.dropped("gate/b") == 0


@for_each_component
async def test_a_full_queue_beside_one_that_accepts(one: Installed, signal: Signal, tmp_path: Path) -> None:
    """Accepted, and counted as dropped for that exporter, to the item (docs/decisions/0001-fan-out.md)."""
    async with scene(one, signal, tmp_path) as here:
        await here.answers(None, full)
        assert here.b.refused == here.a.item_count > 0
        assert here.dropped("gate/b") == here.b.refused
        assert here.metrics.value("dropped_items", reason="queue_full") == here.b.refused


@for_each_component
async def test_cancelled_is_not_accepted(one: Installed, signal: Signal, tmp_path: Path) -> None:
    """The caller is let go at once, what it had begun is cancelled, and the next batch finds everything in order."""
    async with scene(one, signal, tmp_path) as here:
        call = asyncio.create_task(here.consume())
        await until_held(here, call)
        call.cancel()
        await asyncio.wait({call}, timeout=10)
        assert call.cancelled()
        if one.type_name not in GOES_ON_WITHOUT_ITS_CALLER:
            assert here.a.waiting == here.b.waiting == 0
        assert here.metrics.value(f"receiver_accepted_{signal.item}") == 0
        await here.answers(None, None)
        assert here.metrics.value(f"receiver_accepted_{signal.item}") == ITEMS


def test_every_exception_is_a_component() -> None:
    """An exception that is no longer needed goes; transforms never need one, since they do not wait."""
    waiting = {
        one.type_name for one in MIDDLE if not isinstance(REGISTRY.load(one.kind, one.type_name), TransformFactory)
    }
    assert set(GOES_ON_WITHOUT_ITS_CALLER) <= waiting
