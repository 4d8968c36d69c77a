"""From any dialect to the canonical form: ``normalise`` says what to change on a span."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from untrace_pipeline.data.fields import Value
from untrace_plugins.genai import names
from untrace_plugins.genai.dialects import DIALECTS, Dialect
from untrace_plugins.genai.plan import Plan, plan
from untrace_plugins.genai.reading import Reading
from untrace_plugins.genai.values import integer

__all__ = ["ALL", "Changes", "Manner", "normalise", "understood"]

_CACHE = (names.USAGE_CACHE_READ, names.USAGE_CACHE_CREATION)
_CONTENT = frozenset({*names.USAGE, names.INPUT_MESSAGES, names.OUTPUT_MESSAGES})


@dataclass(frozen=True, slots=True)
class Manner:
    """Which dialects are read, and what becomes of attributes that are there already."""

    dialects: tuple[Dialect, ...] = DIALECTS
    overwrites: frozenset[str] = frozenset()
    """Names of dialects whose values replace canonical attributes that the span has."""
    removes: frozenset[str] = frozenset()
    """Names of dialects whose attributes go once the canonical ones have their content."""


ALL = Manner()
_REMOVING = Manner(removes=frozenset(dialect.name for dialect in DIALECTS))


class Changes(NamedTuple):
    """What to change on a span."""

    values: dict[str, Value]
    """Attributes to set; ``None`` removes. Empty if the span speaks no dialect, or is canonical."""
    dialect: str = ""
    """Name of the dialect that it was written in; empty if none."""
    malformed: Sequence[str] = ()
    """Attributes whose value made no sense; they stay."""


def normalise(
    attributes: Mapping[str, Value], manner: Manner = ALL, *, start: int = 0, error: str | None = None
) -> Changes:
    """Return what makes a span canonical. A span that has ``untrace.dialect`` is: nothing is changed.

    ``start`` is when the span began, in nanoseconds since the epoch, for dialects that write points in time; ``error``
    the type of the exception that ended it.
    """
    if names.DIALECT in attributes:
        return Changes({})
    known = plan(tuple(attributes), manner.dialects)
    found = known.dialects
    if not found:
        return Changes({})
    optional = bool(known.renamed) and bool(manner.overwrites or manner.removes)
    if error is None and not optional and (differences := known.differences(attributes)) is not None:
        differences[names.DIALECT] = found[0].name
        return Changes(differences, found[0].name)
    span = Reading(attributes, known.numbered, start)
    removed = _read(span, known, manner)
    span.put(names.ERROR_TYPE, error)
    _complete(span)
    overwrite = bool(manner.overwrites) and not manner.overwrites.isdisjoint({dialect.name for dialect in found})
    changes = _changes(span, overwrite=overwrite)
    changes |= dict.fromkeys(removed - changes.keys() - span.values.keys())
    changes[names.DIALECT] = found[0].name
    return Changes(changes, found[0].name, span.malformed)


def understood(attributes: Mapping[str, Value]) -> set[str]:
    """Return which attributes of a canonical span a dialect has read: the canonical ones have their content."""
    given = {key: value for key, value in attributes.items() if key != names.DIALECT}
    return {key for key, value in normalise(given, _REMOVING).values.items() if value is None}


def _read(span: Reading, known: Plan, manner: Manner) -> set[str]:
    """Let dialects read, those that overwrite first, in the order of the list; return the attributes that go."""
    order = known.order
    if manner.overwrites:
        first = [dialect for dialect in known.dialects if dialect.name in manner.overwrites]
        order = [*first, *(dialect for dialect in order if dialect not in first)]
    removed: set[str] = set()
    for dialect in order:
        span.used = set()
        try:
            dialect.read(span)
        except Exception:  # noqa: BLE001
            # Spans are anybody's data, of any shape: what a reader did not foresee must not cost the batch. What it had
            # read counts, the attributes stay, and the span is counted as malformed under the name of the dialect.
            span.malformed.append(dialect.name)
        if dialect.name in manner.removes:
            removed |= span.used
    return removed


def _complete(span: Reading) -> None:
    """Add what follows from the rest: the operation of a span with a model, whether its tokens count."""
    values = span.values
    if values.get(names.OPERATION) is not None:
        values.pop(names.SPAN_KIND, None)
    elif names.SPAN_KIND not in values and _is_call(span):
        span.put(names.OPERATION, names.Operation.CHAT)
    _include_cache(span)
    if values.get(names.USAGE_COST) == 0:  # how libraries say that they know no price
        span.force(names.USAGE_COST, None)
    counted = values.get(names.OPERATION) in names.LLM_CALLS
    if span.duplicate or not (counted or values.keys().isdisjoint(names.USAGE)):
        span.put(names.DUPLICATE, True)


def _is_call(span: Reading) -> bool:
    """Return whether a span that does not say what it is has a model, and content or tokens."""
    values = span.values
    known = span.attributes.get(names.OPERATION) is not None or span.duplicate
    return (
        not known
        and (names.REQUEST_MODEL in values or names.RESPONSE_MODEL in values)
        and not _CONTENT.isdisjoint(values)
    )


def _include_cache(span: Reading) -> None:
    """Add the cache parts to an input that is smaller than them: it was reported without."""
    values = span.values
    parts = sum([integer(values[key]) or 0 for key in _CACHE if key in values])
    total = integer(values.get(names.USAGE_INPUT)) if parts else None
    if total is not None and parts > total >= 0:
        span.force(names.USAGE_INPUT, total + parts)


def _changes(span: Reading, *, overwrite: bool) -> dict[str, Value]:
    """Return what differs. What is there stays, unless it is not in the form, or a dialect overwrites it."""
    changes: dict[str, Value] = {}
    for key, value in span.values.items():
        there = span.attributes.get(key)
        if there == value and type(there) is type(value):
            continue
        if there is None or there == "" or overwrite or key in span.forced or key in span.own:
            changes[key] = value
    return changes
