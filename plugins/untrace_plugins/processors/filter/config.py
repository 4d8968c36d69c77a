"""Options of the filter processor."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, WrapValidator, model_validator

from untrace_pipeline.api import ComponentConfig, ConfigModel
from untrace_pipeline.conditions import (
    ConditionSource,
    ErrorMode,
    MatchProperties,
    checked,
    compile_condition,
    group_level,
)
from untrace_pipeline.conditions.properties import AttributeProperties, MatchType, SeverityProperties
from untrace_pipeline.data import Level, Signal
from untrace_pipeline.errors import ConditionError
from untrace_plugins.processors.grouping import checked_groups, grouped

__all__ = ["ConditionGroup", "FilterConfig"]


class TraceFilters(ConfigModel):
    """Conditions by level; inside each list any condition drops."""

    resource: list[checked(Signal.TRACES, Level.RESOURCE)] = []  # type: ignore[valid-type]
    """Drops resources with all their spans."""
    span: list[checked(Signal.TRACES, Level.ITEM)] = []  # type: ignore[valid-type]
    """Drops spans."""
    spanevent: list[checked(Signal.TRACES, Level.EVENT)] = []  # type: ignore[valid-type]
    """Drops events of spans; the spans stay, even without events."""


class LogProperties(ConfigModel):
    """Log records by their properties, the older way."""

    match_type: MatchType = MatchType.STRICT
    """``strict`` or ``regexp``, for every text below."""
    resource_attributes: list[AttributeProperties] = []
    """Resource attributes that must all be there."""
    record_attributes: list[AttributeProperties] = []
    """Attributes of the record that must all be there."""
    severity_texts: list[str] = []
    """Severity texts."""
    severity_number: LogSeverity | None = None
    """Lowest severity."""
    bodies: list[str] = []
    """Bodies, as text."""

    def properties(self) -> MatchProperties:
        """Return the same in the form that all signals share."""
        severity = self.severity_number
        given: dict[str, Any] = {
            "resources": self.resource_attributes,
            "attributes": self.record_attributes,
            "log_severity_texts": self.severity_texts,
            "log_bodies": self.bodies,
            "log_severity_number": severity
            and SeverityProperties(min=severity.number, match_undefined=severity.match_undefined),
        }
        return MatchProperties(match_type=self.match_type, **{name: value for name, value in given.items() if value})


_SEVERITIES = ("TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL")
_SEVERITY_NUMBERS = {
    f"{name}{step or ''}": 1 + 4 * place + max(step - 1, 0)
    for place, name in enumerate(_SEVERITIES)
    for step in (0, 2, 3, 4)
} | {str(number): number for number in range(1, 25)}


class LogSeverity(ConfigModel):
    """A range of severities by name."""

    min: str = ""
    """The lowest severity that matches: ``INFO``, ``warn2``, ``17`` …"""
    match_undefined: bool = False
    """Whether records without a severity match."""

    @model_validator(mode="after")
    def _known(self) -> LogSeverity:
        if self.min and self.min.upper() not in _SEVERITY_NUMBERS:
            msg = f"{self.min!r} is no severity; they are {', '.join(_SEVERITIES)}, each also with 2, 3 or 4"
            raise ValueError(msg)
        return self

    @property
    def number(self) -> int:
        """The number of ``min``; 0 if there is none."""
        return _SEVERITY_NUMBERS.get(self.min.upper(), 0)


class LogFilters(ConfigModel):
    """Conditions by level; inside each list any condition drops."""

    resource: list[checked(Signal.LOGS, Level.RESOURCE)] = []  # type: ignore[valid-type]
    """Drops resources with all their records."""
    log_record: list[checked(Signal.LOGS, Level.ITEM)] = []  # type: ignore[valid-type]
    """Drops log records."""
    include: LogProperties | None = None
    """The older way: only records that match are kept."""
    exclude: LogProperties | None = None
    """The older way: records that match are dropped."""


class MetricProperties(ConfigModel):
    """Metrics by their properties, the older way."""

    match_type: MatchType
    """``strict`` or ``regexp``, for every text below."""
    metric_names: list[str] = []
    """Names of metrics."""
    resource_attributes: list[AttributeProperties] = []
    """Resource attributes that must all be there."""

    def properties(self) -> MatchProperties:
        """Return the same in the form that all signals share."""
        given = {"metric_names": self.metric_names, "resources": self.resource_attributes}
        return MatchProperties(
            match_type=self.match_type,
            **{name: value for name, value in given.items() if value},
        )


class MetricFilters(ConfigModel):
    """Conditions by level; inside each list any condition drops."""

    resource: list[checked(Signal.METRICS, Level.RESOURCE)] = []  # type: ignore[valid-type]
    """Drops resources with all their metrics."""
    metric: list[checked(Signal.METRICS, Level.METRIC)] = []  # type: ignore[valid-type]
    """Drops metrics with all their points."""
    datapoint: list[checked(Signal.METRICS, Level.ITEM)] = []  # type: ignore[valid-type]
    """Drops data points; metrics left without any vanish."""
    include: MetricProperties | None = None
    """The older way: only metrics that match are kept."""
    exclude: MetricProperties | None = None
    """The older way: metrics that match are dropped."""


class SpanProperties(ConfigModel):
    """Spans by their properties, the older way."""

    include: MatchProperties | None = None
    """Only spans that match are kept."""
    exclude: MatchProperties | None = None
    """Spans that match are dropped."""


class ConditionGroup(ConfigModel):
    """Conditions over one context; any of them drops."""

    context: str = ""
    """``resource``, ``scope``, ``span``, ``spanevent``, ``metric``, ``datapoint`` or ``log``; without it, the innermost
    context that the paths of the group name."""
    conditions: list[ConditionSource] = Field(min_length=1)
    """OTTL strings, or conditions of our own form."""
    error_mode: ErrorMode | None = None
    """Overrides the processor's ``error_mode`` for this group."""


def _compile(group: ConditionGroup, conditions: Sequence[ConditionSource], signal: Signal) -> None:
    level = group_level(conditions, group.context, signal)
    for condition in conditions:
        compile_condition(condition, signal, level)


def _mistakes(group: ConditionGroup, signal: Signal) -> dict[int | None, ValueError]:
    """Return what is wrong, by the place of the condition; at ``None`` what is with none of them alone."""
    try:
        _compile(group, group.conditions, signal)
    except ConditionError as error:
        whole = error
    else:
        return {}
    found: dict[int | None, ValueError] = {}
    for place, condition in enumerate(group.conditions):
        try:
            _compile(group, [condition], signal)
        except ConditionError as error:
            found[place] = error
    return found or {None: whole}


def _groups(signal: Signal) -> Any:
    """Return the type of a flat list of conditions on a signal; they are compiled when they are checked."""
    written = list[ConditionGroup | ConditionSource]
    return Annotated[
        list[ConditionGroup],
        BeforeValidator(grouped("conditions"), json_schema_input_type=written),
        WrapValidator(
            checked_groups("conditions", lambda group: _mistakes(group, signal)), json_schema_input_type=written
        ),
    ]


class FilterConfig(ComponentConfig):
    """Drops items that satisfy a condition. Per signal, either the flat lists or the lists by level."""

    error_mode: ErrorMode = ErrorMode.IGNORE
    """Where a condition has no answer for an item: ``ignore`` passes it over and logs, ``silent`` does not log,
    ``propagate`` refuses the whole request permanently."""
    trace_conditions: _groups(Signal.TRACES) = []  # type: ignore[valid-type]
    """Conditions that drop spans, events, scopes or resources; paths name their context: ``span.name == "health"``."""
    metric_conditions: _groups(Signal.METRICS) = []  # type: ignore[valid-type]
    """Conditions that drop metrics, data points, scopes or resources: ``metric.name == "up"``."""
    log_conditions: _groups(Signal.LOGS) = []  # type: ignore[valid-type]
    """Conditions that drop log records, scopes or resources: ``log.severity_number < SEVERITY_NUMBER_WARN``."""
    traces: TraceFilters = TraceFilters()
    """Conditions on traces by level."""
    metrics: MetricFilters = MetricFilters()
    """Conditions on metrics by level."""
    logs: LogFilters = LogFilters()
    """Conditions on logs by level."""
    spans: SpanProperties = SpanProperties()
    """The older way to filter spans, by properties."""

    @model_validator(mode="after")
    def _one_way_per_signal(self) -> FilterConfig:
        for name, groups, others in (
            ("trace", self.trace_conditions, [self.traces, self.spans]),
            ("metric", self.metric_conditions, [self.metrics]),
            ("log", self.log_conditions, [self.logs]),
        ):
            if groups and any(other.model_fields_set for other in others):
                msg = f"{name}_conditions replaces the lists by level: use one of them"
                raise ValueError(msg)
        return self

    def groups(self) -> dict[Signal, list[ConditionGroup]]:
        """Return the flat lists by signal."""
        return {
            Signal.TRACES: self.trace_conditions,
            Signal.METRICS: self.metric_conditions,
            Signal.LOGS: self.log_conditions,
        }
