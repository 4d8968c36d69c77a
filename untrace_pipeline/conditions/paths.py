"""From the paths of OTTL to expressions: fields of the batch, or values of the request."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from untrace_pipeline.conditions.expression import Expression, Kind, apply, from_context, read
from untrace_pipeline.conditions.indexing import reach, trace_state_entry
from untrace_pipeline.conditions.names import CONTEXTS, PATHS, context_levels, own_context, suggestion
from untrace_pipeline.conditions.requests import metadata_values
from untrace_pipeline.conditions.tree import Path, Segment
from untrace_pipeline.data import ATTRIBUTES, Context, Field, Level, Signal
from untrace_pipeline.errors import ConditionError

__all__ = ["CACHE", "Scope"]

CACHE = "cache"
"""Name of the field that stands for the map that statements keep notes in."""

_MAPS = frozenset({"attributes", "metadata"})


@dataclass(frozen=True, slots=True)
class Scope:
    """Where a condition stands: what its paths may name. ``text`` is the condition, for messages.

    ``cache`` says that there is one: for statements.
    """

    signal: Signal
    level: Level
    text: str
    cache: bool = False

    def fail(self, message: str, position: int) -> ConditionError:
        """Return an error that points into the condition."""
        return ConditionError(message, self.text, position)

    def resolve(self, path: Path, keys: Sequence[Sequence[Expression]]) -> Expression:
        """Return what a path reads; ``keys`` are the compiled indexes of each of its segments."""
        first = path.segments[0].name
        if first == "request":
            return self._request(path, keys)
        if first == "otelcol":
            return self._otelcol(path, keys)
        context, level, segments = self.context_of(path)
        keys = keys[-len(segments) :]
        for segment, indexes in zip(segments[:-1], keys[:-1], strict=True):
            if indexes:
                raise self.fail(f"{segment.name} cannot be indexed and then followed by a name", segment.position)
        return self._leaf(context, level, segments, keys[-1])

    def context_of(self, path: Path) -> tuple[str, Level, tuple[Segment, ...]]:
        """Split a path into its context, named or implied, and the rest."""
        own = own_context(self.signal, self.level)
        first, *rest = path.segments
        if not rest:
            return own, self.level, path.segments
        levels = context_levels(self.signal, self.level)
        if first.name in levels:
            return first.name, levels[first.name], tuple(rest)
        if first.name in CONTEXTS:
            known = ", ".join(levels)
            raise self.fail(
                f"{first.name} cannot be read here: the condition stands at a {own}, which sees {known}", first.position
            )
        return own, self.level, path.segments

    def _leaf(
        self, context: str, level: Level, segments: tuple[Segment, ...], keys: Sequence[Expression]
    ) -> Expression:
        name = ".".join(segment.name for segment in segments)
        if name == "attributes" or (context == "metric" and name == "metadata"):
            return _attributes(Field(level, ATTRIBUTES), keys)
        if name == CACHE and self.cache and level is self.level:
            return _attributes(Field(level, CACHE), keys)
        leaf = PATHS[context].get(name)
        if leaf is None:
            known = [*PATHS[context], *sorted(_MAPS if context == "metric" else {"attributes"})]
            hint = suggestion(name, known) or f"; it has: {', '.join(known)}"
            raise self.fail(f"{context} has no readable {name}{hint}", segments[0].position)
        expression = read(Field(level, leaf.field), default=leaf.default, kind=leaf.kind)
        if leaf.convert is not None:
            expression = apply(leaf.convert, (expression,), safe=True)
        if not keys:
            return expression
        if name == "trace_state" and len(keys) == 1:
            return apply(trace_state_entry, (expression, *keys))
        if name != "body":
            raise self.fail(f"{name} cannot be indexed", segments[-1].position)
        return apply(reach, (expression, *keys))

    def _request(self, path: Path, keys: Sequence[Sequence[Expression]]) -> Expression:
        """Return all values of a header: ``request["X-Tenant"]``, the form of the routing connector."""
        name = keys[0][0].constant[0] if len(keys) == 1 and len(keys[0]) == 1 and keys[0][0].constant else None
        if not isinstance(name, str):
            raise self.fail('headers are written request["name"]', path.position)
        return from_context(metadata_values(name), Kind.MANY)

    def _otelcol(self, path: Path, keys: Sequence[Sequence[Expression]]) -> Expression:
        name = ".".join(segment.name for segment in path.segments)
        reader = _OTELCOL.get(name)
        if reader is None:
            raise self.fail(f"there is no {name}; there are: {', '.join(_OTELCOL)}", path.position)
        return apply(reach, (from_context(reader), *keys[-1]), safe=not keys[-1])


def _attributes(whole: Field, keys: Sequence[Expression]) -> Expression:
    if not keys:
        return apply(_map, (read(whole),), safe=True)
    first, *rest = keys
    if first.constant and isinstance(first.constant[0], str):
        found = read(Field(whole.level, whole.name, first.constant[0]))
        return apply(reach, (found, *rest)) if rest else found
    return apply(reach, (read(whole), *keys))


def _map(value: object) -> object:
    return {} if value is None else value


class _Headers(dict[str, object]):
    """Headers as a map whose keys are found in any case."""

    def get(self, key: str, default: object = None) -> object:
        return super().get(key.lower(), default)


def _headers(context: Context) -> object:
    return _Headers({name: list(values) for name, values in context.metadata.items()})


def _auth(context: Context) -> object:
    return {name: list(value) if isinstance(value, tuple) else value for name, value in context.auth.items()}


def _address(context: Context) -> object:
    return context.peer or None


_OTELCOL: dict[str, Callable[[Context], object]] = {
    "otelcol.client.metadata": _headers,
    "otelcol.grpc.metadata": _headers,
    "otelcol.client.addr": _address,
    "otelcol.client.auth.attributes": _auth,
}
