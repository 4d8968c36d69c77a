"""Compares what arrived with what a test expects, and says where they differ."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

import orjson

from untrace_pipeline.cli.items import RESOURCES, items_of
from untrace_pipeline.conditions import ConditionSource, compile_condition
from untrace_pipeline.config.test_blocks import Expectation, Item
from untrace_pipeline.data import Batch, Signal
from untrace_pipeline.errors import ConditionError

__all__ = ["differences"]

_LONGEST = 300


def differences(expected: Expectation, batches: Sequence[Batch]) -> Iterator[str]:
    """Yield one text per difference; nothing means that all that is expected holds."""
    count = sum(batch.item_count for batch in batches)
    if expected.item_count is not None and count != expected.item_count:
        yield f"item_count: expected {expected.item_count}, got {count}"
    lists = ((Signal.TRACES, expected.traces), (Signal.METRICS, expected.metrics), (Signal.LOGS, expected.logs))
    for signal, items in lists:
        if items is not None:
            yield from _items(signal, items, batches)
    if expected.otlp is not None:
        yield from _otlp(expected.otlp, batches)
    for source in expected.conditions:
        yield from _condition(source, batches)


def _merged(signal: Signal, batches: Sequence[Batch]) -> dict[str, Any]:
    chosen = [batch.copy() for batch in batches if batch.signal is signal]
    found: dict[str, Any] = orjson.loads(Batch.merge(chosen).to_json()) if chosen else {}
    return found


def _items(signal: Signal, items: Sequence[Item], batches: Sequence[Batch]) -> Iterator[str]:
    actual = list(items_of(signal, _merged(signal, batches)))
    if len(actual) != len(items):
        got = ", ".join(_shown(one.get("name", one.get("body"))) for one in actual) or "none"
        yield f"{signal}: expected {len(items)}, got {len(actual)}: {got}"
        return
    for number, (one, found) in enumerate(zip(items, actual, strict=True)):
        yield from _compared(one.model_dump(exclude_unset=True), found, f"{signal}[{number}]")


def _otlp(expected: dict[str, Any], batches: Sequence[Batch]) -> Iterator[str]:
    signal = next((one for one, key in RESOURCES.items() if key in expected), None)
    if signal is None:
        yield f"otlp: one of {', '.join(RESOURCES.values())} is needed"
    else:
        yield from _compared(expected, _merged(signal, batches), "otlp")


def _compared(expected: Any, actual: Any, path: str) -> Iterator[str]:
    """Yield differences: mappings may have more keys, ``null`` means absent, lists have the same length."""
    if isinstance(expected, dict) and isinstance(actual, dict):
        for key, value in expected.items():
            here = f"{path}.{key}" if key.isidentifier() else f'{path}["{key}"]'
            if value is not None or key in actual:
                yield from _compared(value, actual.get(key), here)
    elif isinstance(expected, list) and isinstance(actual, list):
        if len(expected) != len(actual):
            yield f"{path}: expected {len(expected)} entries, got {len(actual)}: {_shown(actual)}"
            return
        for number, (one, found) in enumerate(zip(expected, actual, strict=True)):
            yield from _compared(one, found, f"{path}[{number}]")
    elif expected != actual or isinstance(expected, bool) is not isinstance(actual, bool):
        wanted = "nothing" if expected is None else _shown(expected)
        yield f"{path}: expected {wanted}, got {'nothing' if actual is None else _shown(actual)}"


def _condition(source: ConditionSource, batches: Sequence[Batch]) -> Iterator[str]:
    seen = 0
    for batch in batches:
        try:
            mask = compile_condition(source, batch.signal).mask(batch)
        except ConditionError as error:  # of another signal than the one that it was written for
            yield f"conditions: {_written(source)}: {error}"
            return
        for number, holds in enumerate(mask, seen):
            if not holds:
                yield f"conditions: {_written(source)} does not hold for item {number}"
        seen += len(mask)
    if not seen:
        yield f"conditions: {_written(source)}: nothing arrived"


def _written(source: ConditionSource) -> str:
    return source if isinstance(source, str) else _shown(source.model_dump(mode="json", exclude_unset=True))


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
