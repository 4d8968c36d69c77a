"""The conformance suite: what every component keeps, checked from outside. Built-in components pass the same.

::

    def test_conforms():
        check_component(FACTORY, {"endpoint": "localhost:0"})

What is checked, by kind:

* all: options are documented, unknown ones refused; creating does no I/O and starts no task; ``shutdown`` works without
  ``start`` and twice; no task survives it
* transforms: every signal, empty requests; the context survives; what others hold of the same data does not change
* processors: everything accepted arrives exactly once, under concurrency; a refusal of ``next`` reaches the caller;
  ``shutdown`` lets go of what was held back
* connectors: as processors, into the pipelines given as outputs
* exporters: every signal is accepted while running; ``consume`` after ``shutdown`` is refused, not swallowed
* receivers: with ``send``, what the sender is told matches what ``next`` did
* extensions: start and stop
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from pydantic import BaseModel, ValidationError

from untrace_pipeline.api import (
    Component,
    ConnectorFactory,
    Consumer,
    ExporterFactory,
    ExtensionFactory,
    Factory,
    Kind,
    PipelineId,
    ProcessorFactory,
    Receiver,
    ReceiverFactory,
    TransformFactory,
)
from untrace_pipeline.api.config import ComponentConfig
from untrace_pipeline.data import Batch, Context, Signal
from untrace_pipeline.errors import ConsumeError, PermanentError, RetryableError
from untrace_pipeline.testing.generate import make_batch
from untrace_pipeline.testing.host import StubHost, make_settings
from untrace_pipeline.testing.sinks import FailingSink, Sink

__all__ = ["ContractError", "Send", "check_component"]

Send = Callable[[Receiver, Batch], Awaitable[bool]]
"""Sends a batch to a running receiver as a client would; returns whether the receiver acknowledged it."""

_DEADLINE = 20.0


class ContractError(AssertionError):
    """A component breaks its contract; the message names the rule."""


def check_component(
    factory: Factory[Any],
    config: Mapping[str, Any],
    *,
    outputs: tuple[str, ...] = (),
    extensions: Mapping[str, Any] | None = None,
    send: Send | None = None,
) -> None:
    """Check a component against the contract of its kind, with the options as they would stand in YAML.

    ``outputs`` names the pipelines that a connector's options refer to (default: one per signal); ``extensions`` are
    what ``host.extension`` finds; ``send`` drives a receiver. Raises :class:`ContractError`.
    """
    checked = _check_options(factory, config)
    host = StubHost(extensions)
    match factory:
        case TransformFactory():
            for signal in factory.signals:
                _check_transform(factory, checked, signal)
        case ProcessorFactory():
            asyncio.run(_bounded(_check_processor(factory, checked, host)))
        case ConnectorFactory():
            asyncio.run(_bounded(_check_connector(factory, checked, host, outputs)))
        case ExporterFactory():
            asyncio.run(_bounded(_check_exporter(factory, checked, host)))
        case ReceiverFactory():
            asyncio.run(_bounded(_check_receiver(factory, checked, host, send)))
        case ExtensionFactory():
            asyncio.run(_bounded(_check_extension(factory, checked, host)))
        case _:
            _require(False, f"{factory!r} is a factory of no known kind")


async def _bounded(work: Awaitable[None]) -> None:
    async with asyncio.timeout(_DEADLINE):
        await work


def _require(holds: bool, rule: str) -> None:
    if not holds:
        raise ContractError(rule)


# ------------------------------------------------------------------ all kinds


def _check_options(factory: Factory[Any], config: Mapping[str, Any]) -> ComponentConfig:
    _require(bool(factory.description), "the factory describes the component in one line")
    _require(issubclass(factory.config, ComponentConfig), "the configuration class derives from ComponentConfig")
    for path in _undocumented(factory.config, ""):
        _require(False, f"option {path} has no docstring")
    checked: ComponentConfig = factory.config.model_validate(config)
    try:
        factory.config.model_validate({**config, "no_such_option_": 1})
    except ValidationError:
        return checked
    msg = "an unknown option is refused"
    raise ContractError(msg)


def _undocumented(model: type[BaseModel], prefix: str) -> list[str]:
    found = []
    for name, field in model.model_fields.items():
        if not field.description:
            found.append(prefix + name)
        annotation = field.annotation
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            found += _undocumented(annotation, f"{prefix}{name}.")
    return found


def _create(make: Callable[[], Any]) -> Any:
    before = asyncio.all_tasks()
    made = make()
    _require(asyncio.all_tasks() == before, "creating starts no task; start() does")
    return made


async def _check_lifecycle(make: Callable[[], Component], host: StubHost) -> None:
    unstarted = _create(make)
    await unstarted.shutdown()
    before = asyncio.all_tasks()
    component = make()
    await component.start(host)
    await component.shutdown()
    await component.shutdown()
    await _settle(before)


async def _settle(before: set[asyncio.Task[Any]]) -> None:
    """Give cancelled tasks one turn to end, then look for survivors."""
    await asyncio.sleep(0)
    left = [task.get_name() for task in asyncio.all_tasks() - before if not task.done()]
    _require(not left, f"no task survives shutdown(): {', '.join(left)}")


# ----------------------------------------------------------------- transforms


def _check_transform(factory: TransformFactory[Any], config: ComponentConfig, signal: Signal) -> None:
    transform = factory.create(config, make_settings(Kind.PROCESSOR, factory.type_name, signals=[signal]))
    context = Context(metadata={"x-tenant": ("acme",)})
    batch = make_batch(signal, 12, resources=3, context=context)
    twin, bytes_before = batch.copy(), batch.to_otlp()
    result = transform.process(batch)
    _require(twin.to_otlp() == bytes_before, "a transform changes its own handle only")
    if result is not None:
        result.validate()
        _require(result.signal is signal, "a transform keeps the signal")
        _require(result.context == context, "a transform keeps the context")
        _require(Batch(signal, result.to_otlp()).item_count == result.item_count, "item_count tells what is written")
    empty = transform.process(Batch(signal, b""))
    _require(empty is None or empty.item_count == 0, "an empty request stays empty")


# ----------------------------------------------------- processors, connectors


async def _check_processor(factory: ProcessorFactory[Any], config: ComponentConfig, host: StubHost) -> None:
    def make(next: Consumer, signal: Signal = Signal.TRACES) -> Component:
        settings = make_settings(Kind.PROCESSOR, factory.type_name, signals=[signal])
        return factory.create(config, settings, next)

    await _check_lifecycle(lambda: make(Sink()), host)
    for signal in factory.signals:
        sink = Sink()
        await _check_passing(make(sink, signal), [sink], signal, host)
    for error in (RetryableError("try again"), PermanentError("never")):
        await _check_refusal(make(FailingSink(error)), error, host)


async def _check_connector(
    factory: ConnectorFactory[Any], config: ComponentConfig, host: StubHost, outputs: tuple[str, ...]
) -> None:
    names = outputs or tuple(f"{signal}/out" for _, signal in factory.pairs)
    pipelines = [PipelineId.parse(name) for name in names]

    def make(sinks: Mapping[PipelineId, Consumer], signal: Signal = Signal.TRACES) -> Component:
        settings = make_settings(Kind.CONNECTOR, factory.type_name, signals=[signal])
        return factory.create(config, settings, sinks)

    await _check_lifecycle(lambda: make({p: Sink() for p in pipelines}), host)
    for source, target in sorted(factory.pairs):
        sinks = {p: Sink() for p in pipelines if p.signal is target}
        if sinks and source is target:
            await _check_passing(make(sinks, source), list(sinks.values()), source, host)
    for error in (RetryableError("try again"), PermanentError("never")):
        failing: dict[PipelineId, Consumer] = {p: FailingSink(error) for p in pipelines if p.signal is Signal.TRACES}
        if failing:
            await _check_refusal(make(failing), error, host)


async def _check_passing(component: Any, sinks: list[Sink], signal: Signal, host: StubHost) -> None:
    before = asyncio.all_tasks()
    await component.start(host)
    batches = [make_batch(signal, 5, seed=seed) for seed in range(20)]
    accepted = await asyncio.gather(*(component.consume(batch) for batch in batches), return_exceptions=True)
    failed = [error for error in accepted if error is not None]
    _require(not failed, f"a healthy {signal} pipeline accepts: {failed[:1]}")
    arrived = [sink.item_count for sink in sinks]
    await component.shutdown()
    offered = 20 * 5
    _require(arrived == [sink.item_count for sink in sinks], "accepted means passed on, not held back")
    _require(max(arrived) <= offered, f"no output gets an item twice: {max(arrived)} of {offered} {signal.item}")
    if len(sinks) == 1:
        _require(arrived == [offered], f"accepted {signal.item} arrive: {arrived[0]} of {offered}")
    await _settle(before)


async def _check_refusal(component: Any, error: ConsumeError, host: StubHost) -> None:
    await component.start(host)
    try:
        await component.consume(make_batch())
    except ConsumeError as refused:
        retryable = isinstance(refused, RetryableError)
        _require(retryable is isinstance(error, RetryableError), f"{type(error).__name__} of next reaches the caller")
    else:
        _require(False, f"a refusal of next ({type(error).__name__}) reaches the caller")
    finally:
        await component.shutdown()


# ---------------------------------------------- exporters, receivers, services


async def _check_exporter(factory: ExporterFactory[Any], config: ComponentConfig, host: StubHost) -> None:
    def make() -> Any:
        return factory.create(config, make_settings(Kind.EXPORTER, factory.type_name, signals=factory.signals))

    await _check_lifecycle(make, host)
    before = asyncio.all_tasks()
    exporter = make()
    await exporter.start(host)
    for signal in sorted(factory.signals):
        await asyncio.gather(*(exporter.consume(make_batch(signal, 5, seed=seed)) for seed in range(5)))
    await exporter.consume(Batch(sorted(factory.signals)[0], b""))
    await exporter.shutdown()
    try:
        await exporter.consume(make_batch(sorted(factory.signals)[0]))
    except ConsumeError:
        await _settle(before)
    else:
        _require(False, "consume() after shutdown() is refused")


async def _check_receiver(
    factory: ReceiverFactory[Any], config: ComponentConfig, host: StubHost, send: Send | None
) -> None:
    def make(next: Sink) -> Receiver:
        return factory.create(config, make_settings(Kind.RECEIVER, factory.type_name, signals=factory.signals), next)

    await _check_lifecycle(lambda: make(Sink()), host)
    if send is None:
        return
    for signal in sorted(factory.signals):
        sink = Sink()
        _require(await _sent(make(sink), send, make_batch(signal), host), "what next accepted is acknowledged")
        _require(sink.item_count == make_batch(signal).item_count, f"{signal} arrive exactly once")
    refused = FailingSink(PermanentError("never"))
    _require(not await _sent(make(refused), send, make_batch(), host), "what next refused is not acknowledged")


async def _sent(receiver: Receiver, send: Send, batch: Batch, host: StubHost) -> bool:
    await receiver.start(host)
    try:
        return await send(receiver, batch)
    finally:
        await receiver.shutdown()


async def _check_extension(factory: ExtensionFactory[Any], config: ComponentConfig, host: StubHost) -> None:
    settings = make_settings(Kind.EXTENSION, factory.type_name, signals=())
    await _check_lifecycle(lambda: factory.create(config, settings), host)
