"""Between batches and custom functions: items as dictionaries, and their changes back into columns."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from untrace_pipeline.api import Settings
from untrace_pipeline.conditions import compile_condition
from untrace_pipeline.data import ATTRIBUTES, Batch, Field, Level, Signal, Value
from untrace_pipeline.errors import EvaluationError
from untrace_pipeline.statements import Trouble, locate_target
from untrace_pipeline.statements.storable import storable
from untrace_plugins.processors.transform.functions import CallFailed, FunctionProcess
from untrace_plugins.processors.transform.operations import FunctionConfig, OperationConfig

__all__ = ["FunctionStage"]

_WRITTEN: Mapping[Signal, tuple[str, ...]] = {
    Signal.TRACES: ("name", "kind", "status.code", "status.message", "trace_state"),
    Signal.LOGS: ("body", "severity_number", "severity_text", "event_name"),
    Signal.METRICS: ("value",),
}
"""Fixed fields that an item shows and a function may change."""
_SHOWN: Mapping[Signal, tuple[str, ...]] = {
    Signal.TRACES: ("trace_id", "span_id", "parent_span_id", "start_time_unix_nano", "end_time_unix_nano"),
    Signal.LOGS: ("trace_id", "span_id", "time_unix_nano", "observed_time_unix_nano"),
    Signal.METRICS: ("start_time_unix_nano", "time_unix_nano"),
}
"""Fixed fields that an item only shows; ids in hexadecimal."""


class FunctionStage:
    """One function of a processor: what it is called with, and what is taken over of its answer."""

    def __init__(self, operation: OperationConfig, options: FunctionConfig, signal: Signal, settings: Settings) -> None:
        self.text = f"function {options.call}"
        self.process = FunctionProcess(options)
        self._options = options
        self._signal = signal
        self._where = None if operation.where is None else compile_condition(operation.where, signal)
        self._meter = settings.meter

    async def run(self, batch: Batch) -> list[tuple[str, Trouble]]:
        """Call the function and change the batch. Returns what went wrong; items without an answer stay as they are."""
        rows: Sequence[int] = range(batch.item_count)
        if self._where is not None:
            rows = [row for row, meant in enumerate(self._where.mask(batch)) if meant]
        if not rows:
            return []
        trouble = Trouble()
        try:
            changes, errors = await self.process.call(self._items(batch, rows))
        except CallFailed as error:
            self._count(error.outcome)
            return [(self.text, Trouble(len(rows), str(error)))]
        self._count("raised" if errors else "success")
        for text in errors:
            trouble.add(EvaluationError(str(text)))
        self._take(batch, rows, changes, trouble)
        return [(self.text, trouble)] if trouble.rows else []

    def _count(self, outcome: str) -> None:
        self._meter.counter("processor_transform_function_calls", outcome=outcome).add(1)

    def _items(self, batch: Batch, rows: Sequence[int]) -> list[dict[str, Any]]:
        """Return the items as dictionaries: ``attributes``, ``resource`` and the fixed fields by their names."""
        names = _WRITTEN[self._signal] + _SHOWN[self._signal]
        fixed = batch.columns([Field(Level.ITEM, name) for name in names], Level.ITEM, rows)
        columns = {name: _shown(name, column) for name, column in zip(names, fixed, strict=True)}
        columns[ATTRIBUTES] = self._attributes(batch, rows)
        columns["resource"] = batch.columns([Field(Level.RESOURCE, ATTRIBUTES)], Level.ITEM, rows)[0]
        if self._signal is Signal.METRICS:
            columns["metric"] = batch.columns([Field(Level.METRIC, "name")], Level.ITEM, rows)[0]
        return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]

    def _attributes(self, batch: Batch, rows: Sequence[int]) -> list[Any]:
        keys = self._options.attributes
        if keys is None:
            return [found or {} for found in batch.columns([Field(Level.ITEM, ATTRIBUTES)], Level.ITEM, rows)[0]]
        columns = batch.columns([Field(Level.ITEM, ATTRIBUTES, key) for key in keys], Level.ITEM, rows)
        pairs = [dict(zip(keys, row, strict=True)) for row in zip(*columns, strict=True)]
        return [{key: value for key, value in one.items() if value is not None} for one in pairs]

    def _take(self, batch: Batch, rows: Sequence[int], changes: list[Any], trouble: Trouble) -> None:
        edits: dict[Field, tuple[list[int], list[Value]]] = {}
        for row, change in zip(rows, changes, strict=True):
            if change is not None:
                self._collect(edits, row, change, trouble)
        for field, (places, values) in edits.items():
            batch.set(field, values, places)

    def _collect(
        self, edits: dict[Field, tuple[list[int], list[Value]]], row: int, change: Any, trouble: Trouble
    ) -> None:
        fields, put, gone = change
        wanted: list[tuple[Field, Callable[[Any], Value], Any]]
        wanted = [(Field(Level.ITEM, ATTRIBUTES, str(key)), storable, value) for key, value in put.items()]
        wanted += [(Field(Level.ITEM, ATTRIBUTES, key), storable, None) for key in gone]
        for name, value in fields.items():
            if name in _WRITTEN[self._signal]:
                target = locate_target(name, self._signal, Level.ITEM)
                wanted.append((target.field, target.accept, value))
            else:
                trouble.add(EvaluationError(f"{name} cannot be changed"))
        for field, accept, value in wanted:
            try:
                taken = None if value is None else accept(value)
            except EvaluationError as error:
                trouble.add(error)
                continue
            places, values = edits.setdefault(field, ([], []))
            places.append(row)
            values.append(taken)


def _shown(name: str, column: list[Any]) -> list[Any]:
    return [value.hex() if value else "" for value in column] if name.endswith("_id") else column
