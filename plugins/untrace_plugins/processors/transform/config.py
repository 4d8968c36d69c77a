"""Options of the transform processor."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, Field, WrapValidator, model_validator

from untrace_pipeline.api import ComponentConfig, ConfigModel
from untrace_pipeline.conditions import ConditionSource, ErrorMode, compile_condition, compile_form
from untrace_pipeline.data import Signal
from untrace_pipeline.errors import ConditionError
from untrace_pipeline.statements import StatementSequence, compile_sequence, statement_level
from untrace_plugins.processors.grouping import checked_groups, grouped
from untrace_plugins.processors.mistakes import Mistake, at_their_places
from untrace_plugins.processors.transform.operations import OperationConfig

__all__ = ["StatementGroup", "TransformConfig"]


class StatementGroup(ConfigModel):
    """Statements over one context, run in order on each of its rows."""

    context: str = ""
    """``resource``, ``scope``, ``span``, ``spanevent``, ``metric``, ``datapoint`` or ``log``; without it, the innermost
    context that the paths of the group name."""
    conditions: list[ConditionSource] = []
    """The statements run on what satisfies one of these: OTTL strings, or conditions of our own form."""
    statements: list[str] = Field(min_length=1)
    """OTTL: ``set(span.attributes["tier"], "gold") where resource.attributes["team"] == "a"``."""
    error_mode: ErrorMode | None = None
    """Overrides the processor's ``error_mode`` for this group."""

    def compile(self, signal: Signal) -> StatementSequence:
        """Return the statements for a signal. Raises :class:`ConditionError`."""
        texts = [one for one in self.conditions if isinstance(one, str)]
        level = statement_level(self.statements, texts, self.context, signal)
        conditions = [compile_form(one, signal, level) for one in self.conditions]
        return compile_sequence(self.statements, conditions, signal, level)

    def mistakes(self, signal: Signal) -> dict[int | None, ValueError]:
        """Return what is wrong, by the place of the statement; at ``None`` what is with none of them alone."""
        try:
            self.compile(signal)
        except ConditionError as error:
            whole = error
        else:
            return {}
        found: dict[int | None, ValueError] = {}
        for place, statement in enumerate(self.statements):
            try:
                compile_sequence([statement], [], signal, statement_level([statement], [], self.context, signal))
            except ConditionError as error:
                found[place] = error
        return found or {None: whole}


def _groups(signal: Signal) -> Any:
    """Return the type of a list of statements on a signal; they are compiled when they are checked."""
    written = list[StatementGroup | str]

    def mistakes(group: StatementGroup) -> dict[int | None, ValueError]:
        return group.mistakes(signal)

    return Annotated[
        list[StatementGroup],
        BeforeValidator(grouped("statements"), json_schema_input_type=written),
        WrapValidator(checked_groups("statements", mistakes), json_schema_input_type=written),
    ]


def _check(operation: OperationConfig, place: int) -> None:
    """Compile an operation: for the signals that it names, or for one at least. Raises :class:`ConditionError`."""
    from untrace_plugins.processors.transform.edits import compile_operation  # noqa: PLC0415  where there is one

    if operation.function is not None:
        if operation.where is not None and operation.signals:
            for signal in operation.signals:
                compile_condition(operation.where, signal)
        return
    errors: list[ConditionError] = []
    for signal in operation.signals or Signal:
        try:
            compile_operation(operation, place, signal)
        except ConditionError as error:
            errors.append(error)
    if errors and (operation.signals or len(errors) == len(Signal)):
        raise errors[0]


class TransformConfig(ComponentConfig):
    """Changes telemetry by statements and operations."""

    error_mode: ErrorMode = ErrorMode.IGNORE
    """Where a statement has no answer for an item: ``ignore`` leaves it alone and logs, ``silent`` does not log,
    ``propagate`` refuses the whole request permanently."""
    trace_statements: _groups(Signal.TRACES) = []  # type: ignore[valid-type]
    """Statements on spans, their events, scopes and resources; paths name their context: ``set(span.name, "x")``."""
    metric_statements: _groups(Signal.METRICS) = []  # type: ignore[valid-type]
    """Statements on metrics, data points, scopes and resources."""
    log_statements: _groups(Signal.LOGS) = []  # type: ignore[valid-type]
    """Statements on log records, scopes and resources."""

    operations: list[OperationConfig] = []
    """Edits without OTTL, run in order after the statements: ``set``, ``copy``, ``rename``, ``delete``, ``keep``,
    ``truncate``, ``hash``, ``template``, ``parse_json``, ``map``, ``lookup``, ``function``."""

    @model_validator(mode="after")
    def _operations_compile(self) -> TransformConfig:
        mistakes: list[Mistake] = []
        for place, operation in enumerate(self.operations):
            try:
                _check(operation, place)
            except ValueError as error:
                mistakes.append((("operations", place), error))
        if mistakes:
            raise at_their_places(mistakes)
        return self

    def groups(self, signal: Signal) -> list[StatementGroup]:
        """Return the statements on a signal."""
        by_signal: dict[Signal, list[StatementGroup]] = {
            Signal.TRACES: self.trace_statements,
            Signal.METRICS: self.metric_statements,
            Signal.LOGS: self.log_statements,
        }
        return by_signal[signal]
