"""The conformance suite: what every component keeps, checked from outside. Built-in components pass the same.

::

    def test_conforms():
        check_component(FACTORY, {"endpoint": "localhost:0"})

What is checked, by kind:

* all: options are documented, unknown ones refused; creating does no I/O and starts no task; ``shutdown`` works without
  ``start`` and twice; no task survives it
* transforms: every signal, empty requests; the context survives; what others hold of the same data does not change
* processors: everything accepted arrives exactly once, under concurrency, and is accepted after ``next`` has; a refusal
  of ``next`` reaches the caller with its code and wait; a caller who is cancelled does not hang, nor does the component
  after it; ``shutdown`` lets go of what was held back. Those that hold items (``holds``): what they accepted arrives or
  is counted as dropped, and a refusal of ``next`` that may pass loses nothing
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
    ConnectorFactory,
    ExporterFactory,
    ExtensionFactory,
    Factory,
    Kind,
    ProcessorFactory,
    Receiver,
    ReceiverFactory,
    TransformFactory,
)
from untrace_pipeline.api.config import ComponentConfig
from untrace_pipeline.data import Batch
from untrace_pipeline.errors import ConsumeError, PermanentError
from untrace_pipeline.testing.generate import make_batch
from untrace_pipeline.testing.host import StubHost, make_settings
from untrace_pipeline.testing.passing import check_connector, check_processor, check_transform
from untrace_pipeline.testing.rules import ContractError, check_lifecycle, require, settle
from untrace_pipeline.testing.sinks import FailingSink, Sink

__all__ = ["ContractError", "Send", "check_component"]

Send = Callable[[Receiver, Batch], Awaitable[bool]]
"""Sends a batch to a running receiver as a client would; returns whether the receiver acknowledged it."""

_DEADLINE = 20.0


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
                check_transform(factory, checked, signal)
        case ProcessorFactory():
            asyncio.run(_bounded(check_processor(factory, checked, host)))
        case ConnectorFactory():
            asyncio.run(_bounded(check_connector(factory, checked, host, outputs)))
        case ExporterFactory():
            asyncio.run(_bounded(_check_exporter(factory, checked, host)))
        case ReceiverFactory():
            asyncio.run(_bounded(_check_receiver(factory, checked, host, send)))
        case ExtensionFactory():
            asyncio.run(_bounded(_check_extension(factory, checked, host)))
        case _:
            require(False, f"{factory!r} is a factory of no known kind")


async def _bounded(work: Awaitable[None]) -> None:
    async with asyncio.timeout(_DEADLINE):
        await work


# ------------------------------------------------------------------ all kinds


def _check_options(factory: Factory[Any], config: Mapping[str, Any]) -> ComponentConfig:
    require(bool(factory.description), "the factory describes the component in one line")
    require(issubclass(factory.config, ComponentConfig), "the configuration class derives from ComponentConfig")
    for path in _undocumented(factory.config, ""):
        require(False, f"option {path} has no docstring")
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


# ---------------------------------------------- exporters, receivers, services


async def _check_exporter(factory: ExporterFactory[Any], config: ComponentConfig, host: StubHost) -> None:
    def make() -> Any:
        return factory.create(config, make_settings(Kind.EXPORTER, factory.type_name, signals=factory.signals))

    await check_lifecycle(make, host)
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
        await settle(before)
    else:
        require(False, "consume() after shutdown() is refused")


async def _check_receiver(
    factory: ReceiverFactory[Any], config: ComponentConfig, host: StubHost, send: Send | None
) -> None:
    def make(next: Sink) -> Receiver:
        return factory.create(config, make_settings(Kind.RECEIVER, factory.type_name, signals=factory.signals), next)

    await check_lifecycle(lambda: make(Sink()), host)
    if send is None:
        return
    for signal in sorted(factory.signals):
        sink = Sink()
        require(await _sent(make(sink), send, make_batch(signal), host), "what next accepted is acknowledged")
        require(sink.item_count == make_batch(signal).item_count, f"{signal} arrive exactly once")
    refused = FailingSink(PermanentError("never"))
    require(not await _sent(make(refused), send, make_batch(), host), "what next refused is not acknowledged")


async def _sent(receiver: Receiver, send: Send, batch: Batch, host: StubHost) -> bool:
    await receiver.start(host)
    try:
        return await send(receiver, batch)
    finally:
        await receiver.shutdown()


async def _check_extension(factory: ExtensionFactory[Any], config: ComponentConfig, host: StubHost) -> None:
    settings = make_settings(Kind.EXTENSION, factory.type_name, signals=())
    await check_lifecycle(lambda: factory.create(config, settings), host)
