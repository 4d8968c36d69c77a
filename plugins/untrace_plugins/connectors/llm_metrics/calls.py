"""What a batch says of LLM calls, column by column; values that cannot be counted are left out, and counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from untrace_pipeline.data import Batch, Field, Level, Value, attribute
from untrace_plugins.connectors.llm_metrics.catalog import Source
from untrace_plugins.genai import names
from untrace_plugins.genai.limits import MOST_TOKENS, MOST_USD
from untrace_plugins.metrics.adjusted import adjusted_counts, with_attribute
from untrace_plugins.metrics.names import INSTANCE_ID, SERVICE_NAME
from untrace_plugins.sampling.marking import ADJUSTED_COUNT

__all__ = ["CallRows", "Calls", "find_calls", "read_calls"]

ENVIRONMENT = "deployment.environment.name"
_OLD_ENVIRONMENT = "deployment.environment"
_ERROR = 2
"""``STATUS_CODE_ERROR``."""
_OTHER = "_OTHER"
"""``error.type`` of a failure that has none (semantic conventions, "Recording errors")."""
_NO_ID = bytes(16)

_MAX_SECONDS = 30 * 86400
"""Beyond this nobody means it, and sums would be spoilt for ever."""

_NUMBERS: Mapping[Source, tuple[str, float]] = {
    Source.INPUT: (names.USAGE_INPUT, MOST_TOKENS),
    Source.OUTPUT: (names.USAGE_OUTPUT, MOST_TOKENS),
    Source.CACHE_READ: (names.USAGE_CACHE_READ, MOST_TOKENS),
    Source.CACHE_CREATION: (names.USAGE_CACHE_CREATION, MOST_TOKENS),
    Source.REASONING: (names.USAGE_REASONING, MOST_TOKENS),
    Source.COST: (names.USAGE_COST, MOST_USD),
    Source.TIME_TO_FIRST_CHUNK: (names.RESPONSE_TIME_TO_FIRST_CHUNK, _MAX_SECONDS),
    Source.TOKENS_PER_SECOND: (names.TOKENS_PER_SECOND, MOST_TOKENS),
}
"""Attribute and largest value of what spans say in numbers."""

_NUMBER_FIELDS = [attribute(name) for name, _ in _NUMBERS.values()]
_TEXTS = ("gen_ai.provider.name", "gen_ai.request.model", "gen_ai.response.model", "server.address")
_TEXT_FIELDS = [attribute(name) for name in _TEXTS]
_OPERATION = attribute(names.OPERATION)
_DUPLICATE = attribute(names.DUPLICATE)
_FIXED = [
    _OPERATION,
    attribute(names.ERROR_TYPE),
    ADJUSTED_COUNT,
    *(Field(Level.ITEM, name) for name in ("duration_nanos", "status.code", "trace_state", "trace_id", "span_id")),
]
_FIRST, _SECOND = len(_FIXED), len(_FIXED) + len(_TEXT_FIELDS)
_ALL = [*_FIXED, *_TEXT_FIELDS, *_NUMBER_FIELDS]
_RESOURCE = Field(Level.RESOURCE, "attributes")


@dataclass(frozen=True, slots=True)
class Calls:
    """The spans of a batch that are counted."""

    rows: Sequence[int]
    """Their rows in the batch."""
    resources: Sequence[Mapping[str, Value]]
    """Attributes of all resources of the batch."""
    owners: Sequence[int]
    """The resource of each."""
    dimensions: Mapping[str, Sequence[Value]]
    values: Mapping[Source, Sequence[float | None]]
    """What each says; ``None`` where it does not, or not credibly. Sources of which none says anything are left out."""
    errors: Sequence[Value]
    """``error.type`` of those that failed."""
    weights: Sequence[int] | None
    """How many calls each stands for; ``None`` where all stand for themselves."""
    trace_ids: Sequence[Value]
    span_ids: Sequence[Value]
    ignored: Mapping[str, int]
    """Values that cannot be counted, by attribute."""

    def told(self, source: Source, places: Sequence[int]) -> tuple[Sequence[int], Sequence[float]]:
        """Return which of some calls tell something, and what."""
        if source in {Source.CALLS, Source.ERRORS}:
            return places, [1] * len(places)
        column = self.values.get(source)
        if column is None:
            return (), ()
        values = [column[place] for place in places]
        if None not in values:
            return places, values  # type: ignore[return-value]
        counted = [place for place, value in zip(places, values, strict=True) if value is not None]
        return counted, [value for value in values if value is not None]


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


def find_calls(batch: Batch, wanted: frozenset[str]) -> tuple[list[int], int]:
    """Return the rows of spans with these operations, and how many besides tell of a call that another counts for.

    Two columns, whatever the spans are.
    """
    operations, duplicates = batch.columns([_OPERATION, _DUPLICATE])
    rows = [row for row, one in enumerate(operations) if isinstance(one, str) and one in wanted]
    counting = [row for row in rows if duplicates[row] is not True]
    return counting, len(rows) - len(counting)


def read_calls(batch: Batch, rows: Sequence[int], instance_id: str) -> Calls:
    """Return what these spans say."""
    columns = batch.columns(_ALL, rows=None if len(rows) == batch.item_count else rows)
    operations, error_types, adjusted, nanos, codes, states, trace_ids, span_ids = columns[:_FIRST]
    ignored: Counter[str] = Counter()
    values: dict[Source, Sequence[float | None]] = {
        source: _credible(column, name, limit, ignored)
        for (source, (name, limit)), column in zip(_NUMBERS.items(), columns[_SECOND:], strict=True)
        if column.count(None) < len(column)
    }
    seconds: list[Value] = [value / 1e9 for value in nanos]  # type: ignore[operator]
    values[Source.DURATION] = _credible(seconds, "duration", _MAX_SECONDS, ignored)
    resources: Sequence[Mapping[str, Value]] = batch.column(_RESOURCE)  # type: ignore[assignment]
    parents = batch.parents(Level.ITEM, Level.RESOURCE)
    owners = [parents[row] for row in rows]
    services = [one.get(SERVICE_NAME) for one in resources]
    environments = [one.get(ENVIRONMENT, one.get(_OLD_ENVIRONMENT)) for one in resources]
    counts = with_attribute(adjusted_counts(states), adjusted)
    return Calls(
        rows,
        resources,
        owners,
        {
            SERVICE_NAME: [services[owner] for owner in owners],
            ENVIRONMENT: [environments[owner] for owner in owners],
            names.OPERATION: operations,
            **dict(zip(_TEXTS, columns[_FIRST:_SECOND], strict=True)),
            INSTANCE_ID: [instance_id] * len(rows),
        },
        values,
        [_error(kind, code) for kind, code in zip(error_types, codes, strict=True)],
        None if counts is None else [1 if count is None else count for count in counts],
        [b"" if one == _NO_ID else one for one in trace_ids],
        span_ids,
        ignored,
    )


def _error(kind: Value, code: Value) -> Value:
    if isinstance(kind, str) and kind:
        return kind
    return _OTHER if code == _ERROR else None


def _credible(column: Sequence[Value], name: str, limit: float, ignored: Counter[str]) -> Sequence[float | None]:
    """Return the numbers that can be counted; nothing is copied where all can."""
    if _NUMERIC.issuperset(map(type, column)) and all(0 <= one <= limit for one in column if one is not None):  # type: ignore[operator]
        return column  # type: ignore[return-value]
    good = [_credible_number(value, limit) for value in column]
    ignored[name] += good.count(None) - column.count(None)
    return good


def _credible_number(value: Value, limit: float) -> float | None:
    if type(value) in {int, float} and 0 <= value <= limit:  # type: ignore[operator]
        return value  # type: ignore[return-value]
    return None


_NUMERIC = {int, float, type(None)}
