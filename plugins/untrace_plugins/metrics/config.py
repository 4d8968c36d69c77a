"""Options that connectors from spans to metrics have in common, with the Collector's keys and defaults."""

from __future__ import annotations

import enum
from typing import Self

from pydantic import Field, model_validator

from untrace_pipeline.api import ConfigModel
from untrace_pipeline.conditions.globs import compile_glob

__all__ = ["SEPARATOR", "DimensionConfig", "ExemplarsConfig", "Temporality", "check_dimensions"]


SEPARATOR = "."
"""Within names of attributes, for globs."""


class Temporality(enum.StrEnum):
    """What points reach back to: the start of their series, or the point before."""

    CUMULATIVE = "AGGREGATION_TEMPORALITY_CUMULATIVE"
    DELTA = "AGGREGATION_TEMPORALITY_DELTA"


class DimensionConfig(ConfigModel):
    """An attribute that tells series apart: either by ``name`` or by ``glob``."""

    name: str = ""
    """Attribute of the span, or else of its resource. Example: ``http.route``."""
    default: str | None = None
    """Value where neither has it; without a default the dimension is left out there."""
    glob: str = ""
    """Pattern of attribute names, each of which becomes a dimension: ``*`` stands for anything but a dot, ``**`` for
    anything, ``?`` for one character, ``[a-z]``, ``[!a-z]``, ``{a,b}``. Example: ``k8s.*.name``."""

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if bool(self.name) == bool(self.glob):
            msg = "either name or glob"
            raise ValueError(msg)
        if self.glob and self.default is not None:
            msg = "a glob has no default"
            raise ValueError(msg)
        if self.glob:
            compile_glob(self.glob, SEPARATOR)
        return self


class ExemplarsConfig(ConfigModel):
    """``exemplars``: spans that stand for what a point counts."""

    enabled: bool = False
    """Attach trace and span ids to points. They are kept for one flush."""
    max_per_data_point: int = Field(5, ge=0)
    """At most so many per point, the first ones."""


def check_dimensions(dimensions: list[DimensionConfig], reserved: frozenset[str]) -> None:
    """Raise ``ValueError`` for a dimension that is there twice, or that has a reserved name."""
    names = set(reserved)
    for name in filter(None, [dimension.name for dimension in dimensions]):
        if name in names:
            msg = f"the dimension {name!r} is there already"
            raise ValueError(msg)
        names.add(name)
    for dimension in dimensions:
        if dimension.glob:
            matches = compile_glob(dimension.glob, SEPARATOR)
            taken = sorted(filter(matches, names))
            if taken:
                msg = f"the glob {dimension.glob!r} matches the dimension {taken[0]!r}, which is there already"
                raise ValueError(msg)
