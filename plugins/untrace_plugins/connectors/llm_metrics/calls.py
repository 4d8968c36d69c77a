"""What a batch says of LLM calls, column by column; values that cannot be counted are left out, and counted."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from untrace_pipeline.data import Batch, Field, Level, Value, attribute
from untrace_plugins.connectors.llm_metrics.catalog import Source
from untrace_plugins.genai import names
from untrace_plugins.metrics.adjusted import adjusted_counts, with_attribute
from untrace_plugins.metrics.names import SERVICE_NAME
from untrace_plugins.sampling.marking import ADJUSTED_COUNT

__all__ = ["CallRows", "Calls", "find_operations", "read_calls"]

ENVIRONMENT = "deployment.environment.name"
_OLD_ENVIRONMENT = "deployment.environment"
_ERROR = 2
"""``STATUS_CODE_ERROR``."""
_OTHER = "_OTHER"
"""``error.type`` of a failure that has none (semantic conventions, "Recording errors")."""
_NO_ID = bytes(16)

_MAX_TOKENS = 2**40
_MAX_SECONDS = 30 * 86400
_MAX_COST = 1e9
"""Beyond these nobody means it, and sums would be spoilt for ever."""

_NUMBERS: Mapping[Source, tuple[str, float]] = {
    Source.INPUT: (names.USAGE_INPUT, _MAX_TOKENS),
    Source.OUTPUT: (names.USAGE_OUTPUT, _MAX_TOKENS),
    Source.CACHE_READ: (names.USAGE_CACHE_READ, _MAX_TOKENS),
    Source.CACHE_CREATION: (names.USAGE_CACHE_CREATION, _MAX_TOKENS),
    Source.REASONING: (names.USAGE_REASONING, _MAX_TOKENS),
    Source.COST: (names.USAGE_COST, _MAX_COST),
    Source.TIME_TO_FIRST_CHUNK: (names.RESPONSE_TIME_TO_FIRST_CHUNK, _MAX_SECONDS),
    Source.TOKENS_PER_SECOND: (names.TOKENS_PER_SECOND, _MAX_TOKENS),
}
"""Attribute and largest value of what spans say in numbers."""

_TEXTS = ("gen_ai.provider.name", "gen_ai.request.model", "gen_ai.response.model", "server.address")
_OPERATION = attribute(names.OPERATION)
_DUPLICATE = attribute(names.DUPLICATE)
_FIXED = [
    _OPERATION,
    attribute(names.ERROR_TYPE),
    ADJUSTED_COUNT,
    *(Field(Level.ITEM, name) for name in ("duration_nanos", "status.code", "trace_state", "trace_id", "span_id")),
]
_FIRST = len(_FIXED)
_RESOURCE = Field(Level.RESOURCE, "attributes")


@dataclass(frozen=True, slots=True)
class Calls:
    """The spans of a batch that are counted."""

    rows: Sequence[int]
    """Their rows in the batch."""
    applications: Sequence[tuple[Value, Value]]
    """Namespace and name of the service of each."""
    dimensions: Mapping[str, Sequence[Value]]
    values: Mapping[Source, Sequence[float | None]]
    """What each says; ``None`` where it does not, or not credibly."""
    errors: Sequence[Value]
    """``error.type`` of those that failed."""
    weights: Sequence[int] | None
    """How many calls each stands for; ``None`` where all stand for themselves."""
    trace_ids: Sequence[Value]
    span_ids: Sequence[Value]
    ignored: Mapping[str, int]
    """Values that cannot be counted, by attribute."""


class CallRows:
    """Attributes of some spans of a batch."""

    def __init__(self, batch: Batch, rows: Sequence[int]) -> None:
        self._batch = batch
        self._rows = rows

    def column(self, name: str) -> Sequence[Value]:
        """Return one attribute."""
        return self._batch.columns([attribute(name)], rows=self._rows)[0]

    def maps(self) -> Sequence[Mapping[str, Value]]:
        """Return all attributes."""
        return self._batch.columns([Field(Level.ITEM, "attributes")], rows=self._rows)[0]  # type: ignore[return-value]


def find_operations(batch: Batch, wanted: frozenset[str]) -> list[int]:
    """Return the rows of spans with these operations. One column, whatever the spans are."""
    column = batch.column(_OPERATION)
    return [row for row, operation in enumerate(column) if isinstance(operation, str) and operation in wanted]


def duplicates(batch: Batch, rows: Sequence[int]) -> list[bool]:
    """Return which spans tell of a call that another span counts for."""
    return [value is True for value in batch.columns([_DUPLICATE], rows=rows)[0]]


def read_calls(batch: Batch, rows: Sequence[int], instance_id: str) -> Calls:
    """Return what these spans say."""
    numbers = [attribute(name) for name, _ in _NUMBERS.values()]
    texts = [attribute(name) for name in _TEXTS]
    columns = batch.columns([*_FIXED, *texts, *numbers], rows=rows)
    operations, error_types, adjusted, nanos, codes, states, trace_ids, span_ids = columns[:_FIRST]
    said = dict(zip(_TEXTS, columns[_FIRST : _FIRST + len(texts)], strict=True))
    ignored: Counter[str] = Counter()
    values: dict[Source, Sequence[float | None]] = {
        source: _credible(column, name, limit, ignored)
        for (source, (name, limit)), column in zip(_NUMBERS.items(), columns[_FIRST + len(texts) :], strict=True)
    }
    values[Source.DURATION] = _credible(
        [value / 1e9 for value in nanos],  # type: ignore[operator]
        "duration",
        _MAX_SECONDS,
        ignored,
    )
    resources = _resources(batch, rows)
    counts = with_attribute(adjusted_counts(states), adjusted)
    return Calls(
        rows,
        [(one.get("service.namespace"), one.get(SERVICE_NAME)) for one in resources],
        {
            SERVICE_NAME: [one.get(SERVICE_NAME) for one in resources],
            ENVIRONMENT: [one.get(ENVIRONMENT, one.get(_OLD_ENVIRONMENT)) for one in resources],
            names.OPERATION: operations,
            **said,
            "collector.instance.id": [instance_id] * len(rows),
        },
        values,
        [_error(kind, code) for kind, code in zip(error_types, codes, strict=True)],
        None if counts is None else [1 if count is None else count for count in counts],
        [b"" if one == _NO_ID else one for one in trace_ids],
        span_ids,
        ignored,
    )


def _resources(batch: Batch, rows: Sequence[int]) -> list[Mapping[str, Value]]:
    maps: Sequence[Mapping[str, Value]] = batch.column(_RESOURCE)  # type: ignore[assignment]
    owners = batch.parents(Level.ITEM, Level.RESOURCE)
    return [maps[owners[row]] for row in rows]


def _error(kind: Value, code: Value) -> Value:
    if isinstance(kind, str) and kind:
        return kind
    return _OTHER if code == _ERROR else None


def _credible(column: Sequence[Value], name: str, limit: float, ignored: Counter[str]) -> list[float | None]:
    """Return the numbers that can be counted."""
    good: list[float | None] = []
    for value in column:
        if value is None:
            good.append(None)
        elif type(value) in {int, float} and 0 <= value <= limit and math.isfinite(value):  # type: ignore[operator, arg-type]
            good.append(value)  # type: ignore[arg-type]
        else:
            ignored[name] += 1
            good.append(None)
    return good
