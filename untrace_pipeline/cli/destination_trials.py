"""``destinations check`` and ``send-test``: exporters made a second time, beside the daemon or without it, to ask."""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from untrace_pipeline import native
from untrace_pipeline.api.destination import About, ProbeResult, Probing
from untrace_pipeline.api.factory import ExporterFactory
from untrace_pipeline.api.identity import ComponentId, Kind
from untrace_pipeline.cli.environment import unreachable
from untrace_pipeline.cli.examples import example
from untrace_pipeline.cli.letters import UsageError, unknown
from untrace_pipeline.cli.tables import table
from untrace_pipeline.cli.targets import extensions_for
from untrace_pipeline.config.loader import load
from untrace_pipeline.config.model import ComponentSpec, LogLevel, LogsConfig, ServiceSpec
from untrace_pipeline.data import Signal
from untrace_pipeline.delivery import DeliveryConfig
from untrace_pipeline.engine.build import Builder
from untrace_pipeline.engine.graph import UnitId
from untrace_pipeline.engine.lifecycle import Deadline, start_all, stop_all
from untrace_pipeline.engine.unit import Blueprint, Unit
from untrace_pipeline.errors import ConsumeError, PluginError, StartError
from untrace_pipeline.telemetry.ledger import read_ledger
from untrace_pipeline.telemetry.logs import configure_logs
from untrace_pipeline.telemetry.metrics import Metrics

__all__ = ["check", "send_test"]

PROBE_SECONDS = 30.0
"""For all questions to one destination, and for making the exporter that asks."""
SHUTDOWN_SECONDS = 5.0


class _Trial:
    """One exporter with the extensions that it needs."""

    def __init__(self, spec: ServiceSpec, exporter: ComponentId) -> None:
        """Make it. Raises :class:`StartError` or :class:`PluginError`."""
        self.metrics = Metrics()
        builder = Builder(self.metrics, dict)
        own = spec.components[exporter]
        if isinstance(own.config, DeliveryConfig):
            own = replace(own, config=_once(own.config))
        self._units: list[Unit] = []
        for extension in extensions_for(spec, [own]):
            self._units.append(builder.make(_blueprint(spec.components[extension], frozenset())))
        extensions = {str(unit.id.component): unit.component for unit in self._units}
        self._unit = builder.make(_blueprint(own, _signals(spec, exporter) or own.factory.signals))
        self._units.append(self._unit)
        for unit in self._units:
            unit.host.extensions = extensions

    @property
    def component(self) -> Any:
        """The exporter."""
        return self._unit.component

    async def __aenter__(self) -> _Trial:
        await start_all(self._units)
        return self

    async def __aexit__(self, *_: object) -> None:
        deadline = Deadline(SHUTDOWN_SECONDS)
        await stop_all(list(self._units), {}, deadline)
        deadline.close()

    async def send(self, signal: Signal) -> None:
        """Send an example, and return when it was taken. Raises :class:`ConsumeError`."""
        assert self._unit.inlet is not None
        await self._unit.inlet.consume(example(signal))


def _blueprint(spec: ComponentSpec, signals: frozenset[Signal]) -> Blueprint:
    return Blueprint(UnitId(spec.id), spec, signals, frozenset())


def _once(config: DeliveryConfig) -> DeliveryConfig:
    """Return the options for one attempt, whose answer is what people want to see."""
    retry = config.retry_on_failure.model_copy(update={"enabled": False})
    return config.at_once().model_copy(update={"retry_on_failure": retry})


def _signals(spec: ServiceSpec, exporter: ComponentId) -> frozenset[Signal]:
    return frozenset(one.id.signal for one in spec.pipelines.values() if exporter in one.exporters)


def _load(arguments: argparse.Namespace) -> ServiceSpec:
    configure_logs(LogsConfig(level=LogLevel.ERROR))
    spec = load(arguments.config, arguments.set).spec
    native.configure({part: getattr(spec.runtime, part) for part in native.Part})
    return spec


# ---------------------------------------------------------------------- check


def check(arguments: argparse.Namespace) -> int:
    """Print what each destination answers; 1 if one would not take data."""
    spec = _load(arguments)
    exporters = dict.fromkeys(
        one for pipeline in spec.pipelines.values() for one in pipeline.exporters if one.kind is Kind.EXPORTER
    )
    results = asyncio.run(_ask_all(spec, list(exporters)))
    if arguments.json:
        shown = [{"exporter": str(one), **_as_json(result)} for one, found in results.items() for result in found]
        print(json.dumps(shown, indent=2, ensure_ascii=False))
    else:
        print(table([row for one, found in results.items() for row in _rows(spec.components[one], found)]))
    return 0 if all(result.ok for found in results.values() for result in found) else 1


def _as_json(result: ProbeResult) -> dict[str, Any]:
    """Return a result as JSON."""
    return {"what": result.what, "ok": result.ok, "message": result.message}


async def _ask_all(spec: ServiceSpec, exporters: Sequence[ComponentId]) -> Mapping[ComponentId, Sequence[ProbeResult]]:
    found = await asyncio.gather(*(_ask(spec, one) for one in exporters))
    return dict(zip(exporters, found, strict=True))


async def _ask(spec: ServiceSpec, exporter: ComponentId) -> Sequence[ProbeResult]:
    try:
        async with asyncio.timeout(PROBE_SECONDS):
            trial = _Trial(spec, exporter)
            if isinstance(trial.component, Probing):
                async with trial:
                    found = await trial.component.probe()
                if found:
                    return found
            answers = await asyncio.to_thread(unreachable, spec.components[exporter])
            return [ProbeResult("connection", answer is None, answer or "something answers") for answer in answers]
    except TimeoutError:
        return [ProbeResult("health", ok=False, message=f"no answer within {PROBE_SECONDS:.0f} s")]
    except (PluginError, StartError) as error:
        return [ProbeResult("start", ok=False, message=str(error))]


def _rows(component: ComponentSpec, found: Sequence[ProbeResult]) -> list[dict[str, str]]:
    about = _about(component)
    first = {"exporter": str(component.id), "destination": about.title if about else component.factory.type_name}
    if not found:
        return [{**first, "question": "-", "answer": "-", "detail": "it has nothing that can be asked"}]
    return [
        {
            **(first if number == 0 else dict.fromkeys(first, "")),
            "question": result.what,
            "answer": "ok" if result.ok else "FAILED",
            "detail": result.message,
        }
        for number, result in enumerate(found)
    ]


def _about(component: ComponentSpec) -> About | None:
    return component.factory.about if isinstance(component.factory, ExporterFactory) else None


# ------------------------------------------------------------------ send-test


@dataclass(slots=True)
class _Sent:
    """What came of an example."""

    exporter: str
    destination: str
    signal: str
    items: Mapping[str, int]
    said: list[str]
    look: str

    @property
    def ok(self) -> bool:
        """Whether the destination took all that it was to get."""
        return bool(self.items.get("delivered")) and not set(self.items) - {"delivered", "filtered"}


def send_test(arguments: argparse.Namespace) -> int:
    """Send an example, and print what came of it; 1 if the destination did not take it."""
    spec = _load(arguments)
    try:
        component, signal = _chosen(spec, arguments.name, arguments.signal)
    except UsageError as error:
        print(f"{arguments.parser.prog}: {error}", file=sys.stderr)
        return 2
    sent = asyncio.run(_send(spec, component, signal))
    if arguments.json:
        shown = {"exporter": sent.exporter, "destination": sent.destination, "signal": sent.signal, "ok": sent.ok}
        print(json.dumps({**shown, "items": sent.items, "said": sent.said, "look": sent.look}, ensure_ascii=False))
    else:
        _print(sent)
    return 0 if sent.ok else 1


def _chosen(spec: ServiceSpec, name: str, wanted: str | None) -> tuple[ComponentSpec, Signal]:
    there = {str(one): one for one in spec.components if one.kind is Kind.EXPORTER}
    if name not in there:
        raise UsageError(unknown("exporter", name, list(there)))
    component = spec.components[there[name]]
    signals = _signals(spec, component.id) or component.factory.signals
    usual = next(signal for signal in (Signal.TRACES, Signal.LOGS, Signal.METRICS) if signal in signals)
    signal = Signal(wanted) if wanted else usual
    if signal not in signals:
        raise UsageError(f"{name} gets no {signal} in this configuration: {', '.join(sorted(signals))}")
    return component, signal


async def _send(spec: ServiceSpec, component: ComponentSpec, signal: Signal) -> _Sent:
    said: list[str] = []
    handler = _Listening(said)
    logging.getLogger().addHandler(handler)
    about = _about(component)
    destination = about.title if about else component.factory.type_name
    items: dict[str, int] = {}
    try:
        trial = _Trial(spec, component.id)
        async with trial:
            try:
                await trial.send(signal)
            except ConsumeError as error:
                said.append(f"{error.code.name}: {error}")
        accounts = [one for one in read_ledger(trial.metrics.snapshot()) if one.component == str(component.id)]
        states = accounts[0].states if accounts else {}
        items = {state: count for state, count in states.items() if count and state != "accepted"}
        if said and not items:
            items = {"not_delivered": example(signal).item_count}
    except (PluginError, StartError) as error:
        said.append(str(error))
    finally:
        logging.getLogger().removeHandler(handler)
    look = about.look if about else ""
    return _Sent(str(component.id), destination, signal.value, items, list(dict.fromkeys(said)), look)


class _Listening(logging.Handler):
    """Collects what the exporter says of its destination."""

    def __init__(self, said: list[str]) -> None:
        super().__init__(logging.WARNING)
        self._said = said

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the message."""
        self._said.append(record.getMessage())


def _print(sent: _Sent) -> None:
    amounts = (
        ", ".join(f"{count} {state.replace('_', ' ')}" for state, count in sent.items.items()) or "nothing was sent"
    )
    print(f"{sent.exporter}: an example ({sent.signal}) {'arrived' if sent.ok else 'did not arrive'}: {amounts}")
    for line in sent.said:
        print(f"  {sent.destination} said: {line}")
    if sent.ok and sent.look:
        print(f"where to look: {sent.look}\nlook for the service untrace-example")
