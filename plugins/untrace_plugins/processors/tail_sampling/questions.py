"""What the policies ask of spans; the answers are the Collector's, also for values of another type."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

from untrace_pipeline.conditions.patterns import found_in
from untrace_pipeline.data import Batch, Field, Level, Value, attribute
from untrace_plugins.processors.tail_sampling.trace_state import read_entries
from untrace_plugins.sampling.survey import Columns, rows_where

__all__ = ["BooleanIs", "NumberWithin", "SampledFlag", "StatusIs", "StringFound", "StringIs", "TraceStateHas"]

_STATUS = Field(Level.ITEM, "status.code")
_FLAGS = Field(Level.ITEM, "flags")
_TRACE_STATE = Field(Level.ITEM, "trace_state")
_SAMPLED_FLAG = 1


@dataclass(frozen=True)
class _AttributeQuestion(ABC):
    """A question about an attribute of a span, or of its resource: that answers for all its spans."""

    key: str

    @property
    def fields(self) -> tuple[Field, ...]:
        """The attribute of spans."""
        return (attribute(self.key),)

    def rows(self, batch: Batch, columns: Columns) -> Sequence[int]:
        """Return the rows of the spans that say yes."""
        rows = self.matching(columns[attribute(self.key)])
        resources = self.matching_resources(batch.column(attribute(self.key, Level.RESOURCE)))
        if resources:
            owners = set(resources)
            rows = [*rows, *rows_where([owner in owners for owner in batch.parents(Level.ITEM, Level.RESOURCE)])]
        return rows

    @abstractmethod
    def matching(self, values: Sequence[Value]) -> list[int]:
        """Return the places of the values that match."""

    def matching_resources(self, values: Sequence[Value]) -> list[int]:
        """Return the same for attributes of resources."""
        return self.matching(values)


@dataclass(frozen=True)
class StringIs(_AttributeQuestion):
    """One of some texts, none of them empty."""

    texts: frozenset[str]

    def matching(self, values: Sequence[Value]) -> list[int]:
        """Return the places of the texts."""
        texts = self.texts
        return [place for place, value in enumerate(values) if isinstance(value, str) and value in texts]


@dataclass(frozen=True)
class StringFound(_AttributeQuestion):
    """A text in which a pattern is found. Attributes of spans must not be empty; those of resources may, and are when
    they hold something else than text."""

    patterns: tuple[str, ...]

    def matching(self, values: Sequence[Value]) -> list[int]:
        """Return the places of the texts."""
        return self._found([(place, value) for place, value in enumerate(values) if isinstance(value, str) and value])

    def matching_resources(self, values: Sequence[Value]) -> list[int]:
        """Return the places of the texts, with what counts as an empty one."""
        present = [(place, value) for place, value in enumerate(values) if value is not None]
        return self._found([(place, value if isinstance(value, str) else "") for place, value in present])

    def _found(self, texts: Sequence[tuple[int, str]]) -> list[int]:
        found = found_in(self.patterns)([text for _, text in texts]) if texts else []
        return [place for (place, _), yes in zip(texts, found, strict=True) if yes]


@dataclass(frozen=True)
class NumberWithin(_AttributeQuestion):
    """An integer in a range; anything else that is there counts as 0."""

    least: int
    greatest: int

    def matching(self, values: Sequence[Value]) -> list[int]:
        """Return the places of the numbers."""
        least, greatest = self.least, self.greatest
        return [
            place
            for place, value in enumerate(values)
            if value is not None and least <= (value if type(value) is int else 0) <= greatest
        ]


@dataclass(frozen=True)
class BooleanIs(_AttributeQuestion):
    """True or false; anything else that is there counts as false."""

    value: bool

    def matching(self, values: Sequence[Value]) -> list[int]:
        """Return the places of the value."""
        wanted = self.value
        return [place for place, value in enumerate(values) if value is not None and (value is True) is wanted]


@dataclass(frozen=True)
class StatusIs:
    """One of some status codes."""

    codes: frozenset[int]
    fields = (_STATUS,)

    def rows(self, batch: Batch, columns: Columns) -> Sequence[int]:
        """Return the rows of the spans that have one."""
        codes = self.codes
        return rows_where([code in codes for code in columns[_STATUS]])


@dataclass(frozen=True)
class SampledFlag:
    """The sampled flag of W3C trace context."""

    fields = (_FLAGS,)

    def rows(self, batch: Batch, columns: Columns) -> Sequence[int]:
        """Return the rows of the spans that have it."""
        return [row for row, flags in enumerate(columns[_FLAGS]) if flags & _SAMPLED_FLAG]  # type: ignore[operator]


@dataclass(frozen=True)
class TraceStateHas:
    """An entry of tracestate with one of some values; a tracestate that is not valid has no entries."""

    key: str
    values: frozenset[str]
    fields = (_TRACE_STATE,)

    def rows(self, batch: Batch, columns: Columns) -> Sequence[int]:
        """Return the rows of the spans that have it."""
        states = columns[_TRACE_STATE]
        matching = {state for state in set(map(str, states)) if state and self._matches(state)}
        return [row for row, state in enumerate(states) if state in matching] if matching else []

    def _matches(self, state: str) -> bool:
        return (read_entries(state) or {}).get(self.key, "") in self.values
