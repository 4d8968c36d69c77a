"""The older way of selecting items, ``include`` and ``exclude`` with lists of names, as attributes and filter have it.

Within one list any entry may match; all lists that are given must match. Semantics as the Collector's
``internal/filter``: spans, log records, and metrics (for metrics every data point of a selected metric).
"""

from __future__ import annotations

import enum
import math
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from pydantic import Field, model_validator

from untrace_pipeline.api.config import ConfigModel
from untrace_pipeline.conditions.condition import Condition
from untrace_pipeline.conditions.expression import Expression, all_of, apply, negated, read
from untrace_pipeline.conditions.patterns import compile_pattern, found_in
from untrace_pipeline.conditions.values import as_string, same
from untrace_pipeline.data import ATTRIBUTES, Level, Signal, Value
from untrace_pipeline.data import Field as DataField
from untrace_pipeline.errors import ConditionError

__all__ = ["MatchProperties", "MatchType", "matches", "selected"]

_NO_SERVICE = "<nil-service-name>"
_KINDS = ("UNSPECIFIED", "INTERNAL", "SERVER", "CLIENT", "PRODUCER", "CONSUMER")


class MatchType(enum.StrEnum):
    """How texts are matched: ``strict`` = equal, ``regexp`` = an RE2 pattern found anywhere."""

    STRICT = "strict"
    REGEXP = "regexp"


class AttributeProperties(ConfigModel):
    """One attribute that must be there."""

    key: str = Field(min_length=1)
    """Key of the attribute."""
    value: Any = None
    """Its value, of the same type; with ``regexp`` a pattern for its text. Without it, any value will do."""


class LibraryProperties(ConfigModel):
    """An instrumentation scope."""

    name: str
    """Name of the scope."""
    version: str | None = None
    """Its version; without it, any version will do."""


class SeverityProperties(ConfigModel):
    """A range of severities."""

    min: int = Field(0, ge=0, le=24)
    """The lowest severity number that matches: 9 is INFO, 13 WARN, 17 ERROR."""
    match_undefined: bool = False
    """Whether records without a severity match."""


class RegexpCache(ConfigModel):
    """Accepted for the Collector's sake; equal values of a batch are always searched once."""

    cacheenabled: bool = False
    """Has no effect."""
    cachemaxnumentries: int = 0
    """Has no effect."""


class MatchProperties(ConfigModel):
    """Which items are meant; at least one list is needed, and all that are given must match."""

    match_type: MatchType
    """``strict`` or ``regexp``, for every text below."""
    regexp: RegexpCache | None = None
    """Accepted for the Collector's sake."""
    services: list[str] = []
    """Spans: values of the resource attribute ``service.name``."""
    span_names: list[str] = []
    """Spans: names."""
    span_kinds: list[str] = []
    """Spans: kinds, such as ``SPAN_KIND_CLIENT``."""
    log_bodies: list[str] = []
    """Log records: bodies, as text."""
    log_severity_texts: list[str] = []
    """Log records: severity texts."""
    log_severity_number: SeverityProperties | None = None
    """Log records: severity numbers."""
    metric_names: list[str] = []
    """Metrics: names."""
    attributes: list[AttributeProperties] = []
    """Spans and log records: attributes that must all be there."""
    resources: list[AttributeProperties] = []
    """Resource attributes that must all be there."""
    libraries: list[LibraryProperties] = []
    """Spans and log records: instrumentation scopes that must all match."""

    @model_validator(mode="after")
    def _something_to_match(self) -> MatchProperties:
        if not self.model_fields_set - {"match_type", "regexp"}:
            msg = "at least one list of names, attributes, resources or libraries is needed"
            raise ValueError(msg)
        strange = [kind for kind in self.span_kinds if kind.removeprefix("SPAN_KIND_") not in _KINDS]
        if self.match_type is MatchType.STRICT and strange:
            msg = f"{strange[0]!r} is no span kind; they are {', '.join('SPAN_KIND_' + kind for kind in _KINDS[1:])}"
            raise ValueError(msg)
        if self.match_type is MatchType.REGEXP:
            self._check_patterns()
        return self

    def _check_patterns(self) -> None:
        lists = (self.services, self.span_names, self.span_kinds, self.log_bodies)
        texts = [text for texts in (*lists, self.log_severity_texts, self.metric_names) for text in texts]
        for library in self.libraries:
            texts += [library.name, library.version or ""]
        for attribute in (*self.attributes, *self.resources):
            if attribute.value is not None and not isinstance(attribute.value, str):
                msg = f"with match_type regexp the value of {attribute.key} must be a pattern, as a string"
                raise ValueError(msg)
            texts.append(attribute.value or "")
        for text in texts:
            compile_pattern(text)


_ONLY = {
    Signal.TRACES: {"services", "span_names", "span_kinds", "attributes", "libraries"},
    Signal.LOGS: {"log_bodies", "log_severity_texts", "log_severity_number", "attributes", "libraries"},
    Signal.METRICS: {"metric_names"},
}


def selected(
    include: MatchProperties | None, exclude: MatchProperties | None, signal: Signal, level: Level = Level.ITEM
) -> Condition:
    """Return the condition that an item is included (all are, without ``include``) and not excluded.

    Raises :class:`ConditionError` for properties that the signal does not have.
    """
    parts = []
    if include is not None:
        parts.append(matches(include, signal))
    if exclude is not None:
        parts.append(negated(matches(exclude, signal)))
    return Condition(all_of(parts), level, "include/exclude")


def matches(properties: MatchProperties, signal: Signal) -> Expression:
    """Return whether an item has all the properties."""
    given = {name for name in properties.model_fields_set if getattr(properties, name)}
    foreign = sorted(given - _ONLY[signal] - {"match_type", "regexp", "resources"})
    if foreign:
        msg = f"{', '.join(foreign)} cannot select {signal}; there are: {', '.join(sorted(_ONLY[signal]))}, resources"
        raise ConditionError(msg)
    item = _of_item(properties, signal)
    attributes = [_attribute(one, Level.ITEM, properties.match_type) for one in properties.attributes]
    resources = [_attribute(one, Level.RESOURCE, properties.match_type) for one in properties.resources]
    libraries = [_library(one, properties.match_type) for one in properties.libraries]
    return all_of([*item, *libraries, *resources, *attributes])


def _of_item(properties: MatchProperties, signal: Signal) -> list[Expression]:
    how = properties.match_type
    texts: dict[str, Callable[[], Expression]] = {
        "services": lambda: apply(
            lambda value: _NO_SERVICE if value is None else as_string(value),
            (read(DataField(Level.RESOURCE, ATTRIBUTES, "service.name")),),
            safe=True,
        ),
        "span_names": lambda: read(DataField(Level.ITEM, "name"), default=""),
        "span_kinds": lambda: apply(_kind, (read(DataField(Level.ITEM, "kind"), default=0),), safe=True),
        "log_bodies": lambda: apply(as_string, (read(DataField(Level.ITEM, "body")),)),
        "log_severity_texts": lambda: read(DataField(Level.ITEM, "severity_text"), default=""),
        "metric_names": lambda: read(DataField(Level.METRIC, "name"), default=""),
    }
    found = [
        _texts(make(), getattr(properties, name), how) for name, make in texts.items() if getattr(properties, name)
    ]
    severity = properties.log_severity_number
    if severity is not None and signal is Signal.LOGS:
        number = read(DataField(Level.ITEM, "severity_number"), default=0)
        found.append(
            apply(
                lambda n: severity.match_undefined if n == 0 else n >= severity.min, (number,), safe=True, boolean=True
            )
        )
    return found


def _kind(number: int) -> str:
    return f"SPAN_KIND_{_KINDS[number]}" if 0 <= number < len(_KINDS) else ""


def _texts(expression: Expression, wanted: list[str], how: MatchType) -> Expression:
    """Return whether a text is one of those wanted, or one of the patterns is found in it."""
    column = expression.evaluate
    if how is MatchType.STRICT:
        names = frozenset(wanted)
        return Expression(lambda frame: [text in names for text in column(frame)], expression.fields, boolean=True)
    test = found_in(tuple(wanted))
    return Expression(
        lambda frame: test([text if text.__class__ is str else "" for text in column(frame)]),
        expression.fields,
        boolean=True,
    )


def _library(library: LibraryProperties, how: MatchType) -> Expression:
    name = _texts(read(DataField(Level.SCOPE, "name"), default=""), [library.name], how)
    if library.version is None:
        return name
    return all_of([name, _texts(read(DataField(Level.SCOPE, "version"), default=""), [library.version], how)])


def _attribute(attribute: AttributeProperties, level: Level, how: MatchType) -> Expression:
    found = read(DataField(level, ATTRIBUTES, attribute.key))
    wanted = attribute.value
    if wanted is None:
        return apply(lambda value: value is not None, (found,), safe=True, boolean=True)
    if how is MatchType.STRICT:
        return apply(lambda value: same(value, wanted), (found,), safe=True, boolean=True)
    search = compile_pattern(wanted).search

    def matched(value: Value) -> bool:
        plain = isinstance(value, str | bool | int | float)
        return plain and search(_text(value)) is not None

    return apply(matched, (found,), boolean=True)


def _text(value: Value) -> str:
    """Return the text that patterns are searched in; floats are written without an exponent."""
    if isinstance(value, float) and math.isfinite(value):
        return format(Decimal(repr(value)), "f").removesuffix(".0")
    return as_string(value)
