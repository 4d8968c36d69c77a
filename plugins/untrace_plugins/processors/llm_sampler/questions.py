"""What the sampler asks of spans, in the attributes of the normal form."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from untrace_pipeline.conditions.patterns import found_in
from untrace_pipeline.data import Batch, Field, Level, attribute
from untrace_plugins.genai.names import ERROR_TYPE, REQUEST_MODEL, RESPONSE_MODEL, TAGS
from untrace_plugins.sampling.survey import Columns, rows_where

__all__ = ["Failed", "ModelIs", "Tagged"]

_STATUS, _ERROR_TYPE, _TAGS = Field(Level.ITEM, "status.code"), attribute(ERROR_TYPE), attribute(TAGS)
_REQUESTED, _ANSWERING = attribute(REQUEST_MODEL), attribute(RESPONSE_MODEL)
_ERROR = 2


@dataclass(frozen=True)
class Failed:
    """A status of ``ERROR``, or a type of error."""

    fields = (_STATUS, _ERROR_TYPE)

    def rows(self, batch: Batch, columns: Columns) -> Sequence[int]:
        """Return the rows of the spans that failed."""
        both = zip(columns[_STATUS], columns[_ERROR_TYPE], strict=True)
        return rows_where([status == _ERROR or bool(error) for status, error in both])


@dataclass(frozen=True)
class Tagged:
    """One of some tags."""

    tags: frozenset[str]
    fields = (_TAGS,)

    def rows(self, batch: Batch, columns: Columns) -> Sequence[int]:
        """Return the rows of the spans that have one."""
        return [row for row, tags in enumerate(columns[_TAGS]) if tags is not None and self._among(tags)]

    def _among(self, tags: object) -> bool:
        given = tags if isinstance(tags, list) else [tags]
        return any(isinstance(tag, str) and tag in self.tags for tag in given)


@dataclass(frozen=True)
class ModelIs:
    """One of some models, requested or answering; ``*`` stands for anything."""

    models: tuple[str, ...]
    fields = (_REQUESTED, _ANSWERING)

    def rows(self, batch: Batch, columns: Columns) -> Sequence[int]:
        """Return the rows of the spans that have to do with one."""
        patterns = tuple("^(?:" + re.escape(model).replace("\\*", ".*") + ")$" for model in self.models)
        rows: set[int] = set()
        for field in self.fields:
            named = [(row, model) for row, model in enumerate(columns[field]) if isinstance(model, str)]
            found = found_in(patterns)([model for _, model in named]) if named else []
            rows.update(row for (row, _), yes in zip(named, found, strict=True) if yes)
        return list(rows)
