"""Values of dimensions, column by column: from the span, else from what is around it, else the default."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Protocol

from untrace_pipeline.conditions.globs import compile_glob
from untrace_pipeline.conditions.values import as_string
from untrace_pipeline.data import Value
from untrace_plugins.metrics.config import SEPARATOR, DimensionConfig

__all__ = ["Columns", "Dimensions", "ResourceRows", "Rows", "as_keys"]


class Rows(Protocol):
    """Where attributes of rows come from."""

    def column(self, name: str) -> Sequence[Value]:
        """Return one attribute, with one value per row; ``None`` where it is absent.

        Only of what is around the items: empty where no row has it.
        """

    def maps(self) -> Sequence[Mapping[str, Value]]:
        """Return all attributes of each row."""


class ResourceRows:
    """Attributes of the resources of rows."""

    def __init__(self, resources: Sequence[Mapping[str, Value]], owners: Sequence[int]) -> None:
        self._resources = resources
        self._owners = owners

    def column(self, name: str) -> Sequence[Value]:
        """Return the attribute of each row's resource."""
        values = [resource.get(name) for resource in self._resources]
        return [values[owner] for owner in self._owners] if any(value is not None for value in values) else []

    def maps(self) -> Sequence[Mapping[str, Value]]:
        """Return the attributes of each row's resource."""
        return [self._resources[owner] for owner in self._owners]


class Columns:
    """The values of some dimensions for all rows."""

    def __init__(
        self, names: Sequence[str], columns: Sequence[Sequence[Value]], found: Sequence[Mapping[str, Value]] | None
    ) -> None:
        self._named = list(zip(names, columns, strict=True))
        self._found = found
        self.keys: list[Sequence[Hashable]] = [as_keys(column) for column in columns]
        """What tells series apart, as columns: texts, and ``None`` where a dimension is absent."""
        if found is not None:
            self.keys.append([tuple([(k, as_string(v)) for k, v in one.items()]) for one in found])

    def attributes(self, row: int) -> dict[str, Value]:
        """Return the dimensions of one row, with the types that they have."""
        named = {name: column[row] for name, column in self._named if column[row] is not None}
        return {**named, **self._found[row]} if self._found is not None else named


class Dimensions:
    """Dimensions as the options list them."""

    def __init__(self, configs: Sequence[DimensionConfig]) -> None:
        self._named = [(one.name, one.default) for one in configs if one.name]
        self._globs = [compile_glob(one.glob, SEPARATOR) for one in configs if one.glob]
        self._known: dict[str, bool] = {}

    @property
    def names(self) -> list[str]:
        """Names of attributes to be read."""
        return [name for name, _ in self._named]

    @property
    def has_globs(self) -> bool:
        """Whether all attributes are to be read."""
        return bool(self._globs)

    def read(self, sources: Sequence[Rows]) -> Columns:
        """Return the values, each from the first source that has it."""
        columns = [_resolve(name, default, sources) for name, default in self._named]
        if not self._globs:
            return Columns(self.names, columns, None)
        found = [self._matching(maps) for maps in zip(*(one.maps() for one in sources), strict=True)]
        return Columns(self.names, columns, found)

    def _matching(self, maps: Sequence[Mapping[str, Value]]) -> dict[str, Value]:
        merged = {name: value for one in reversed(maps) for name, value in one.items() if self._matches(name)}
        return dict(sorted(merged.items()))

    def _matches(self, name: str) -> bool:
        known = self._known.get(name)
        if known is None:
            if len(self._known) >= _MAX_KNOWN:
                self._known.clear()
            known = self._known[name] = any(matches(name) for matches in self._globs)
        return known


_MAX_KNOWN = 4096
"""Names for which it is remembered whether a glob matches them."""
_TEXT = {str, type(None)}


def as_keys(column: Sequence[Value]) -> Sequence[str | None]:
    """Return a column as texts, which are hashable and the same for equal values of any type; ``None`` stays."""
    if _TEXT.issuperset(map(type, column)):
        return column  # type: ignore[return-value]
    return [None if value is None else as_string(value) for value in column]


def _resolve(name: str, default: str | None, sources: Sequence[Rows]) -> Sequence[Value]:
    column = sources[0].column(name)
    for source in sources[1:]:
        if None not in column:
            return column
        other = source.column(name)
        if other:
            column = [there if value is None else value for value, there in zip(column, other, strict=True)]
    return [default if value is None else value for value in column] if default is not None else column
