"""Factories: what an entry point names. One class per kind.

A factory is cheap to import: it knows the configuration class, and imports the component only when it creates one.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from untrace_pipeline.api.component import Connector, Exporter, Extension, Processor, Receiver, Settings, Transform
from untrace_pipeline.api.config import ComponentConfig
from untrace_pipeline.api.consumer import Consumer, Intake, Outlet
from untrace_pipeline.api.destination import About
from untrace_pipeline.api.identity import Kind, PipelineId
from untrace_pipeline.api.telemetry import MetricSpec
from untrace_pipeline.data.signal import Signal

__all__ = [
    "Affinity",
    "ConnectorFactory",
    "ExporterFactory",
    "ExtensionFactory",
    "Factory",
    "ProcessorFactory",
    "ReceiverFactory",
    "Stability",
    "TransformFactory",
    "passes_on",
]

C = TypeVar("C", bound=ComponentConfig)
ALL_SIGNALS = frozenset(Signal)


class Stability(enum.StrEnum):
    """How far users may rely on a component, in the Collector's words."""

    DEVELOPMENT = "development"
    ALPHA = "alpha"
    BETA = "beta"
    STABLE = "stable"


class Affinity(enum.StrEnum):
    """What must come together in one process, where several workers run the same pipeline."""

    TRACE_ID = "trace_id"
    """All spans and log records of a trace. Items without a trace id stay where they came in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Factory(Generic[C]):
    """What all factories have in common."""

    type_name: str
    """As written in YAML: ``otlp``."""
    config: type[C]
    """The configuration class; its docstrings are the documentation of the options."""
    description: str
    """One line for ``untrace-pipeline components``."""
    aliases: tuple[str, ...] = ()
    """Other spellings; each is an entry point of its own that names the same factory."""
    signals: frozenset[Signal] = ALL_SIGNALS
    """Signals that the component can carry. Not used for extensions."""
    stability: Stability = Stability.DEVELOPMENT
    extra: str | None = None
    """The extra of the distribution that brings its optional library, if it has one: ``kafka``."""
    metrics: tuple[MetricSpec, ...] = ()
    """Metrics of its own, besides those that every component of its kind has."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiverFactory(Factory[C]):
    """Makes receivers."""

    create: Callable[[C, Settings, Intake], Receiver]
    once: bool = False
    """Whether it runs in one worker only, because several would bring in the same data: it follows files, say."""
    kind = Kind.RECEIVER


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessorFactory(Factory[C]):
    """Makes processors: steps that wait, hold items back, or limit."""

    create: Callable[[C, Settings, Outlet], Processor]
    affinity: Affinity | None = None
    """What must reach the same worker; the engine then sends each item to the worker that it belongs to."""
    holds: bool = False
    """Whether it has accepted items before ``next`` has: it keeps them, and passes them on or drops them later. Such a
    processor counts its items in the ledger (``ledger_items``, ``processor_pending_items``)."""
    kind = Kind.PROCESSOR


@dataclass(frozen=True, slots=True, kw_only=True)
class TransformFactory(Factory[C]):
    """Makes transforms: pure steps, in the section ``processors``."""

    create: Callable[[C, Settings], Transform]
    drop_reason: str = "filtered"
    """What removed items count as: ``filtered``, ``sampled`` …"""
    kind = Kind.PROCESSOR


def passes_on(factory: Factory[Any]) -> bool:
    """Return whether a processor passes on what it gets, or drops it, before it accepts it, wherever it stands."""
    if isinstance(factory, ProcessorFactory):
        return not factory.holds and factory.affinity is None
    return isinstance(factory, TransformFactory)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExporterFactory(Factory[C]):
    """Makes exporters."""

    create: Callable[[C, Settings], Exporter]
    once: bool = False
    """Whether it runs in one worker only, because it has one page, or one connection, for all.

    The engine sends there what other workers have for it; its pipelines cannot have a processor with ``affinity``.
    """
    about: About | None = None
    """What there is to know of its destination, where it has one of its own."""
    kind = Kind.EXPORTER


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectorFactory(Factory[C]):
    """Makes connectors."""

    create: Callable[[C, Settings, Mapping[PipelineId, Consumer]], Connector]
    pairs: frozenset[tuple[Signal, Signal]] = frozenset((signal, signal) for signal in Signal)
    """Which signal can become which."""
    kind = Kind.CONNECTOR


@dataclass(frozen=True, slots=True, kw_only=True)
class ExtensionFactory(Factory[C]):
    """Makes extensions."""

    create: Callable[[C, Settings], Extension]
    per_service: bool = False
    """Whether one stands for all workers: it runs in their supervisor, whose ``host.statuses()`` tells of all.

    Extensions that it names run there too; components cannot name it.
    """
    kind = Kind.EXTENSION
