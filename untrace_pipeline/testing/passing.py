"""The part of the conformance suite for what passes data on: transforms, processors and connectors."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from untrace_pipeline.api import (
    Component,
    ConnectorFactory,
    Consumer,
    Kind,
    Outlet,
    PipelineId,
    ProcessorFactory,
    TransformFactory,
)
from untrace_pipeline.api.config import ComponentConfig
from untrace_pipeline.data import Batch, Context, Signal
from untrace_pipeline.errors import Code, ConsumeError, PermanentError, RetryableError
from untrace_pipeline.testing.generate import make_batch
from untrace_pipeline.testing.host import StubHost, make_settings
from untrace_pipeline.testing.rules import check_lifecycle, require, settle
from untrace_pipeline.testing.sinks import BlockingSink, FailingSink, Sink

__all__ = ["check_connector", "check_processor", "check_transform"]

_REFUSALS: tuple[ConsumeError, ...] = (
    RetryableError("try again", retry_after=7.0, code=Code.RESOURCE_EXHAUSTED),
    PermanentError("never", code=Code.INVALID_ARGUMENT),
)


def check_transform(factory: TransformFactory[Any], config: ComponentConfig, signal: Signal) -> None:
    """Check one signal of a transform. Raises :class:`ContractError`."""
    transform = factory.create(config, make_settings(Kind.PROCESSOR, factory.type_name, signals=[signal]))
    context = Context(metadata={"x-tenant": ("acme",)})
    batch = make_batch(signal, 12, resources=3, context=context)
    twin, bytes_before = batch.copy(), batch.to_otlp()
    result = transform.process(batch)
    require(twin.to_otlp() == bytes_before, "a transform changes its own handle only")
    if result is not None:
        result.validate()
        require(result.signal is signal, "a transform keeps the signal")
        require(result.context == context, "a transform keeps the context")
        require(Batch(signal, result.to_otlp()).item_count == result.item_count, "item_count tells what is written")
    empty = transform.process(Batch(signal, b""))
    require(empty is None or empty.item_count == 0, "an empty request stays empty")


async def check_processor(factory: ProcessorFactory[Any], config: ComponentConfig, host: StubHost) -> None:
    """Check a processor. Raises :class:`ContractError`."""

    def make(next: Outlet, signal: Signal = Signal.TRACES) -> Component:
        settings = make_settings(Kind.PROCESSOR, factory.type_name, signals=[signal])
        return factory.create(config, settings, next)

    await check_lifecycle(lambda: make(Sink()), host)
    for signal in factory.signals:
        sink = Sink()
        if factory.holds:
            await _check_holding(make(sink, signal), sink, signal, host)
            retried = FailingSink([RetryableError("try again", retry_after=0.01)])
            await _check_holding(make(retried, signal), retried, signal, host)
        else:
            await _check_passing(make(sink, signal), [sink], signal, host)
    if factory.holds:
        return
    await _check_waiting(make, host)
    for error in _REFUSALS:
        await _check_refusal(make(FailingSink(error)), error, host)


async def check_connector(
    factory: ConnectorFactory[Any], config: ComponentConfig, host: StubHost, outputs: tuple[str, ...]
) -> None:
    """Check a connector, with the pipelines that its options name. Raises :class:`ContractError`."""
    names = outputs or tuple(f"{signal}/out" for _, signal in factory.pairs)
    pipelines = [PipelineId.parse(name) for name in names]

    def make(sinks: Mapping[PipelineId, Consumer], signal: Signal = Signal.TRACES) -> Component:
        settings = make_settings(Kind.CONNECTOR, factory.type_name, signals=[signal])
        return factory.create(config, settings, sinks)

    await check_lifecycle(lambda: make({p: Sink() for p in pipelines}), host)
    for source, target in sorted(factory.pairs):
        sinks = {p: Sink() for p in pipelines if p.signal is target}
        if sinks and source is target:
            await _check_passing(make(sinks, source), list(sinks.values()), source, host)
    traces = [p for p in pipelines if p.signal is Signal.TRACES]
    if not traces:
        return
    if (Signal.TRACES, Signal.TRACES) in factory.pairs:
        await _check_waiting(lambda sink: make(dict.fromkeys(traces, sink)), host)
    for error in _REFUSALS:
        await _check_refusal(make({p: FailingSink(error) for p in traces}), error, host)


async def _check_passing(component: Any, sinks: list[Sink], signal: Signal, host: StubHost) -> None:
    before = asyncio.all_tasks()
    await component.start(host)
    batches = [make_batch(signal, 5, seed=seed) for seed in range(20)]
    accepted = await asyncio.gather(*(component.consume(batch) for batch in batches), return_exceptions=True)
    failed = [error for error in accepted if error is not None]
    require(not failed, f"a healthy {signal} pipeline accepts: {failed[:1]}")
    arrived = [sink.item_count for sink in sinks]
    await component.shutdown()
    offered = 20 * 5
    require(arrived == [sink.item_count for sink in sinks], "accepted means passed on, not held back")
    require(max(arrived) <= offered, f"no output gets an item twice: {max(arrived)} of {offered} {signal.item}")
    if len(sinks) == 1:
        require(arrived == [offered], f"accepted {signal.item} arrive: {arrived[0]} of {offered}")
    await settle(before)


async def _check_holding(component: Any, sink: Sink, signal: Signal, host: StubHost) -> None:
    before = asyncio.all_tasks()
    await component.start(host)
    batches = [make_batch(signal, 5, seed=seed) for seed in range(20)]
    await asyncio.gather(*(component.consume(batch) for batch in batches))
    await component.shutdown()
    ended = sink.item_count + sum(sink.drops.values())
    require(ended == 20 * 5, f"accepted {signal.item} arrive or are counted as dropped: {ended} of 100")
    try:
        await component.consume(make_batch(signal))
    except ConsumeError:
        await settle(before)
    else:
        require(False, "consume() after shutdown() is refused")


async def _check_waiting(make: Callable[[BlockingSink], Any], host: StubHost) -> None:
    """Accepted only when ``next`` has; a caller who leaves meanwhile is let go, and the component works on."""
    before = asyncio.all_tasks()
    sink = BlockingSink()
    component = make(sink)
    await component.start(host)
    for calls, leaves in ((1, True), (2, False)):
        call = asyncio.create_task(component.consume(make_batch()))
        arrival = asyncio.create_task(sink.wait_for_calls(calls))
        await asyncio.wait({call, arrival}, return_when=asyncio.FIRST_COMPLETED)
        require(not call.done(), "a batch is accepted after next has accepted it, not before")
        if leaves:
            call.cancel()
            await asyncio.wait({call})
            require(call.cancelled(), "consume() ends when it is cancelled")
        else:
            sink.release.set()
            await call
    await component.shutdown()
    await settle(before)


async def _check_refusal(component: Any, error: ConsumeError, host: StubHost) -> None:
    await component.start(host)
    try:
        await component.consume(make_batch())
    except ConsumeError as refused:
        told, meant = (_told(one) for one in (refused, error))
        require(told == meant, f"{type(error).__name__} of next reaches the caller as it is: {told}, not {meant}")
    else:
        require(False, f"a refusal of next ({type(error).__name__}) reaches the caller")
    finally:
        await component.shutdown()


def _told(error: ConsumeError) -> tuple[str, str, float | None]:
    """Return what a client is told of a refusal."""
    if isinstance(error, RetryableError):
        return "retryable", error.code.name, error.retry_after
    return "permanent", error.code.name, None
