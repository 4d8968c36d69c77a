"""Destinations that can be asked what they have."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from types import TracebackType
from typing import Any, Self

from tests.support.destinations.fields import GENAI
from tests.support.llm_calls import SpanView
from tests.support.proofs.traffic import Traffic
from untrace_pipeline.data import Batch, Field, Level, Signal

__all__ = [
    "AS_IS",
    "TOTALS",
    "LogPlace",
    "MetricPlace",
    "Place",
    "SpanPlace",
    "Stored",
    "StoredLog",
    "stored",
]

Stored = tuple[str, SpanView]
"""The id of a span in hex, and what a destination has of it."""

StoredLog = tuple[str, str]
"""The trace id of a log record in hex, and its body, or where that is empty its messages, as text."""

TOTALS = ("requests", "errors", "input", "output", "cost")
"""Of LLM calls: how many there are and failed, their tokens, and what they cost."""

AS_IS: Mapping[str, str] = {**GENAI, "session": r"session\.id"}
"""Where the fields of a call are in the canonical form."""

_FIELDS = [Field(Level.ITEM, name) for name in ("span_id", "name", "attributes", "status.code")]


def stored(batch: Batch, failed: int = 2) -> Iterator[Stored]:
    """Yield the spans of a batch, one that is there twice twice; `failed` is the status of those."""
    columns: Any = batch.columns(_FIELDS)
    for span_id, name, attributes, status in zip(*columns, strict=True):
        yield span_id.hex(), SpanView(name, attributes or {}, status == failed)


class Place(ABC):
    """A destination, from `with` until its end."""

    name: str
    """Of its row."""
    signal: Signal
    """What it gets: metrics are those of LLM calls."""
    exporter: str = ""
    """Type of the exporter, where it is not the name."""
    exports: str
    """Pattern of the paths that get data."""
    delivers: bool = True
    """Whether the daemon sends to it; otherwise it comes for what it gets."""

    @property
    @abstractmethod
    def peer(self) -> str:
        """What is asked: a program and its version, or `contract`."""

    @property
    @abstractmethod
    def url(self) -> str:
        """Where the server takes HTTP, without a slash at the end; empty where it takes none."""

    @abstractmethod
    def options(self, url: str) -> dict[str, Any]:
        """Return the options of the exporter that sends to `url`, which passes on to `self.url`."""

    def __enter__(self) -> Self:
        return self

    @abstractmethod
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class SpanPlace(Place):
    """A destination of traces."""

    signal = Signal.TRACES
    exports = r"/v1/traces$"
    reads: Mapping[str, str] = AS_IS
    """Attributes by field."""
    splits: bool = True
    """Whether the destination may say that a request is too large."""

    @abstractmethod
    def read(self) -> list[Stored]:
        """Return all spans that it has."""

    def misread(self, traffic: Traffic) -> list[str]:
        """Return what the destination itself makes of the traffic, sums of tokens and costs, and makes wrong."""
        return []

    def takes(self, span: SpanView) -> bool:
        """Return whether the destination has a use for a span."""
        return True


class LogPlace(Place):
    """A destination of log records."""

    signal = Signal.LOGS
    exports = r"/v1/logs$"

    @abstractmethod
    def read(self) -> list[StoredLog]:
        """Return all log records that it has."""


class MetricPlace(Place):
    """A destination of metrics."""

    signal = Signal.METRICS
    exports = r"/v1/metrics$"

    @abstractmethod
    def read(self) -> Mapping[str, float]:
        """Return the sums over all series of the `TOTALS` that it has."""
