"""The ``tests:`` blocks of a configuration: what goes in, and what must come out. See docs/config-tests.md.

Items have one short form for input and expectation; in an expectation only what is written must hold, and ``null`` says
that an attribute must be absent.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, model_validator

from untrace_pipeline.api.config import ConfigModel, Duration
from untrace_pipeline.conditions import ConditionSource, compile_condition
from untrace_pipeline.data import Signal
from untrace_pipeline.errors import ConditionError

__all__ = ["ConfigTest", "EventItem", "Expectation", "InputSpec", "Item", "LogItem", "MetricItem", "SpanItem"]

Hex = Annotated[str, Field(pattern=r"^[0-9a-fA-F]*$")]


class Item(ConfigModel):
    """What spans, log records and data points have in common."""

    attributes: dict[str, Any] = {}
    """Attributes of the item; values are strings, numbers, booleans, lists and mappings."""
    resource: dict[str, Any] = {}
    """Attributes of the resource; neighbours with equal ones share it."""
    scope: str = ""
    """Name of the instrumentation scope."""


class EventItem(ConfigModel):
    """An event of a span."""

    name: str = ""
    """Name of the event."""
    attributes: dict[str, Any] = {}
    """Attributes of the event."""


class SpanItem(Item):
    """A span in short form."""

    name: str = "span"
    """Name of the span."""
    kind: Literal["unspecified", "internal", "server", "client", "producer", "consumer"] = "internal"
    """Kind of the span."""
    trace_id: Hex = ""
    """Hex; made up by number where it is left out."""
    span_id: Hex = ""
    """Hex; made up by number where it is left out."""
    parent_span_id: Hex = ""
    """Hex; empty for a root span."""
    trace_state: str = ""
    """W3C trace state."""
    status: Literal["unset", "ok", "error"] = "unset"
    """Status code."""
    status_message: str = ""
    """Status message."""
    duration: Duration = 1.0
    """Time from start to end."""
    events: list[EventItem] = []
    """Events, in order."""


class LogItem(Item):
    """A log record in short form."""

    body: Any = None
    """Body: any value."""
    severity_text: str = ""
    """Severity as text."""
    severity_number: int = Field(0, ge=0, le=24)
    """Severity as OpenTelemetry's number: 9 is INFO, 17 is ERROR."""
    event_name: str = ""
    """Name of the event, for log records that are events."""
    trace_id: Hex = ""
    """Hex."""
    span_id: Hex = ""
    """Hex."""


class MetricItem(Item):
    """A metric with one data point in short form; for other metrics use ``otlp``."""

    name: str = "metric"
    """Name of the metric."""
    unit: str = ""
    """Unit of the metric."""
    description: str = ""
    """Description of the metric."""
    type: Literal["gauge", "sum"] = "gauge"
    """Type of the metric; a sum is cumulative and monotonic."""
    value: float | int = 0
    """Value of the data point."""


class InputSpec(ConfigModel):
    """What goes in: exactly one of ``traces``, ``metrics``, ``logs``, ``otlp`` and ``file``."""

    traces: list[SpanItem] | None = None
    """Spans in short form."""
    metrics: list[MetricItem] | None = None
    """Metrics in short form."""
    logs: list[LogItem] | None = None
    """Log records in short form."""
    otlp: dict[str, Any] | None = None
    """An OTLP JSON request: ``{resourceSpans: […]}``."""
    file: str | None = None
    """Path of a file with one OTLP JSON request per line, relative to the working directory."""
    metadata: dict[str, str] = {}
    """Request headers as the receiver would pass them on with ``include_metadata``."""

    @model_validator(mode="after")
    def _one_form(self) -> InputSpec:
        given = [name for name in ("traces", "metrics", "logs", "otlp", "file") if getattr(self, name) is not None]
        if len(given) != 1:
            msg = "exactly one of traces, metrics, logs, otlp and file is needed"
            raise ValueError(msg)
        return self


def _compiles(source: ConditionSource) -> ConditionSource:
    """Check that a condition can be asked of items of some signal; which one arrives, only the run knows."""
    errors = []
    for signal in (Signal.TRACES, Signal.LOGS, Signal.METRICS):
        try:
            compile_condition(source, signal)
        except ConditionError as error:
            errors.append(error)
        else:
            return source
    raise errors[0]


class Expectation(ConfigModel):
    """What must have arrived at one exporter, or at the end of one pipeline."""

    item_count: int | None = Field(None, ge=0)
    """Number of items."""
    traces: list[SpanItem] | None = None
    """All spans, in order; of each only what is written must hold."""
    metrics: list[MetricItem] | None = None
    """All data points, in order; of each only what is written must hold."""
    logs: list[LogItem] | None = None
    """All log records, in order; of each only what is written must hold."""
    otlp: dict[str, Any] | None = None
    """Part of the OTLP JSON request: mappings may have more keys, lists must have the same length."""
    conditions: list[Annotated[ConditionSource, AfterValidator(_compiles)]] = []
    """Conditions, in the language of filter and routing; each must hold for every item."""


class ConfigTest(ConfigModel):
    """One test of a configuration: processors and connectors are real, exporters are replaced, nothing is sent."""

    name: str
    """Shown in the result."""
    pipeline: str | None = None
    """Id of the pipeline that the input enters; default: every pipeline of its signal that has a receiver."""
    input: list[InputSpec] | InputSpec
    """What goes in; several are sent one after the other."""
    output: dict[str, Expectation] = Field(min_length=1)
    """What must come out, by exporter id or pipeline id."""

    @property
    def inputs(self) -> list[InputSpec]:
        """The input as a list."""
        return self.input if isinstance(self.input, list) else [self.input]
