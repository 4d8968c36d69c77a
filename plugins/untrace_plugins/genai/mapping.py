"""Attributes that users map: a name, or a JSONPath into the attributes of a span and the JSON within them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from untrace_pipeline.data.fields import Value
from untrace_plugins.genai.dialects import Dialect
from untrace_plugins.genai.dialects.otel import CANONICAL
from untrace_plugins.genai.names import JSON_ATTRIBUTES
from untrace_plugins.genai.reading import Reading
from untrace_plugins.genai.sources import attribute_of, compiled
from untrace_plugins.genai.values import dump, structure

__all__ = ["custom"]


def custom(name: str, mappings: Mapping[str, str], *, overwrite: bool) -> Dialect:
    """Return a dialect that has these mappings, for a span's attributes before they are read otherwise."""

    def read(span: Reading) -> None:
        for source, target in mappings.items():
            _map(span, source, target, overwrite=overwrite)

    return Dialect(name, read, tuple({attribute_of(source) for source in mappings}))


def _map(span: Reading, source: str, target: str, *, overwrite: bool) -> None:
    key = attribute_of(source)
    given = span.attributes.get(key)
    if given is None or (target in span.attributes and not overwrite):
        return
    found = given if key == source else span.attempt(lambda value: _found(source, value), given, key)
    convert = CANONICAL.get(target, _text if target in JSON_ATTRIBUTES else _plain)
    if found is not None:
        span.put(target, span.attempt(convert, found, key), *([key] if key == source else []))


def _found(source: str, value: Value) -> Any:
    """Return the first value that a path finds."""
    return next(iter(compiled(source)(structure(value))), None)


def _plain(value: Any) -> Value:
    """Return a value as an attribute can hold it: structures as JSON."""
    structured = isinstance(value, dict) or (
        isinstance(value, list) and any(isinstance(one, (dict, list)) for one in value)
    )
    return dump(value) if structured else value


def _text(value: Any) -> Value:
    return value if isinstance(value, str) else dump(value)
